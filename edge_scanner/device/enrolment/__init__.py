"""How a box gets, keeps and renews its identity, keys and settings."""
