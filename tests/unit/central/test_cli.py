"""edge-central on a machine without the centre's packages."""

from __future__ import annotations

import subprocess
import sys


def test_missing_packages_are_said_so() -> None:
    """A laptop has the program and not its packages: one line, exit 78; help works all the same."""
    hide = "import sys; sys.modules['sqlalchemy'] = None; sys.modules['jsonschema_rs'] = None; "
    run = "from edge_scanner.central.cli import main; sys.argv = ['edge-central', *sys.argv[1:]]; main()"

    done = subprocess.run([sys.executable, "-c", hide + run, "database"], capture_output=True, text=True, check=False)
    helped = subprocess.run([sys.executable, "-c", hide + run, "--help"], capture_output=True, text=True, check=False)

    assert done.returncode == 78, done
    assert "central.lock" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert helped.returncode == 0
