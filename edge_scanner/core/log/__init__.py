"""The sealed log: its byte-level format, who can open it, and how anybody can tell that it is whole."""
