"""`make demo`: the real programs on a throw-away fleet and a simulated crowd; the one room above the four programs."""
