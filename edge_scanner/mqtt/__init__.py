"""One MQTT connection for every program: the box, the health authority's tool and the technician's.

A room of its own below all three, because they must not import each other and the broker's traps (reason codes,
reconnects, TLS alerts) are to be solved once.
"""
