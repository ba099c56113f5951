"""From the adapter to adverts: the only user of bleak; notices deafness and recovers."""

__all__ = ["adapter", "bursts", "radio", "recovery", "reset"]
