"""The authority's order, the rules by which a box obeys or refuses, and its signed answer."""

__all__ = ["answer", "pace", "policy", "request", "revocations"]
