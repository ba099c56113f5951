"""Runs at the centre: keeps what boxes publish, once, and is the witness of their logs. It opens no log."""
