"""A simulated crowd: people, their phones, and how a radio hears them."""

__all__ = ["crowd", "phones"]
