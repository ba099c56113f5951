"""What every program of the box owes the machine it runs on: log lines, clocks, signals, files, locked memory."""

__all__ = ["clock", "credentials", "journal", "memory", "pin_file", "supervise", "unhurried"]
