"""From the broker into the database: each message judged by its topic, schema and signature, acknowledged when kept."""

__all__ = ["collector", "fleet", "judge"]
