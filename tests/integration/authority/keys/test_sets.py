"""Who can open the log, by the commands that make it so: several custodians, and a bundle across a change of sets.

The box is a real one: settings and state in a folder, its log sealed by the product's own pipeline to whatever set its
files name, exported by its own command.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority.keys import recipients as sets
from edge_scanner.authority.keys.weeks import weeks_from
from edge_scanner.core import signed
from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.device import settings
from edge_scanner.device.central import recipient_sets
from tests.support import release_vector
from tests.support.custody import Office
from tests.support.release_vector import HOUR_S, LENGTH_S, ORDERED_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.authority import Outcome

LEFT, RIGHT = "left", "right"
"""Two custodians' folders."""
pytestmark = pytest.mark.usefixtures("cheap")


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Office]:
    """An authority and two custodians."""
    with contextlib.chdir(tmp_path):
        yield Office(tmp_path, (LEFT, RIGHT))


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Office]:
    """An authority and one custodian."""
    with contextlib.chdir(tmp_path):
        yield Office(tmp_path, (LEFT,))


def test_a_set_of_two_custodians_takes_three_signatures(two: Office) -> None:
    """Each sees all parties; with one signature short a box seals nothing, and no tool lists the set."""
    shown = two.propose().stdout
    half = two.countersign(1, RIGHT, "1.proposed", "half.json").stdout
    release_roots = ("--authority-root", "authority-root.pem", "--custodian-root", "custodian-root.pem")
    shutil.copy("half.json", "recipients.json")
    with pytest.raises(ConfigurationError, match="nobody to seal a log to"):
        two.seal()
    shutil.rmtree("state")
    assert "no valid signature" in two("recipients", "list", "half.json", *release_roots, code=65).stderr

    whole = two.countersign(1, LEFT, "half.json", "1.json").stdout

    for text in ("Sở Y tế: recipient", "left: custodian-", "right: custodian-", "version 1"):
        assert text in shown
        assert text in half
    assert "recipient; custodian-1; custodian-2" in shown
    assert "signed by 2 parties; 1 more must sign it" in half
    assert "signed by 3 parties; boxes take it" in whole
    assert "version 1" in two("recipients", "list", "1.json", *release_roots).stdout
    shutil.copy("1.json", "recipients.json")
    two.seal()
    found = recipient_sets.read(settings.load(two.folder / "scanner.toml").log, two.folder / "state").recipients
    assert found is not None
    assert (len(found.parties), found.parts) == (3, (("recipient",), ("custodian-1",), ("custodian-2",)))


@pytest.mark.parametrize("any_custodian", [False, True], ids=["each", "any"])
def test_two_custodians_open_what_the_set_says(two: Office, *, any_custodian: bool) -> None:
    """From keys to opened minutes: with "each" no one of them is enough, with "any" either is; none is never enough."""
    two.propose(*(["--any-custodian"] if any_custodian else []))
    two.countersign(1, LEFT, "1.proposed", "half.json")
    two.countersign(1, RIGHT, "half.json", "1.json")
    shutil.copy("1.json", "recipients.json")
    two.seal()
    release_vector.order(two.folder, two.start_s)
    held = ("--recipients", "1.json", "--root", "authority-root.pem", *two.roots())
    assert two("verify", "bundle", "--boxes", "boxes.csv", *held, "--lang", "en").code == 0

    two.release(LEFT)
    two.release(RIGHT)

    empty = json.loads((two.folder / f"{LEFT}.release").read_bytes()) | {"shares": []}
    (two.folder / "nobody.release").write_bytes(signed.canonical(empty) + b"\n")
    assert "every party must release" in two.open("nobody", code=65).stderr
    alone = [two.open(name, code=0 if any_custodian else 65) for name in (LEFT, RIGHT)]
    together = two.open(LEFT, RIGHT)
    assert together.stdout.startswith("opened: 10 minutes of 1 box,")
    if any_custodian:
        assert [done.stdout for done in alone] == [together.stdout] * 2
    else:
        assert all("every party must release" in done.stderr for done in alone)


def test_keys_of_no_known_custodian_are_put_into_no_set(two: Office) -> None:
    """Weekly keys that lie beside no root, and a custodian without keys, are named before anybody signs."""
    two.secretly("keys", "new", "desk", "--role", "custodian", "--name", "Ai đó", "--weeks", 2)
    assert "which custodian's keys these are: Ai đó" in two.propose(code=65).stderr
    for path in (two.folder / "desk").glob("custodian-*"):
        path.unlink()
    for path in (two.folder / RIGHT).glob("custodian-*-*.pub"):
        path.unlink()
    told = two.propose(code=65).stderr
    assert "keys for the same weeks" in told
    assert "none" in told


def test_a_renewal_keeps_the_parties_and_how_many_open(two: Office) -> None:
    """The next set of "any of two" is "any of two"; without one of them it is no renewal."""
    two.propose("--any-custodian")
    two.countersign(1, LEFT, "1.proposed", "half.json")
    two.countersign(1, RIGHT, "half.json", "1.json")
    two.weekly(weeks_from(two.week, 3)[2])

    shown = two.renew().stdout
    two.countersign(2, RIGHT, "2.proposed", "2.half")
    two.countersign(2, LEFT, "2.half", "2.json")

    assert "recipient; custodian-1 hoặc / or custodian-2" in shown
    pinned = sets.read_roots(two.folder / "authority-root.pem", [two.folder / "custodian-root.pem"])
    old, new = (sets.read(two.folder / f"{version}.json", pinned) for version in (1, 2))
    with pytest.raises(BadDataError, match="opened by others"):
        sets.check_renewal(new, replace(old, parts=(("recipient",), ("custodian-1",), ("custodian-2",))), 0.0)
    two.custodians = (LEFT,)
    (two.folder / "2.proposed").unlink()
    assert "not those whose roots are pinned" in two.renew(code=65).stderr


def test_a_bundle_across_a_change_of_sets_verifies_and_opens(one: Office) -> None:
    """Version 1, then version 2 with new keys: with either set alone the words accuse nobody, with both all holds."""
    one.propose()
    one.countersign(1, LEFT, "1.proposed", "1.json")
    shutil.copy("1.json", "recipients.json")
    one.seal()
    one.weekly(weeks_from(one.week, 3)[2])
    one.renew()
    one.countersign(2, LEFT, "2.proposed", "2.json")
    # As the box keeps what came over MQTT.
    shutil.copy("2.json", one.folder / "state" / recipient_sets.RECEIVED)
    later_s = one.start_s // HOUR_S * HOUR_S + 2 * HOUR_S
    one.seal_on(later_s)
    whole = later_s + LENGTH_S
    across = ("--from", utc(one.start_s), "--to", utc(whole), "--config", "scanner.toml")
    release_vector.order(one.folder, one.start_s)
    shutil.rmtree("bundle")
    release_vector.program("device", "log", "export", "bundle", *across, folder=one.folder)

    def verify(*names: str, code: int = 0) -> Outcome:
        given = [word for name in names for word in ("--recipients", name)]
        pinned = ("--root", "authority-root.pem", *one.roots())
        return one("verify", "bundle", "--boxes", "boxes.csv", *given, *pinned, "--lang", "en", code=code)

    sealed = {missing: verify(f"{given}.json", code=65) for missing, given in ((1, 2), (2, 1))}
    both = verify("1.json", "2.json")

    for version, done in sealed.items():
        told = done.stdout + done.stderr
        assert f"sealed to recipient set version {version}" in told
        assert "give that version as well" in told
        for accusation in ("nobody signed", "Do not use", "keep it as evidence"):
            assert accusation not in told
    assert "✔" in both.stdout
    one.release(LEFT)
    assert one.open(LEFT).stdout.startswith("opened: 10 minutes of 1 box,")
    report = json.loads(verify_json(one))
    assert report["holds"]
    assert report["boxes"][0]["recipients_checked"]
    assert ORDERED_S[1] < LENGTH_S


def verify_json(office: Office) -> str:
    """The same verdict for programs."""
    sets = ("--recipients", "1.json", "--recipients", "2.json", "--root", "authority-root.pem", *office.roots())
    return office("verify", "bundle", "--boxes", "boxes.csv", *sets, "--json").stdout


def utc(at_s: int) -> str:
    """As `log export` takes it."""
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%dT%H:%MZ}"
