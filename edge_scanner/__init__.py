"""A venue's edge box for contact tracing: hears rotating identifiers, seals a log, publishes private counts."""

__version__ = "0.1.0"
