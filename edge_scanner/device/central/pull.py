"""Answers a health authority's signed request with sealed hours; refuses everything else, and says so. docs/pull.md.

Promises
* What is given out is ciphertext, and only after policy.check agreed; the box cannot open it itself.
* Every request that the pinned authority signed, and its refusal or answer, is in the audit trail before anything is
  sent, and the trail's head is announced. What nobody signed is refused and leaves no trace: it says nothing about an
  authority, and whoever may write to the topic could fill the trail with it.
* Pieces go to the authority that the approved request names, whoever asks for them.
* No memory of an asker: an answered request stands in the audit trail, and its bundle is made again from there.

Whoever holds the broker may send what he likes, so all of it is bounded: refusals that are audited and answered, and
pieces given out per request. Beyond the bounds the box keeps silent; a request that it would answer is never among
them.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.core import trusted_clock
from edge_scanner.core.errors import LogError, RefusedError, UnavailableError
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.pull import answer as answers
from edge_scanner.core.pull import policy
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.answer import Answer, AuditRecord, Extent, Fetch, Part, Piece
from edge_scanner.core.pull.policy import Circumstances, Code, Policy
from edge_scanner.core.snapshot import Pull
from edge_scanner.device.central import trail
from edge_scanner.device.central.pieces import PieceSender
from edge_scanner.device.storage.extract import Extract, extract
from edge_scanner.device.system import journal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.core.messages import Sender
    from edge_scanner.core.model import ClockReading
    from edge_scanner.core.signed import VerifyKey
    from edge_scanner.device.central.pieces import Publisher
    from edge_scanner.device.settings import Settings
    from edge_scanner.device.storage.rows import AuditRow
    from edge_scanner.device.storage.store import Store
    from edge_scanner.mqtt.uplink import Incoming

MAX_REFUSALS_A_DAY = 8
"""Told, and audited where they were signed: an authority that mistypes an order hears so at once."""

TRAIL_DAYS = 3653
"""Ten years: longer than a card lives."""

QUIET_S = 60.0
"""Between two lines about refusals: a flood must not fill the journal."""

MAX_ROUNDS = 8
"""How often a bundle may be fetched over: a bad line repeats pieces, a flood must end."""

OPEN_EXTRACTS = 4
"""Bundles whose layout is kept in memory, some 50 kB each; others are made again when asked for."""

ANSWER_LIFE_S = 7 * 86400
"""How long the broker keeps an answer for an authority that is away; as long as its session."""

EXPORT_CASE = "USB"
"""Stands for the case of hours that left on a stick: the box is not told which."""

_DAY_S = 86400
_UNSIGNED = frozenset({
    Code.MALFORMED, Code.DISABLED, Code.WRONG_ROOT, Code.SIGNATURE_MISSING, Code.SAME_ROLE, Code.ALTERED,
    Code.WRONG_AUTHORITY,
})  # fmt: skip
"""Refusals of what the pinned authority's two roles did not sign together."""
_log = journal.get("pull")


def policy_of(settings: Settings) -> Policy:
    """The limits that the settings set."""
    return Policy(
        enabled=settings.pull.enabled,
        max_hours=settings.pull.max_hours,
        requests_per_day=settings.pull.requests_per_day,
        retention_days=settings.log.retention_days,
    )


def trail_room(requests_per_day: int) -> int:
    """Entries of the audit trail that ten years of the policy's quota need, two for each request."""
    return TRAIL_DAYS * 2 * (requests_per_day + MAX_REFUSALS_A_DAY)


async def answered(store: Store, now_s: float) -> tuple[tuple[Pull, ...], int]:
    """The latest openings that the venue may read of, and how many there were: answers and exports.

    The number is public at once, sealed orders in it; case and hours of a sealed one follow when its seal ends.
    """
    pulls: list[Pull] = []
    count = 0
    async for row in store.audit_rows():
        record = answers.parse_audit(row.entry)
        if record.action not in (AuditAction.ANSWER, AuditAction.EXPORT):
            continue
        count += 1
        if record.sealed_until_s <= now_s:
            pulls.append(
                Pull(
                    case=record.case or EXPORT_CASE,
                    from_s=record.from_s,
                    to_s=record.to_s,
                    answered_s=float(record.at_s),
                )
            )
    return tuple(pulls[-20:]), count


@dataclass(slots=True, kw_only=True)
class _Answered:
    """An answered request, its place in the trail, and how many pieces of it went out since the process began."""

    record: AuditRecord
    extent: Extent
    entries: int
    head: bytes
    at_monotonic_s: float
    given: int = 0


class Answerer:
    """The box's side of the pull, message by message; `begin` first.

    `roots` are the authority's pinned keys; `changed` wakes the outbox; `revoked` gives keys whose mandates are void.
    """

    def __init__(
        self,
        store: Store,
        broker: Publisher,
        *,
        device_id: str,
        key: Ed25519PrivateKey,
        roots: Sequence[VerifyKey],
        limits: Policy,
        sender: Sender,
        clock: Callable[[], ClockReading],
        changed: asyncio.Event,
        lived: Callable[[], float] | None = None,
        revoked: Callable[[], frozenset[bytes] | None] = frozenset,
    ) -> None:
        self.topic = answers.request_topic(device_id)
        self._store = store
        self._broker = broker
        self._device_id = device_id
        self._key = key
        self._roots = roots
        self._limits = limits
        self._sender = sender
        self._clock = clock
        self._changed = changed
        self._lived = lived or (lambda: clock().utc_s)
        self._said_at = -QUIET_S
        self._silent = 0
        self._revoked = revoked
        self._answered: dict[bytes, _Answered] = {}
        self._refused_at: list[float] = []
        self._pieces = PieceSender(broker)
        self._extracts: OrderedDict[bytes, Extract] = OrderedDict()
        self._entries = 0
        self._head = bytes(32)

    async def begin(self) -> None:
        """Read the audit trail, once more after a failure; raises StorageError."""
        now_s, newest_s = self._lived(), 0.0
        self._answered.clear()
        self._refused_at.clear()
        async for row in self._store.audit_rows():
            record = answers.parse_audit(row.entry)
            # No clock lifts a quota: a stamp in the future counts from now on, no entry is older than the one before
            # it, and what was answered was stamped at most an hour before lived time.
            newest_s = max(newest_s, record.at_s if record.at_s <= now_s else 0)
            age_s = now_s - max(record.at_s, newest_s) - trusted_clock.MAX_JUMP_S
            self._remember(row, record, age_s=max(0.0, age_s))

    async def take(self, incoming: Incoming) -> None:
        """A message of `topic`; a retained one is old news and passed over. Raises StorageError only."""
        if not incoming.retained:
            await self.handle(incoming.payload)

    async def handle(self, payload: bytes) -> None:
        """One message of the request topic; raises StorageError only."""
        try:
            fetch = answers.parse_fetch(payload)
        except LogError:
            return
        if fetch is not None:
            await self._give(fetch)
        else:
            await self._judge(payload)

    async def _judge(self, document: bytes) -> None:
        """A request: audited, then answered or refused."""
        reading = self._clock()
        now_s = int(reading.utc_s)
        self._answered = {
            digest: one
            for digest, one in self._answered.items()
            if one.record.expires_s > now_s or reading.monotonic_s - one.at_monotonic_s < _DAY_S
        }
        record = AuditRecord(
            action=AuditAction.REQUEST,
            at_s=now_s,
            device=self._device_id,
            request=hashlib.sha256(document).digest(),
        )
        try:
            try:
                asked = requests.read(document)
            except LogError:
                policy.refuse(Code.MALFORMED, "not a request")
            request = asked.request
            record = replace(
                record,
                authority=request.authority,
                case=request.case,
                request=request.digest,
                from_s=request.from_s,
                to_s=request.to_s,
                expires_s=request.expires_s,
                sealed_until_s=request.sealed_until_s,
            )
            box = Circumstances(
                device=record.device,
                now_s=reading.utc_s,
                clock=reading.quality,
                nonce_seen=await self._store.nonce_seen(request.nonce),
                answered_today=sum(
                    reading.monotonic_s - one.at_monotonic_s < _DAY_S for one in self._answered.values()
                ),
                revoked=self._revoked(),
            )
            policy.check(asked, self._roots, self._limits, box)
        except RefusedError as refusal:
            await self._refuse(record, refusal.code)
            return
        people = tuple(f"{mandate.role}: {mandate.name}" for mandate in map(requests.peek_mandate, asked.mandates))
        await self._answer(replace(record, people=people), request, reading)

    async def _answer(self, record: AuditRecord, request: requests.Request, reading: ClockReading) -> None:
        """A request that the policy allows: audited, its bundle kept, audited as answered, told to the asker."""
        await self._audit(record)
        head = self._head.hex()
        extent = Extent(
            made_s=int(reading.utc_s),
            quality=reading.quality,
            audit_entries=self._entries,
            audit_head=head,
            tree_size=0,
            first=-1,
            last=-1,
            last_frames=0,
        )
        bundle = await extract(self._store, self._key, record, extent)
        self._keep(record.request, bundle)
        record = replace(record, action=AuditAction.ANSWER, extent=bundle.extent)
        await self._audit(record, nonce=(request.nonce, float(request.expires_s)))
        _log.info("pull answered", segments=bundle.extent.last - bundle.extent.first + (bundle.extent.first >= 0))
        await self._tell(self._answered[record.request], bundle)

    async def _refuse(self, record: AuditRecord, code: str) -> None:
        """Tell a refusal, up to the day's bound, and audit it where the authority signed what is refused."""
        now_s, monotonic_s = record.at_s, self._clock().monotonic_s
        self._refused_at = [at_s for at_s in self._refused_at if monotonic_s - at_s < _DAY_S]
        silent = len(self._refused_at) >= MAX_REFUSALS_A_DAY
        self._silent += silent
        if monotonic_s - self._said_at >= QUIET_S:
            self._said_at = monotonic_s
            _log.warning("pull refused", code=code, told=not silent, silent=self._silent)
        if silent:
            return
        if code in _UNSIGNED:
            self._refused_at.append(monotonic_s)
        else:
            await self._audit(record)
            await self._audit(replace(record, action=AuditAction.REFUSAL, code=code))
        if record.authority:
            await self._publish_answer(
                Answer(
                    device=record.device,
                    authority=record.authority,
                    case=record.case,
                    request=record.request,
                    code=code,
                    at_s=now_s,
                    audit_entries=self._entries,
                    audit_head=self._head,
                )
            )

    async def _give(self, fetch: Fetch) -> None:
        """Pieces of an answered request that has not expired."""
        one = self._answered.get(fetch.request)
        if one is None or self._clock().utc_s >= one.record.expires_s:
            return
        try:
            bundle = await self._extract(one)
            if fetch.part is Part.ANSWER:
                await self._tell(one, bundle)
                return
            one.given += len(fetch.numbers)
            if one.given > MAX_ROUNDS * (bundle.pieces + answers.MAX_FETCH):
                return
            topic = answers.piece_topic(one.record.authority, one.record.device)
            for number in fetch.numbers:
                if data := await bundle.piece(fetch.part, number):
                    piece = Piece(request=fetch.request, part=fetch.part, number=number, data=data)
                    await self._pieces.send(self._message(topic, answers.pack_piece(piece)), fetch.request)
        except RefusedError as refusal:
            await self._refuse(one.record, refusal.code)
        finally:
            await self._pieces.settled()

    async def _extract(self, one: _Answered) -> Extract:
        """The bundle of an answered request, made again where it is not at hand."""
        digest = one.record.request
        if digest not in self._extracts:
            bundle = await extract(self._store, self._key, one.record, one.extent, again=True)
            self._keep(digest, bundle)
        self._extracts.move_to_end(digest)
        return self._extracts[digest]

    def _keep(self, digest: bytes, bundle: Extract) -> None:
        self._extracts[digest] = bundle
        while len(self._extracts) > OPEN_EXTRACTS:
            self._extracts.popitem(last=False)

    async def _tell(self, one: _Answered, bundle: Extract) -> None:
        """The signed answer; the same bytes each time."""
        record = one.record
        await self._publish_answer(
            Answer(
                device=record.device,
                authority=record.authority,
                case=record.case,
                request=record.request,
                at_s=record.at_s,
                audit_entries=one.entries,
                audit_head=one.head,
                manifest_bytes=len(bundle.manifest),
                manifest_sha256=bundle.manifest_sha256,
                body_bytes=bundle.body_bytes,
            )
        )

    async def _publish_answer(self, answer: Answer) -> None:
        topic = answers.answer_topic(answer.authority, answer.device)
        message = self._message(topic, answers.sign_answer(answer, self._key))
        with contextlib.suppress(UnavailableError):
            # Without insisting: an asker that misses something asks again.
            await self._broker.publish(message, correlation=answer.request)

    def _message(self, topic: str, payload: bytes) -> Message:
        now_s = self._clock().utc_s
        return Message(
            kind=MessageKind.PULL,
            topic=topic,
            payload=payload,
            key=f"{self._device_id}/pull/{hashlib.sha256(payload).hexdigest()[:16]}",
            created_s=now_s,
            expires_s=now_s + ANSWER_LIFE_S,
        )

    async def _audit(self, record: AuditRecord, *, nonce: tuple[bytes, float] | None = None) -> None:
        row = await trail.append(self._store, record, sender=self._sender, nonce=nonce)
        self._remember(row, record)
        self._changed.set()

    def _remember(self, row: AuditRow, record: AuditRecord, *, age_s: float = 0.0) -> None:
        self._entries, self._head = row.number + 1, row.digest
        at_s = self._clock().monotonic_s - age_s
        if record.extent is not None:
            self._answered[record.request] = _Answered(
                record=record, extent=record.extent, entries=self._entries, head=self._head, at_monotonic_s=at_s
            )
        elif record.action is AuditAction.REFUSAL:
            self._refused_at.append(at_s)
