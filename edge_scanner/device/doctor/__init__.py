"""The doctor's checks, one part of the box a file; each looks and changes nothing."""

__all__ = ["doctor"]
