"""How a box gets its identity, keys and settings, from a fleet or on its own, and how it keeps and renews them."""

__all__ = [
    "bench_client",
    "card_client",
    "identity",
    "move_client",
    "renewal",
    "set_clock",
    "settings_text",
    "standalone",
    "steps",
]
