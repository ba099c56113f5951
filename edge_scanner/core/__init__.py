"""Pure: no await, clock, file, socket or log line; the standard library and cryptography only."""
