"""What `edge-central` does: one file per command, each a plain function; names, options and help stand in ../cli.py."""

__all__ = ["collect", "database", "evidence", "key", "serve", "tell_time", "user"]
