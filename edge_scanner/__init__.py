"""A venue's edge box for contact tracing: hears rotating identifiers, seals a log, publishes private counts."""

__version__ = "1.0.0rc1"
