"""Machine-readable contracts: a JSON Schema for each message, the snapshot and one AsyncAPI document."""
