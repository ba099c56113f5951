"""The refusal matrix on a box with a real store: each refused with its code, audited, and the audit chain verifies."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core import signed
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import Batch, ClockQuality, Leaf, LogRows
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull import request
from edge_scanner.core.pull.answer import Fetch, Part
from edge_scanner.core.pull.request import APPROVER, HEALTH_OFFICER
from edge_scanner.device.central.pull import MAX_REFUSALS_A_DAY, answered, trail_room
from edge_scanner.device.commands.log import _verify_audit
from tests.support.memory_broker import MemoryCentre
from tests.support.office import AUTHORITY, DAY_S, HOUR_S, Office, Person
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import parties
from tests.support.schema_check import validate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_scanner.core.pull.answer import Answer

NOW_S = 1_795_903_200 + 600
OFFICE, STRANGER = Office(NOW_S), Office(NOW_S)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[PullBox]:
    """A box that sealed the last three hours."""
    async with pull_box(tmp_path / "box", OFFICE, parties(NOW_S), start_s=NOW_S - 3 * HOUR_S, end_s=NOW_S) as opened:
        yield opened


class Ear:
    """A box's answering side with an authority listening."""

    def __init__(self, box: PullBox, **limits: Any) -> None:
        self.box = box
        self.centre = MemoryCentre()
        self.limits = replace(box.limits, **limits)

    async def ask(self, *documents: bytes) -> list[Answer]:
        """Hand in documents one after the other; the box's signed answers."""
        device = self.box.identity.device_id
        async with self.centre.open(device) as broker:
            await broker.connected()
            answerer = self.box.answerer(broker, self.limits)
            await answerer.begin()
            for document in documents:
                await answerer.handle(document)
        key = self.box.identity.key.public_key()
        return [
            answers.read_answer(message.payload, device=device, identity=key)
            for message in self.centre.published
            if message.topic == answers.answer_topic(AUTHORITY, device)
        ]


def asked(*people: Person, **changes: Any) -> bytes:
    """A signed request to the box."""
    return OFFICE.signed(OFFICE.request("K7MP2R9CX4", **changes), *people)


def tampered(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A signed request that somebody edited."""
    whole = json.loads(asked())
    change(whole)
    return signed.canonical(whole)


SAME_PERSON = OFFICE.person(APPROVER, "BS. Nguyễn Thị An", key=OFFICE.officer.key)
MATRIX = {
    "one signature": (asked(OFFICE.officer), "signature_missing"),
    "same role twice": (asked(OFFICE.officer, OFFICE.person(HEALTH_OFFICER, "Another")), "same_role"),
    "same person twice": (asked(OFFICE.officer, SAME_PERSON), "signature_missing"),
    "wrong root": (asked(STRANGER.officer, STRANGER.approver), "wrong_root"),
    "tampered text": (tampered(lambda whole: whole["request"]["body"].update(to=NOW_S)), "altered"),
    "box not named": (OFFICE.signed(OFFICE.request("7K3M9Q2X4T")), "not_named"),
    "too wide": (asked(from_s=NOW_S - 26 * HOUR_S), "too_wide"),
    "outside retention": (asked(from_s=NOW_S - 15 * DAY_S, to_s=NOW_S - 15 * DAY_S + 600), "outside_retention"),
    "expired": (asked(not_before_s=NOW_S - 99, expires_s=NOW_S - 1), "expired"),
    "not yet valid": (asked(not_before_s=NOW_S + 60), "not_yet_valid"),
    "mandate expired": (asked(OFFICE.officer, OFFICE.person(APPROVER, "B", until_s=NOW_S - 1)), "mandate_expired"),
    "hidden too long": (asked(sealed_until_s=NOW_S + 40 * DAY_S), "sealed_too_long"),
    "not over yet": (asked(to_s=NOW_S + HOUR_S), "future"),
}  # fmt: skip


@pytest.mark.parametrize("name", MATRIX)
async def test_refused_with_its_code_and_audited(box: PullBox, name: str) -> None:
    """A signed answer with the code, and nothing of the log given out; in the trail only what the authority signed."""
    document, code = MATRIX[name]

    told = await Ear(box).ask(document)

    assert [answer.code for answer in told] == [code]
    assert told[0].request == request.read(document).request.digest
    unsigned = {"signature_missing", "same_role", "wrong_root", "altered"}
    entries = () if code in unsigned else ((AuditAction.REQUEST, ""), (AuditAction.REFUSAL, code))
    await audited(box, *entries)
    assert await answered(box.store, NOW_S) == ((), 0)


async def audited(box: PullBox, *expected: tuple[AuditAction, str]) -> None:
    """The trail holds exactly these entries, its chain verifies, and each was announced as the schema wants it."""
    trail = [answers.parse_audit(row.entry) async for row in box.store.audit_rows()]
    assert [(entry.action, entry.code) for entry in trail] == list(expected)
    assert await _verify_audit(box.store) == len(expected)
    announced = [row.message for row in await box.store.oldest(64) if row.message.kind == "audit"]
    assert [validate(message.topic, message.payload)["code"] for message in announced] == [code for _, code in expected]


async def test_a_replayed_request_is_refused_also_after_a_restart(box: PullBox) -> None:
    """The same document twice, and once more to a new process."""
    document = asked()

    assert [answer.code for answer in await Ear(box).ask(document, document)] == ["", "replayed"]
    assert [answer.code for answer in await Ear(box).ask(document)] == ["replayed"]
    await audited(
        box,
        (AuditAction.REQUEST, ""), (AuditAction.ANSWER, ""),
        (AuditAction.REQUEST, ""), (AuditAction.REFUSAL, "replayed"),
        (AuditAction.REQUEST, ""), (AuditAction.REFUSAL, "replayed"),
    )  # fmt: skip


async def test_a_nonce_serves_one_text_only(box: PullBox) -> None:
    """Two different orders with one nonce: the second is a replay."""
    nonce = bytes(16)

    told = await Ear(box).ask(asked(nonce=nonce), asked(nonce=nonce, to_s=NOW_S - 600))

    assert [answer.code for answer in told] == ["", "replayed"]


async def test_the_day_s_quota_ends_and_begins_again(box: PullBox) -> None:
    """Two a day are answered, the third is refused, and taken the next day."""
    third = asked()
    ear = Ear(box, requests_per_day=2)

    assert [answer.code for answer in await ear.ask(asked(), asked(), third)] == ["", "", "quota"]
    box.clock.utc_s += DAY_S + HOUR_S + 1
    assert (await Ear(box, requests_per_day=2).ask(third))[-1].code == ""


async def test_an_unsure_clock_and_a_box_that_is_switched_off(box: PullBox) -> None:
    """Nobody's time, and the operator's setting."""
    box.clock.quality = ClockQuality.NONE
    assert [answer.code for answer in await Ear(box).ask(asked())] == ["clock"]
    box.clock.quality = ClockQuality.NTP
    assert [answer.code for answer in await Ear(box, enabled=False).ask(asked())] == ["disabled"]


async def test_what_cannot_be_read_leaves_no_trace_and_is_told_to_nobody(box: PullBox) -> None:
    """There is no inbox to answer into, and junk must not fill the trail."""
    assert await Ear(box).ask(b"garbage", b'{"fetch":1}', b"") == []
    await audited(box)


@pytest.mark.parametrize("requests_per_day", [1, 4, 24])
def test_the_trail_has_room_for_ten_years_of_what_the_policy_allows(requests_per_day: int) -> None:
    """Two entries for each order and each refusal that is told, every day, leap days too."""
    days = (date(2037, 1, 1) - date(2027, 1, 1)).days

    assert trail_room(requests_per_day) >= 2 * (requests_per_day + MAX_REFUSALS_A_DAY) * days


async def test_a_leap_of_the_clock_lifts_no_quota(box: PullBox) -> None:
    """A day ahead by the clock and a second by the box: the third is refused, by this process and by the next one."""
    ear = Ear(box, requests_per_day=2)
    assert [answer.code for answer in await ear.ask(asked(), asked())] == ["", ""]

    box.clock.utc_s += DAY_S + 1
    box.clock.lead_s += DAY_S + 1
    third = asked(expires_s=NOW_S + 5 * DAY_S)
    for asker in (ear, Ear(box, requests_per_day=2)):
        assert [answer.code for answer in await asker.ask(third)][-1] == "quota"


async def test_a_clock_that_was_set_back_for_the_answers_lifts_no_quota(box: PullBox) -> None:
    """Fifty minutes back, so that it is not doubted, two answers, right again, and the next process a day later."""
    day = {"expires_s": NOW_S + 5 * DAY_S, "to_s": NOW_S - 2 * HOUR_S}
    box.clock.lead_s -= 3000
    assert [answer.code for answer in await Ear(box, requests_per_day=2).ask(asked(**day), asked(**day))] == ["", ""]

    box.clock.utc_s += 3000 + DAY_S - 600
    box.clock.lead_s += 3000
    third = asked(**day)
    assert [answer.code for answer in await Ear(box, requests_per_day=2).ask(third)][-1] == "quota"
    box.clock.utc_s += HOUR_S + 700
    assert [answer.code for answer in await Ear(box, requests_per_day=2).ask(third)][-1] == ""


async def test_a_flood_cannot_fill_the_trail_nor_stop_a_proper_request(
    box: PullBox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Past the day's bound the box keeps silent about refusals and still answers what it should; one line a minute."""
    flood = [b"flood %d" % number for number in range(MAX_REFUSALS_A_DAY + 50)]

    told = await Ear(box).ask(*flood, asked())

    assert [answer.code for answer in told] == [""]
    assert await _verify_audit(box.store) == 2
    assert "".join(capsys.readouterr()).count("pull refused") == 1


@pytest.mark.parametrize("leap_s", [DAY_S + 1, 3 * 365 * DAY_S, -DAY_S - 1])
async def test_a_leap_of_the_clock_tells_no_more_refusals(box: PullBox, leap_s: float) -> None:
    """The day's bound is of lived time: after a leap either way the next refusal is silent, a day later it is told."""

    def refused() -> bytes:
        return asked(OFFICE.officer, nonce=secrets.token_bytes(16))

    ear = Ear(box)
    device = box.identity.device_id
    async with ear.centre.open(device) as broker:
        await broker.connected()
        answerer = box.answerer(broker, ear.limits)
        await answerer.begin()

        async def told() -> int:
            before = len(ear.centre.published)
            await answerer.handle(refused())
            return len(ear.centre.published) - before

        assert [await told() for _ in range(MAX_REFUSALS_A_DAY + 1)] == [1] * MAX_REFUSALS_A_DAY + [0]
        box.clock.utc_s += leap_s
        box.clock.lead_s += leap_s
        assert await told() == 0
        box.clock.utc_s += DAY_S
        assert await told() == 1


async def test_the_venue_learns_of_a_sealed_order_when_it_ends(box: PullBox) -> None:
    """The number at once, case and hours when the seal ends."""
    await Ear(box).ask(asked(sealed_until_s=NOW_S + 5 * DAY_S))

    assert await answered(box.store, NOW_S) == ((), 1)
    pulls, count = await answered(box.store, NOW_S + 5 * DAY_S)
    assert count == 1
    assert (pulls[0].case, pulls[0].to_s) == ("HCM-2026-0417", NOW_S - HOUR_S)


async def test_what_retention_takes_is_gone_from_an_answered_request(box: PullBox) -> None:
    """Pieces are refused once rows are deleted, by the process that answered and by the next one."""
    document = asked()
    digest = request.read(document).request.digest
    fetch = answers.pack_fetch(Fetch(request=digest, part=Part.BODY, numbers=(0, 1, 2)))
    ear = Ear(box)
    assert [answer.code for answer in await ear.ask(document, fetch)] == [""]
    assert sum(message.topic.endswith("/piece") for message in ear.centre.published) == 3
    last = [header.seq async for header in box.store.headers(float("-inf"), float("inf"))][-1]

    await box.store.commit(Batch(drop_segments_before=last))

    assert [answer.code for answer in await Ear(box).ask(fetch)] == ["gone"]
    assert await answered(box.store, NOW_S) != ((), 0)


async def test_the_same_bytes_come_again_after_a_restart(box: PullBox) -> None:
    """Answer, manifest and body, from the audit trail and the rows alone, although the log went on."""
    document = asked()
    digest = request.read(document).request.digest
    fetches = [
        answers.pack_fetch(Fetch(request=digest, part=part, numbers=numbers))
        for part, numbers in ((Part.ANSWER, ()), (Part.MANIFEST, (0,)), (Part.BODY, tuple(range(12))))
    ]
    first, second = Ear(box), Ear(box)
    await first.ask(document, *fetches)
    newest = [leaf.seq async for leaf in box.store.leaves()][-1]
    await box.store.commit(Batch(rows=LogRows(leaves=(Leaf(seq=newest + 1, digest=bytes(range(32))),))))

    await second.ask(*fetches)

    assert [message.payload for message in second.centre.published] == [
        message.payload for message in first.centre.published[1:]
    ]
    assert len(second.centre.published) > 5
