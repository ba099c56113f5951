"""What `edge-authority` does: one file per command group; names, options and help stand in ../cli.py."""

__all__ = ["boxes", "match", "options", "progress", "pull", "release", "unseal"]
