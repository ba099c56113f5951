"""Everybody's machines of one authority and its custodians in one folder, by the commands; the box's log is real."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_scanner import protocols
from edge_scanner.device import settings
from edge_scanner.device.commands.replay_log import sealed_replay
from edge_scanner.device.simulation.crowd import Crowd, CrowdPlan
from tests.support import release_vector
from tests.support.authority import Outcome, edge_authority, told
from tests.support.release_vector import LENGTH_S, PASSPHRASE

if TYPE_CHECKING:
    from pathlib import Path

ORDER = (
    "--request", "approved.json", "--root", "authority-root.pem", "--boxes", "boxes.csv", "--not-pulled", "a stick",
    "--passphrase-file", "passphrase",
)  # fmt: skip


class Office:
    """All machines' files in one folder, which is the working folder; the evening began at `start_s`."""

    def __init__(self, folder: Path, custodians: tuple[str, ...]) -> None:
        self.folder = folder
        self.custodians = custodians
        self.start_s = release_vector.evening(time.time())
        self.week = "{}-W{:02}".format(*datetime.fromtimestamp(self.start_s, UTC).isocalendar()[:2])
        (folder / "passphrase").write_text(f"{PASSPHRASE}\n")
        self.secretly("keys", "root", "root", "--name", "Sở Y tế")
        shutil.copy(folder / "root" / "authority-root.pem", folder)
        for role in ("health-officer", "approver"):
            made = self.secretly("keys", "new", "signers", "--role", role, "--name", role)
            self.secretly(
                "keys", "certify", f"signers/{role}.pub", "--root", "root/root.key", "--authority", "authority-hcm",
                "--out", f"{role}.mandate", "--words", told(made.stdout),
            )  # fmt: skip
        for name in custodians:
            self.secretly("keys", "root", name, "--custodian", "--name", f"Trung tâm {name}")
        self.weekly(self.week)
        pinned = b"".join((folder / name / "custodian-root.pem").read_bytes() for name in custodians)
        (folder / "custodian-root.pem").write_bytes(pinned)

    def __call__(self, *words: object, code: int = 0) -> Outcome:
        """`edge-authority`, which must end with `code`."""
        done = edge_authority(*words)
        assert done.code == code, done
        return done

    def secretly(self, *words: object, code: int = 0) -> Outcome:
        """The same with the passphrase."""
        return self(*words, "--passphrase-file", "passphrase", code=code)

    def weekly(self, week: str) -> None:
        """Two weeks' opening keys of every party."""
        for name, role in (("desk", "recipient"), *((name, "custodian") for name in self.custodians)):
            self.secretly("keys", "new", name, "--role", role, "--name", name, "--weeks", 2, "--from-week", week)

    def roots(self) -> tuple[str, ...]:
        """The custodians' roots, as the authority names them."""
        return tuple(word for name in self.custodians for word in ("--custodian-root", f"{name}/custodian-root.pem"))

    def propose(self, *more: object, code: int = 0) -> Outcome:
        """The first set, signed by the authority."""
        words = ("recipients", "sign", "desk", "--root", "root/root.key", *self.roots(), "--version", 1)
        return self.secretly(*words, "--out", "1.proposed", *more, code=code)

    def renew(self, *more: object, code: int = 0) -> Outcome:
        """The second set."""
        words = ("recipients", "renew", "1.json", "desk", "--root", "root/root.key", *self.roots())
        pinned = ("--authority-root", "authority-root.pem")
        return self.secretly(*words, *pinned, "--out", "2.proposed", *more, code=code)

    def countersign(self, version: int, name: str, source: str, target: str, code: int = 0) -> Outcome:
        """A custodian's signature."""
        return self.secretly(
            "recipients", "countersign", source, name, "--root", f"{name}/custodian-root.key",
            "--authority-root", "authority-root.pem", "--version", version, "--out", target, code=code,
        )  # fmt: skip

    def seal(self) -> None:
        """The evening into the box's log; it takes the set from its file."""
        release_vector.seal(self.folder, self.start_s)

    def seal_on(self, at_s: float) -> None:
        """Twenty minutes more, by a run of its own."""
        box = settings.load(self.folder / "scanner.toml")
        crowd = Crowd(CrowdPlan(devices=3.0, duration_s=float(LENGTH_S)), seed=1, start_s=at_s)
        with sealed_replay(box.log, self.folder / "state", protocols.load(box.radio.protocols)) as take:
            for advert in crowd.adverts():
                take(advert)

    def release(self, name: str, code: int = 0) -> Outcome:
        """A custodian's part."""
        words = ("custodian", "release", "bundle", *ORDER, "--keys", name, "--out", f"{name}.release")
        return self(*words, "--confirm", "1 0:10", code=code)

    def open(self, *names: str, code: int = 0) -> Outcome:
        """The minutes, with these custodians' parts."""
        given = [word for name in names for word in ("--release", f"{name}.release")]
        (self.folder / "opened").unlink(missing_ok=True)
        return self("open", "bundle", *ORDER, "--keys", "desk", *given, "--out", "opened", code=code)
