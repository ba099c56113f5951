"""The custodian's side: what is refused by his own clock, what the register keeps, and the explicit road for sticks."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.authority import translations
from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.collect.collection import Collection, State
from edge_scanner.authority.match import match, report
from edge_scanner.authority.open import opened, register
from edge_scanner.core.errors import BadDataError
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.pull.answer import Answer, sign_answer
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER
from tests.support.answered import NOW_S, OFFICE, Scene
from tests.support.authority import Outcome, edge_authority
from tests.support.office import DAY_S, HOUR_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("in_files")


def run(tmp_path: Path, *words: object, keys: str, now_s: float = NOW_S) -> Outcome:
    """`custodian release` or `open` with the files of the scene."""
    return edge_authority(
        *words, tmp_path / "bundles", "--request", tmp_path / "approved.json", "--root", tmp_path / "root.pem",
        "--boxes", tmp_path / "boxes.csv", "--keys", tmp_path / keys, "--passphrase-file", tmp_path / "secret",
        now_s=now_s,
    )  # fmt: skip


def release(tmp_path: Path, name: str, *more: object, now_s: float = NOW_S) -> Outcome:
    """The custodian's command."""
    return run(
        tmp_path, "custodian", "release", "--out", tmp_path / name, "--confirm", "1 1:40", *more,
        keys="custodian", now_s=now_s,
    )  # fmt: skip


async def test_a_release_is_entered_and_a_second_one_says_so(scene: Scene, tmp_path: Path) -> None:
    """The register has a signed line for each; the second names the time of the first, on the screen and for good."""
    first = await asyncio.to_thread(release, tmp_path, "one.release")
    again = await asyncio.to_thread(release, tmp_path, "two.release", now_s=NOW_S + HOUR_S)

    assert (first.code, again.code) == (0, 0), (first, again)
    assert "released before" not in first.stderr
    assert "released before" in again.stderr
    kept = register.read(tmp_path / "custodian")
    assert [entry.request for entry in kept.entries] == [scene.request.digest.hex()] * 2
    assert kept.entries[0].sources == {scene.box.identity.device_id: "pull"}
    shown = await asyncio.to_thread(edge_authority, "custodian", "register", tmp_path / "custodian", "--json")
    assert len(json.loads(shown.stdout)["entries"]) == 2
    plain = await asyncio.to_thread(edge_authority, "custodian", "register", tmp_path / "custodian")
    assert "2 releases" in plain.stdout


@pytest.mark.parametrize("how", ["changed", "first line gone", "swapped", "foreign key"])
async def test_a_register_that_was_touched_releases_nothing(scene: Scene, tmp_path: Path, how: str) -> None:
    """A changed byte, a line taken out, two in another order: named with the line, exit 65, no release."""
    assert scene.request
    for name in ("one.release", "two.release"):
        assert (await asyncio.to_thread(release, tmp_path, name)).code == 0
    path = tmp_path / "custodian" / register.REGISTER_NAME
    one, two = path.read_bytes().splitlines()
    lines = {
        "changed": [one.replace(b"HCM", b"HCX"), two],
        "first line gone": [two],
        "swapped": [two, one],
        "foreign key": [one, two],
    }[how]
    path.write_bytes(b"\n".join(lines) + b"\n")
    if how == "foreign key":
        (tmp_path / "custodian" / register.PUBLIC_NAME).write_text("zz")

    done = await asyncio.to_thread(release, tmp_path, "three.release")

    assert done.code == 65
    assert "register" in done.stderr
    assert not (tmp_path / "three.release").exists()


async def test_a_line_that_a_full_disk_cut_off_is_replaced_by_the_next(scene: Scene, tmp_path: Path) -> None:
    """The release of half a line was never written; it neither damages the register nor stays in it."""
    assert scene.request
    assert (await asyncio.to_thread(release, tmp_path, "one.release")).code == 0
    path = tmp_path / "custodian" / register.REGISTER_NAME
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])

    done = await asyncio.to_thread(release, tmp_path, "two.release")

    assert done.code == 0, done
    assert path.read_bytes().startswith(whole)
    assert len(register.read(tmp_path / "custodian").entries) == 2


@pytest.mark.parametrize("gone", ["last line", "all"])
async def test_a_register_whose_end_was_cut_off_releases_nothing(scene: Scene, tmp_path: Path, gone: str) -> None:
    """What is left is signed and whole, and yet this machine has seen more: exit 77, no release, no list."""
    assert scene.request
    for name in ("one.release", "two.release"):
        assert (await asyncio.to_thread(release, tmp_path, name)).code == 0
    keys = tmp_path / "custodian"
    path = keys / register.REGISTER_NAME
    if gone == "all":
        for own in (register.REGISTER_NAME, register.KEY_NAME, register.PUBLIC_NAME):
            (keys / own).unlink()
    else:
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    done = await asyncio.to_thread(release, tmp_path, "three.release")

    assert (done.code, str(path) in done.stderr, "older" in done.stderr) == (77, True, True)
    assert not (tmp_path / "three.release").exists()
    assert edge_authority("custodian", "register", keys).code == 77


@pytest.mark.parametrize(
    ("order", "code"),
    [
        ({"expires_s": NOW_S - 60}, "expired"),
        ({"from_s": NOW_S - 40 * HOUR_S}, "more than 24 hours"),
        ({"to_s": NOW_S + 14 * DAY_S, "from_s": NOW_S + 13 * DAY_S}, "not over yet"),
    ],
)
async def test_the_custodian_judges_by_his_own_clock(
    scene: Scene, tmp_path: Path, order: dict[str, Any], code: str
) -> None:
    """Expired orders, 336 hours, hours to come: refused before a key is opened."""
    request = replace(scene.request, **order)
    (tmp_path / "approved.json").write_bytes(OFFICE.signed(request))

    done = await asyncio.to_thread(release, tmp_path, "no.release")

    assert done.code == 77
    assert code in done.stderr
    assert not (tmp_path / "no.release").exists()


async def test_mandates_that_ran_out_release_nothing(scene: Scene, tmp_path: Path) -> None:
    """Two ex-officials date their order into the time of their mandates; one name in both roles is one person."""
    then_s = NOW_S - 3 * DAY_S
    old = [OFFICE.person(role, role, until_s=then_s + HOUR_S) for role in (HEALTH_OFFICER, APPROVER)]
    dated = replace(scene.request, not_before_s=then_s, expires_s=NOW_S + DAY_S)
    same = [OFFICE.person(role, "Same Person") for role in (HEALTH_OFFICER, APPROVER)]
    for document, code in (
        (OFFICE.signed(dated, *old), "a mandate is not valid now"),
        (OFFICE.signed(scene.request, *same), "one person"),
    ):
        (tmp_path / "approved.json").write_bytes(document)
        done = await asyncio.to_thread(release, tmp_path, "no.release")
        assert (done.code, code in done.stderr) == (77, True), done


async def test_the_figures_are_typed_or_nothing_is_released(scene: Scene, tmp_path: Path) -> None:
    """As the approver, the custodian signs what he has read."""
    assert scene.request
    done = await asyncio.to_thread(
        run, tmp_path, "custodian", "release", "--out", tmp_path / "no.release", "--confirm", "21 24", keys="custodian"
    )

    assert done.code == 77
    assert not (tmp_path / "no.release").exists()


async def test_a_stick_opens_only_by_the_explicit_road_and_the_report_says_so(scene: Scene, tmp_path: Path) -> None:
    """Without a reason it is refused; with one it stands in the register, on the screen and in the report."""
    scene.exported()
    refused = await asyncio.to_thread(release, tmp_path, "no.release")
    assert (refused.code, "not-pulled" in refused.stderr) == (77, True), refused

    done = await asyncio.to_thread(release, tmp_path, "yes.release", "--not-pulled", "box without network")
    assert done.code == 0, done
    assert "no entry in the box's trail" in done.stderr
    (entry,) = register.read(tmp_path / "custodian").entries
    assert (entry.sources, entry.reason) == ({scene.box.identity.device_id: "card"}, "box without network")

    opening = ("open", "--release", tmp_path / "yes.release", "--out", tmp_path / "case.opened")
    assert (await asyncio.to_thread(run, tmp_path, *opening, keys="desk")).code == 77
    opening_now = (*opening, "--not-pulled", "box without network")
    assert (await asyncio.to_thread(run, tmp_path, *opening_now, keys="desk")).code == 0
    page = report.page(match.match([], [tmp_path / "case.opened"], now_s=NOW_S))
    assert "no entry in the box&#x27;s trail" in page
    assert page.index("no entry in the box") < page.index("What this shows")


@pytest.mark.parametrize("hours", ["from", "to"])
async def test_an_export_of_fewer_hours_than_the_order_is_not_opened(scene: Scene, tmp_path: Path, hours: str) -> None:
    """The hours that nobody exported would be told as hours without a record."""
    body = json.loads((scene.folder / MANIFEST_NAME).read_bytes())["body"]
    scene.exported(**{hours: body[hours] + (60 if hours == "from" else -60)})

    done = await asyncio.to_thread(release, tmp_path, "no.release", "--not-pulled", "box without network")

    assert (done.code, "not made for all hours of the order" in done.stderr) == (65, True)
    assert not (tmp_path / "no.release").exists()
    assert register.read(tmp_path / "custodian").entries == ()


async def test_the_answer_to_another_order_is_refused(scene: Scene, tmp_path: Path) -> None:
    """A bundle is opened by the order that its box answered, and by no other."""
    (tmp_path / "approved.json").write_bytes(OFFICE.signed(replace(scene.request, nonce=bytes(16))))

    done = await asyncio.to_thread(release, tmp_path, "no.release", "--not-pulled", "x")

    assert (done.code, "another order" in done.stderr) == (77, True)


async def test_a_bundle_with_nothing_in_it_proves_nothing(scene: Scene, tmp_path: Path) -> None:
    """No tick for an empty set: exit 65 and a sentence; opened with others, its minutes count as unheard."""
    kept = json.loads((scene.folder / MANIFEST_NAME).read_bytes())["body"]
    scene.exported(
        request=scene.request.digest.hex(), segments=[],
        tree={**kept["tree"], "leaves": [], "first": 0, "peaks": []},
        body={"bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "chunks": []},
    )  # fmt: skip
    (scene.folder / BODY_NAME).write_bytes(b"")

    done = await asyncio.to_thread(
        edge_authority, "verify", tmp_path / "bundles", "--boxes", tmp_path / "boxes.csv", "--lang", "en", now_s=NOW_S
    )

    assert done.code == 65
    assert "✔" not in done.stdout
    assert "no record in this bundle" in " ".join(done.stdout.replace("│", " ").split())
    assert (await asyncio.to_thread(release, tmp_path, "one.release")).code == 0
    opening = ("open", "--release", tmp_path / "one.release", "--out", tmp_path / "case.opened")
    assert (await asyncio.to_thread(run, tmp_path, *opening, keys="desk")).code == 0
    page = report.page(match.match([], [tmp_path / "case.opened"], now_s=NOW_S))
    assert "in the 0 minutes in which these boxes listened, out of 100 minutes asked for" in page
    assert "none missing" not in page


async def test_coverage_is_of_the_minutes_asked_for(scene: Scene, tmp_path: Path) -> None:
    """21 recorded minutes of 100, two of them deaf, are 19 of 100 and not 19 of 21."""
    with opened.create(tmp_path / "case.opened", request=scene.request, now_s=NOW_S) as target:
        minutes = [
            opened.OpenedMinute(
                device=scene.box.identity.device_id, minute_s=scene.request.from_s + 60 * number, shift_s=0.0,
                listened_s=0 if number in (3, 4) else 60, dropped=0, quality=ClockQuality.NTP,
            )
            for number in range(21)
        ]  # fmt: skip
        target.add(scene.verify(), minutes, [])

    result = match.match([], [tmp_path / "case.opened"], now_s=NOW_S)
    match.save(result, tmp_path / "case.sightings")
    loaded = match.load(tmp_path / "case.sightings")
    (coverage,) = loaded.coverage
    page = report.page(loaded)

    assert (coverage.asked, coverage.minutes, coverage.heard) == (100, 21, 19)
    begin_s = scene.request.from_s
    assert coverage.gaps == ((begin_s + 180, begin_s + 300), (begin_s + 1260, begin_s + 6000))
    assert "19 of 100 min" in page
    assert "79 min without a record" in page
    assert "2 min recorded in which the radio did not listen" in page
    assert "in the 19 minutes in which these boxes listened, out of 100 minutes asked for" in page
    assert "contact minutes" not in page


async def test_verify_counts_the_minutes_that_can_have_a_record(scene: Scene) -> None:
    """Before anything is opened the frames say how many minutes there can be at most."""
    whole = scene.verify()
    more = scene.request.to_s + 20 * 60
    scene.exported(to=more)
    wider = scene.verify()

    assert (whole.minutes_asked, whole.minutes_at_most) == (100, 100)
    assert wider.minutes_asked == 120
    assert "There is no record of at least" not in " ".join(verdicts.not_proven(whole, "en"))


@pytest.mark.parametrize("words", [("custodian", "release"), ("open",)])
async def test_a_missing_week_s_key_is_named(scene: Scene, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Custodian and authority read which week's file to bring."""
    assert scene.request
    assert (await asyncio.to_thread(release, tmp_path, "one.release")).code == 0
    more = ("--release", tmp_path / "one.release") if words == ("open",) else ("--confirm", "1 1:40")
    (tmp_path / "nothing").mkdir()

    done = await asyncio.to_thread(run, tmp_path, *words, "--out", tmp_path / "no", *more, keys="nothing")

    assert done.code == 65
    assert "the key of week 2026-W48 is missing" in done.stderr
    assert not (tmp_path / "no").exists()


async def test_two_bundles_of_one_box_on_a_stick_are_named_before_anything_is_copied(
    scene: Scene, tmp_path: Path
) -> None:
    """The technician exported two cases onto one stick."""
    stick = tmp_path / "stick"
    for case in ("case-7", "case-9"):
        shutil.copytree(scene.folder, stick / case)

    both = await asyncio.to_thread(
        edge_authority, "pull", "--from-usb", stick, "--out", tmp_path / "in", "--boxes", tmp_path / "boxes.csv"
    )
    one = await asyncio.to_thread(
        edge_authority, "pull", "--from-usb", stick / "case-9", "--out", tmp_path / "in", "--boxes",
        tmp_path / "boxes.csv",
    )  # fmt: skip

    assert (both.code, one.code) == (65, 0)
    assert "two bundles of box K7MP2R9CX4: nothing was copied" in both.stderr
    assert "case-7" in both.stderr
    assert "case-9" in both.stderr


async def test_an_answer_under_another_key_is_news(scene: Scene, tmp_path: Path) -> None:
    """A wrong identity in the list: the officer reads it, and a good answer may still come."""
    box = replace(scene.box.box, identity=OFFICE.root.public_key().public_bytes_raw())
    collection = Collection(tmp_path / "in", box, scene.request)
    answer = Answer(
        device=box.device, authority=scene.request.authority, case=scene.request.case, request=scene.request.digest,
        code="replayed", at_s=NOW_S, audit_entries=1, audit_head=bytes(32),
    )  # fmt: skip

    news = collection.take_answer(sign_answer(answer, scene.box.identity.key))
    again = collection.take_answer(sign_answer(answer, scene.box.identity.key))

    assert (news, again, collection.state, collection.finished) == (True, False, State.DOUBTED, False)
    for language in ("vi", "en"):
        assert "boxes.csv" in translations.say(language, f"state_{collection.state.value}", code="", reason="")


def test_a_reason_is_text_like_any_other(tmp_path: Path) -> None:
    """It is kept for good and shown to the next custodian."""
    done = edge_authority(
        "custodian", "release", tmp_path, "--request", tmp_path / "x", "--root", tmp_path / "x", "--boxes",
        tmp_path / "x", "--keys", tmp_path, "--out", tmp_path / "o", "--not-pulled", "\x1b[2J",
    )  # fmt: skip

    assert (done.code, "U+001B" in done.stderr) == (65, True)


def test_a_public_key_that_is_none_is_named(tmp_path: Path) -> None:
    """Cut short in copying."""
    (tmp_path / "short.pub").write_text("abcd")

    with pytest.raises(BadDataError, match="not a register's public key"):
        register._public(tmp_path / "short.pub")


async def test_every_time_names_the_zone_that_was_set(scene: Scene, tmp_path: Path) -> None:
    """The venues' zone is an option; a zone that nobody knows is refused in one line."""
    words = ("request", "show", tmp_path / "approved.json", "--root", tmp_path / "root.pem")
    shown = [
        await asyncio.to_thread(edge_authority, *zone, *words, now_s=NOW_S)
        for zone in ((), ("--time-zone", "Asia/Kolkata"), ("--time-zone", "Mars/Base"))
    ]

    assert scene.request
    assert " +07" in shown[0].stdout
    assert (" +05:30" in shown[1].stdout, " +07" in shown[1].stdout) == (True, False)
    assert (shown[2].code, "Mars/Base" in shown[2].stderr) == (65, True)
    assert translations.local(0) == "01/01/1970 05:30 +05:30"
    translations.use_zone(translations.ZONE)
    assert translations.local(0) == "01/01/1970 07:00 +07"
