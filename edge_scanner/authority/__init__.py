"""Runs at the health authority: the only code that can open a segment."""
