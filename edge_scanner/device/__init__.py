"""Runs on the box: everything that awaits, one importing file per I/O library."""
