"""What `edge-scanner` does besides running: one file per command group, each a plain function."""
