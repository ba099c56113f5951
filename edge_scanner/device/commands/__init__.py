"""What `edge-scanner` does besides running: one file per command group, each a plain function."""

__all__ = [
    "adoption",
    "calibrate",
    "doctor",
    "enrol",
    "figures",
    "kiosk",
    "log",
    "log_export",
    "log_status",
    "ops_pin",
    "privacy",
    "renew",
    "replay",
    "replay_log",
    "setup",
    "statement",
]
