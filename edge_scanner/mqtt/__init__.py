"""One MQTT connection for every program: the box's, the health authority's, the fleet's and the centre's.

A room of its own below all four, because they must not import each other and the broker's traps (reason codes,
reconnects, TLS alerts) are to be solved once.
"""
