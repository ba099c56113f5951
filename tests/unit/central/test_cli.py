"""edge-central: on a machine without the centre's packages, and without the name that a key needs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_witness_s_key_gets_no_name_that_was_made_up(tmp_path: Path) -> None:
    """Without a name, and with one that no tool would read, there is one line and no key."""
    key = tmp_path / "witness.key"
    run = "from edge_scanner.central.cli import main; main()"

    for words, code, said in (([], 2, "--name"), (["--name", "two words"], 78, "1 to 100 letters")):
        command = [sys.executable, "-c", run, "key", str(key), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, said in done.stderr, key.exists()) == (code, True, False), done.stderr
