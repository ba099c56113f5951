"""How a box gets, keeps and renews its identity, keys and settings."""

__all__ = ["bench_client", "card_client", "identity", "move_client", "renewal", "set_clock", "steps"]
