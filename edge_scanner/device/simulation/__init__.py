"""A simulated crowd: people, their phones, and how a radio hears them."""
