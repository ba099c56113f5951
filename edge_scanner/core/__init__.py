"""Pure: no await, clock, file, socket or log line; the standard library, cryptography and msgspec only."""
