"""A day with the installed programs alone: `PYTHON product.py FOLDER`, where PYTHON is the environment's own.

Imports nothing of this repository: it is copied to where the sources are out of reach. FOLDER holds `capture.btsnoop`
with one Exposure Notification phone. Prints `well` at the end; what is not as it should be is an AssertionError.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("edge-scanner", "edge-authority", "edge-provision")
LANGUAGES = {
    "LANG": "C.UTF-8",
    "COLUMNS": "200",
    "PYTHONSAFEPATH": "1",
    "EDGE_PROVISION_PASSPHRASE": "mat-khau-thu",
} | {"EDGE_PROVISION_BATCH_PASSPHRASE": "mat-khau-cua-lo"}


def run(*words: str | Path) -> str:
    """One of the environment's programs, which must end well; stdout."""
    program = Path(sys.executable).parent / str(words[0])
    done = subprocess.run(
        [program, *words[1:]], capture_output=True, text=True, check=False, env=os.environ | LANGUAGES
    )
    assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def main(folder: Path) -> None:
    """Who are you, what can you do, then a capture, keys, a fleet, a batch and its labels."""
    os.chdir(folder)
    versions = {run(program, "--version") for program in PROGRAMS}
    assert len(versions) == 1, versions
    for program in PROGRAMS:
        assert "Example:" in run(program, "--help")
    for package in ("edge_scanner", "provisioning"):
        where = run("python", "-c", f"import {package}; print({package}.__file__)").strip()
        assert "site-packages" in where, where
        assert Path(where).with_name("py.typed").exists()

    heard = json.loads(run("edge-scanner", "replay", "capture.btsnoop", "--json"))
    assert "gaen" in json.dumps(heard), heard

    Path("words").write_text("mat-khau-thu\n")
    secret = ("--passphrase-file", "words")
    roots = [
        run("edge-authority", "keys", "root", "vault", *whose, *secret).rstrip().rpartition("; ")[2]
        for whose in (("--name", "Sở Y tế"), ("--custodian", "--name", "B"))
    ]
    run("edge-authority", "keys", "new", "desk", "--role", "recipient", "--name", "A", "--weeks", "4", *secret)
    run("edge-authority", "keys", "new", "other", "--role", "custodian", "--name", "B", "--weeks", "4", *secret)
    run("edge-authority", "keys", "split", "vault/root.key", "--need", "2", "--of", "3", "--out", "shares", *secret)
    custodian = ("--custodian-root", "vault/custodian-root.pem")
    sets = ("desk", "other", "--root", "vault/root.key", *custodian, "--version", "1", "--out", "proposed.json")
    run("edge-authority", "recipients", "sign", *sets, *secret)
    run(
        "edge-authority", "recipients", "countersign", "proposed.json", "other", "--root", "vault/custodian-root.key",
        "--authority-root", "vault/authority-root.pem", "--version", "1", "--out", "recipients.json", *secret,
    )  # fmt: skip

    Path("sites.csv").write_text("site,room,name_vi,name_en\ncho-ben-thanh,,Chợ Bến Thành,Ben Thanh Market\n")
    words = ("--hotline", "028 3829 4000", "--label-address", "HTTPS://Q.HCM.TEST/D/")
    run("edge-provision", "fleet", "new", "thu", "--broker", "127.0.0.1:8883", *words, "--fleet", "fleet")
    Path("edge-scanner_1_arm64.deb").write_bytes(b"what a card carries along")
    run(
        "edge-provision", "batch", "new", "B-014", "--sites", "sites.csv", "--count", "3", "--authority-root",
        "vault/authority-root.pem", *custodian, "--recipients", "recipients.json", "--fleet", "fleet",
        "--out", "batch.zip", "--software", "edge-scanner_1_arm64.deb",
        "--root-words", roots[0], "--root-words", roots[1],
    )  # fmt: skip
    # A label needs a box: one that a card makes at its first start.
    Path("boot").mkdir()
    run("edge-provision", "card", "batch.zip", "boot", "--home", "laptop")
    assert "1 label" in run("edge-provision", "label", "batch.zip", "--home", "laptop", "--out", "labels.html")
    assert "Chợ Bến Thành" in Path("labels.html").read_text()
    print("well")  # noqa: T201 (what the caller waits for)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
