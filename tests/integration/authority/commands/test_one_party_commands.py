"""What one party can do alone with the programs, in any order: it never opens a frame.

The party sits at its own machine with everything that is its own, keys and passphrase, root included, with every public
file, the box's bundle and a shell on the box itself: its database, its card, its identity key. It signs what it likes,
makes roots, mandates, keys, sets and orders of its own, puts files before the box, takes hours from its card and signs
them as an answer, and releases and opens with whatever lies about. Only everybody else's private keys are not there.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import time
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_scanner.authority.keys import vault
from edge_scanner.authority.keys.keys import read_public
from edge_scanner.core import signed
from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.errors import EdgeScannerError
from edge_scanner.core.log import bundle
from edge_scanner.core.pull import request as requests
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.enrolment.identity import open_identity
from tests.support import release_vector
from tests.support.authority import Outcome, edge_authority
from tests.support.cheap_lock import cheap_lock
from tests.support.custody import ORDER, Office
from tests.support.release_vector import HOUR_S, LENGTH_S

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
PARTIES = {
    "authority": ("root", "signers", "desk"),
    "approver": ("signers/approver.key",),
    "box": (),
    "custodian": ("keeper",),
    "officer": ("signers/health-officer.key", "desk"),
}
"""Whose keys each party has. Every party has the box's, as its root or as a thief of its card: "box" has no others."""
KEYS = ("desk", "keeper", "mine", "theirs")
ROOTS = ("authority-root.pem", "mine/authority-root.pem")
CUSTODIAN_ROOTS = ("custodian-root.pem", "mine/custodian-root.pem")
ORDERS = ("approved.json", "own.json", "request.json")
SETS = ("1.json", "own.set", "own.proposed")
BUNDLES = ("bundle", "bundle-2", "card")


@pytest.fixture(scope="module", autouse=True)
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A box that sealed an evening to both parties, and an order for ten minutes of it: the control opens them."""
    folder, honest = tmp_path_factory.mktemp("office"), vault.new_lock
    vault.new_lock = cheap_lock
    try:
        with contextlib.chdir(folder):
            made = Office(folder, ("keeper",))
            made.propose()
            made.countersign(1, "keeper", "1.proposed", "1.json")
            shutil.copy("1.json", "recipients.json")
            made.seal()
            release_vector.order(folder, made.start_s)
            (folder / "start").write_text(str(made.start_s))
        OneParty.office = folder
        yield folder
    finally:
        vault.new_lock = honest


def records(opened: Path) -> int:
    """Minutes and encounters in a file of opened records."""
    with contextlib.closing(sqlite3.connect(opened)) as database:
        return sum(database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("minute", "encounter"))


class OneParty(RuleBasedStateMachine):
    """The party's machine is the working folder."""

    office: Path

    @initialize(party=st.sampled_from(sorted(PARTIES)))
    def begin(self, party: str) -> None:
        """Everything public, the box with its state, and the party's own keys."""
        self.teardown()
        self.place = TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = Path(self.place.name) / "machine"
        shutil.copytree(self.office, self.folder)
        kept = tuple(self.folder / name for name in (*PARTIES[party], "state"))
        for path in list(self.folder.rglob("*.key")):
            if not any(path == own or own in path.parents for own in kept):
                path.unlink()
        if party == "custodian":
            for name in ("approved.json", "request.json"):
                (self.folder / name).unlink()
        self.start_s = int((self.folder / "start").read_text())
        self.week = "{}-W{:02}".format(*datetime.fromtimestamp(self.start_s, UTC).isocalendar()[:2])
        self.opened: list[Outcome] = []
        self.sealed_s = self.start_s // HOUR_S * HOUR_S + 2 * HOUR_S - LENGTH_S
        self.run("keys", "root", "mine", "--name", "Mine")
        self.run("keys", "root", "mine", "--custodian", "--name", "Mine, too")
        for role in ("health-officer", "approver"):
            self.run("keys", "new", "mine", "--role", role, "--name", role)
        for folder, role in (("mine", "recipient"), ("theirs", "custodian")):
            self.run("keys", "new", folder, "--role", role, "--name", role, "--weeks", 2, "--from-week", self.week)

    def teardown(self) -> None:
        """The machine is taken away."""
        if hasattr(self, "place"):
            self.place.cleanup()

    def run(self, *words: object) -> Outcome:
        """A command with the passphrase, whatever becomes of it."""
        with contextlib.chdir(self.folder):
            return edge_authority(*words, "--passphrase-file", "passphrase")

    @rule(
        root=st.sampled_from(["root/root.key", "mine/root.key"]),
        folders=st.sampled_from([("desk", "keeper"), ("desk", "theirs"), ("mine", "theirs"), ("mine", "keeper")]),
        custodian=st.sampled_from(CUSTODIAN_ROOTS),
        any_custodian=st.booleans(),
    )
    def sign_a_set(self, root: str, folders: tuple[str, str], custodian: str, *, any_custodian: bool) -> None:
        """A set of any keys under any root at hand."""
        self.drop("own.proposed")
        more = ("--any-custodian",) if any_custodian else ()
        self.run(
            "recipients", "sign", *folders, "--root", root, "--custodian-root", custodian, "--version", 2,
            "--out", "own.proposed", *more,
        )  # fmt: skip

    @rule(
        source=st.sampled_from(SETS),
        root=st.sampled_from(["keeper/custodian-root.key", "mine/custodian-root.key", "root/root.key"]),
        folder=st.sampled_from(KEYS),
        authority=st.sampled_from(ROOTS),
        version=st.sampled_from([1, 2]),
    )
    def countersign(self, source: str, root: str, folder: str, authority: str, version: int) -> None:
        """A second signature by any root at hand."""
        self.drop("own.set")
        self.run(
            "recipients", "countersign", source, folder, "--root", root, "--authority-root", authority,
            "--version", version, "--out", "own.set",
        )  # fmt: skip

    @rule(which=st.sampled_from(SETS), pinned=st.booleans())
    def give_the_box_a_set(self, which: str, *, pinned: bool) -> None:
        """Into the file that came over MQTT, or that was installed; the box seals another twenty minutes."""
        source = self.folder / which
        if not source.exists():
            return
        target = "recipients.json" if pinned else f"state/{recipient_sets.RECEIVED}"
        shutil.copy(source, self.folder / target)
        box = Office.__new__(Office)
        box.folder = self.folder
        begins_s = self.sealed_s + LENGTH_S
        if begins_s + LENGTH_S > time.time():
            return
        self.sealed_s = begins_s
        with contextlib.chdir(self.folder), contextlib.suppress(EdgeScannerError):
            box.seal_on(begins_s)
            self.export("bundle-2", begins_s)

    def export(self, name: str, begins_s: float, *more: str) -> None:
        """Twenty minutes of the box's log, in the working folder."""
        shutil.rmtree(name, ignore_errors=True)
        times = [f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%MZ}" for at_s in (begins_s, begins_s + LENGTH_S)]
        words = ("--from", times[0], "--to", times[1], "--config", "scanner.toml", *more)
        release_vector.program("device", "log", "export", name, *words, folder=self.folder)

    @rule(which=st.sampled_from(["", *ORDERS]))
    def take_from_the_card(self, which: str) -> None:
        """The evening, read without a trace, and signed by the box's key as the answer to an order, or to none."""
        with contextlib.chdir(self.folder):
            self.export("card", self.start_s, "--read-only")
            if not which or not Path(which).exists():
                return
            asked = requests.read(Path(which).read_bytes().rstrip(b"\n"))
            manifest = Path("card") / bundle.MANIFEST_NAME
            body = json.loads(manifest.read_bytes())["body"]
            body |= {"request": asked.request.digest.hex(), "from": asked.request.from_s, "to": asked.request.to_s}
            key = open_identity(Path("state"), configured_id=release_vector.DEVICE).key
            manifest.write_bytes(signed.sign(body, label=bundle.LABEL, keys=[key]))

    @rule(root=st.sampled_from(["root/root.key", "mine/root.key"]), folder=st.sampled_from(["signers", "mine"]))
    def give_oneself_both_mandates(self, root: str, folder: str) -> None:
        """Health officer and approver, by any root at hand."""
        for role in ("health-officer", "approver"):
            self.drop(f"{role}.mandate")
            given = ("--root", root, "--authority", "authority-hcm", "--out", f"{role}.mandate")
            own = fingerprints.words(read_public(self.folder / folder / f"{role}.pub").public)
            self.run("keys", "certify", f"{folder}/{role}.pub", *given, "--words", own)

    @rule(root=st.sampled_from(ROOTS), folder=st.sampled_from(["signers", "mine"]), late=st.booleans())
    def order(self, root: str, folder: str, *, late: bool) -> None:
        """An order of one's own with both signatures, for the first minutes or for those that were sealed last."""
        begins_s = self.sealed_s if late else self.start_s
        times = [f"{datetime.fromtimestamp(begins_s + s, UTC):%Y-%m-%dT%H:%M+00:00}" for s in (0, LENGTH_S)]
        self.drop("once.json")
        self.drop("own.json")
        words = ("--case", "A", "--legal-basis", "L", "--purpose", "P", "--site", "ben-xe", "--boxes", "boxes.csv")
        signer = ("--root", root, "--key", f"{folder}/health-officer.key", "--mandate", "health-officer.mandate")
        self.run("request", "new", *words, "--from", times[0], "--to", times[1], *signer, "--out", "once.json")
        second = ("--root", root, "--key", f"{folder}/approver.key", "--mandate", "approver.mandate")
        self.run("request", "approve", "once.json", *second, "--out", "own.json", "--confirm", "1 0:20")

    def ask_for_the_minutes_sealed_last(self) -> None:
        """Everything that opens them if the box has taken a set of one's own."""
        self.give_oneself_both_mandates(root="mine/root.key", folder="mine")
        self.order(root=ROOTS[1], folder="mine", late=True)
        for keys in ("keeper", "theirs"):
            self.release(bundle="bundle-2", which="own.json", root=ROOTS[1], keys=keys)
            for own in ("desk", "mine"):
                self.open(bundle="bundle-2", which="own.json", root=ROOTS[1], keys=own, releases=[keys])
        self.nothing_is_open()

    @rule(
        bundle=st.sampled_from(BUNDLES),
        which=st.sampled_from(ORDERS),
        root=st.sampled_from(ROOTS),
        keys=st.sampled_from(KEYS),
    )
    def release(self, bundle: str, which: str, root: str, keys: str) -> None:
        """The custodian's command with any keys at hand."""
        self.drop(f"{keys}.release")
        self.run(
            "custodian", "release", bundle, *self.judged(which, root), "--keys", keys, "--out", f"{keys}.release",
            "--confirm", "1 0:10" if which == "approved.json" else "1 0:20",
        )  # fmt: skip

    @rule(
        bundle=st.sampled_from(BUNDLES),
        which=st.sampled_from(ORDERS),
        root=st.sampled_from(ROOTS),
        keys=st.sampled_from(KEYS),
        releases=st.lists(st.sampled_from(KEYS), max_size=2, unique=True),
    )
    def open(self, bundle: str, which: str, root: str, keys: str, releases: list[str]) -> None:
        """With any keys and releases at hand."""
        self.drop("opened")
        given = [word for name in releases for word in ("--release", f"{name}.release")]
        words = (*self.judged(which, root), "--keys", keys, *given, "--out", "opened")
        self.opened.append(self.run("open", bundle, *words))

    def judged(self, which: str, root: str) -> tuple[str, ...]:
        """The options of an order."""
        return ("--request", which, "--root", root, "--boxes", "boxes.csv", "--not-pulled", "a stick")

    def drop(self, name: str) -> None:
        """Files are not overwritten."""
        (self.folder / name).unlink(missing_ok=True)

    @rule(which=st.sampled_from(ORDERS), root=st.sampled_from(ROOTS))
    def open_with_all_that_is_on_the_card(self, which: str, root: str) -> None:
        """The box's keys in the place of a party's, and the box's folder in that of a release."""
        self.drop("opened")
        for release in sorted((self.folder / "state").iterdir()):
            words = (*self.judged(which, root), "--keys", "state", "--release", release, "--out", "opened")
            self.opened.append(self.run("open", "card", *words))

    @invariant()
    def nothing_is_open(self) -> None:
        """No file with a record, and no command that says that it opened one.

        A bundle without a segment of the hours asked for gives a file without records: they count as unheard.
        """
        if hasattr(self, "folder"):
            found = self.folder / "opened"
            assert not found.exists() or records(found) == 0
            said = [done.stdout for done in self.opened if done.code == 0]
            assert [line for line in said if not line.startswith("opened: 0 minutes of 1 box, 0 encounters")] == []


SHORT = settings(
    max_examples=3,
    stateful_step_count=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
TestOneParty = OneParty.TestCase
TestOneParty.settings = SHORT


@pytest.mark.system
class TestOnePartyAtLength(OneParty.TestCase):  # type: ignore[misc, valid-type]
    """The same, by more chance."""

    settings = settings(SHORT, max_examples=10)


@pytest.mark.parametrize("party", sorted(PARTIES))
def test_the_way_of_the_strongest_party_ends_before_the_box(office: Path, party: str) -> None:
    """Each party alone, straight on: mandates, order, a set under a custodian of its own, the card, release, open."""
    del office
    alone = OneParty()
    alone.begin(party=party)
    root = "root/root.key" if party == "authority" else "mine/root.key"
    for own in CUSTODIAN_ROOTS:
        alone.sign_a_set(root=root, folders=("desk", "theirs"), custodian=own, any_custodian=False)
        alone.countersign(
            source="own.proposed", root="mine/custodian-root.key", folder="theirs", authority=ROOTS[0], version=2
        )
        for which, pinned in product(("own.set", "own.proposed"), (False, True)):
            alone.give_the_box_a_set(which=which, pinned=pinned)
            if party in ("authority", "custodian"):
                alone.ask_for_the_minutes_sealed_last()
    for mandates, judge in (("root/root.key", ROOTS[0]), ("mine/root.key", ROOTS[1])):
        alone.give_oneself_both_mandates(root=mandates, folder="mine")
        for late in (False, True):
            alone.order(root=judge, folder="mine", late=late)
            alone.take_from_the_card(which="own.json")
            alone.open_with_all_that_is_on_the_card(which="own.json", root=judge)
            for name in BUNDLES:
                for keys in KEYS:
                    alone.release(bundle=name, which="own.json", root=judge, keys=keys)
                for keys in KEYS:
                    alone.open(bundle=name, which="own.json", root=judge, keys=keys, releases=list(KEYS[:2]))
                    alone.open(bundle=name, which="own.json", root=judge, keys=keys, releases=["theirs"])
    alone.nothing_is_open()
    assert len(alone.opened) > 96
    alone.teardown()


def test_a_machine_with_the_keys_of_both_is_noticed(office: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps that fail above open the minutes once the other's keys are there, and the invariant sees it."""
    del office
    monkeypatch.setitem(PARTIES, "both", ("desk", "keeper"))
    both = OneParty()
    both.begin(party="both")
    both.take_from_the_card(which="approved.json")
    both.release(bundle="card", which="approved.json", root=ROOTS[0], keys="keeper")
    both.nothing_is_open()
    both.open(bundle="card", which="approved.json", root=ROOTS[0], keys="desk", releases=["keeper"])
    assert records(both.folder / "opened") > 10
    with pytest.raises(AssertionError, match="records"):
        both.nothing_is_open()
    both.teardown()


def test_both_parties_together_open_the_minutes(office: Path) -> None:
    """The control: the same commands with the keys of both."""
    with contextlib.chdir(office):
        out = ("--out", "keeper.release", "--confirm", "1 0:10")
        released = edge_authority("custodian", "release", "bundle", *ORDER, "--keys", "keeper", *out)
        assert released.code == 0, released
        done = edge_authority(
            "open", "bundle", *ORDER, "--keys", "desk", "--release", "keeper.release", "--out", "opened"
        )
        for path in (office / "opened", office / "keeper.release", *(office / "keeper").glob("register*")):
            path.unlink()
    assert done.stdout.startswith("opened: 10 minutes of 1 box,")
