"""edge-provision and edge-scanner as people type them: a fleet with a batch, a bench as a process, a box."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from edge_scanner.core import signed
from edge_scanner.core.enrolment import fingerprints
from tests.support.recipients import parties

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROVISION = [sys.executable, "-m", "provisioning.cli"]
BOX = [sys.executable, "-m", "edge_scanner.device.cli"]
ENVIRONMENT = os.environ | {
    "EDGE_PROVISION_PASSPHRASE": "mat-khau-thu",
    "EDGE_PROVISION_BATCH_PASSPHRASE": "mat-khau-cua-lo",
    "COLUMNS": "160",
    "LANG": "vi_VN.UTF-8",
}


def run(*command: str | Path, expect: int = 0, prefix: tuple[str, ...] = ()) -> str:
    """What the command says; it must end with that exit code."""
    done = subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout


def root_words(*pems: Path) -> tuple[str, ...]:
    """`batch new`'s option for scripts: what the bodies whose roots these are tell of them."""
    keys = [signed.verify_keys(pem.read_bytes())[0].public_bytes_raw() for pem in pems]
    return tuple(word for key in keys for word in ("--root-words", fingerprints.words(key)))


def make_batch(tmp_path: Path) -> Path:
    """A fleet and a batch of four in this folder, made by the commands; the batch's file."""
    who = parties(time.time())
    (tmp_path / "root.pem").write_bytes(who.root_pem)
    (tmp_path / "custodian.pem").write_bytes(who.custodian_pem)
    (tmp_path / "recipients.json").write_bytes(who.document)
    with (tmp_path / "sites.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("site", "room", "name_vi", "name_en"))
        rows.writerow(("ben-xe-mien-dong", "Cửa 3", "Bến xe Miền Đông", "Eastern Bus Station"))
        rows.writerow(("cho-ben-thanh", "", "Chợ Bến Thành", "Ben Thanh Market"))
    fleet = tmp_path / "fleet"
    run(
        *PROVISION, "fleet", "new", "thu", "--broker", "127.0.0.1:8883", "--fleet", fleet,
        "--hotline", "028 3829 4000", "--label-address", "HTTPS://Q.HCM.TEST/D/",
    )  # fmt: skip
    target = tmp_path / "batch-B-014.zip"
    run(
        *PROVISION, "batch", "new", "B-014", "--sites", tmp_path / "sites.csv", "--count", "4",
        "--authority-root", tmp_path / "root.pem", "--custodian-root", tmp_path / "custodian.pem",
        "--recipients", tmp_path / "recipients.json",
        "--fleet", fleet, "--out", target, *root_words(tmp_path / "root.pem", tmp_path / "custodian.pem"),
    )  # fmt: skip
    return target


@contextmanager
def bench(
    batch: Path, *options: str, prefix: tuple[str, ...] = (), stderr: IO[str] | int = subprocess.PIPE
) -> Iterator[int]:
    """`bench start` as a process; its port."""
    process = subprocess.Popen(
        [*prefix, *PROVISION, "bench", "start", str(batch), "--home", str(batch.parent / "laptop"), *options],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env=ENVIRONMENT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.search(r"port (\d+)", line)
        assert match, line + (process.stderr.read() if process.stderr else "")
        yield int(match[1])
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def card_image(batch: Path, folder: Path) -> None:
    """What the batch's card image has in it: the secret, as `bench secret` writes it."""
    (folder / "etc").mkdir(parents=True)
    run(*PROVISION, "bench", "secret", batch, "--home", batch.parent / "laptop", "--out", folder / "etc/enrol.secret")


def enrol(folder: Path, *options: str, expect: int = 0, prefix: tuple[str, ...] = ()) -> str:
    """`edge-scanner enrol` for a box whose files lie in this folder."""
    places = ("--etc", folder / "etc", "--state", folder / "state")
    return run(*BOX, "enrol", *places, "--no-self-test", "--no-set-clock", *options, expect=expect, prefix=prefix)
