"""The nouns, frozen. A stage of the program is a type, so that a privacy gate is something mypy checks.

`Advert` (no address past the radio) -> `Sighting` (in memory only) -> `Encounter` (one identifier, one minute; in
memory until sealed) and `Tally` (raw count; never leaves memory). Only sealed rows and `Message`s made from a
noised `Report` fit into a `Batch`, and `store.commit` takes nothing else. What a phone broadcast is left out of every
noun's text form, so that no message, log line or crash can quote it by accident.

Times are UTC seconds in a float named `…_s`; RSSI is dBm.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (msgspec reads the hints at run time)
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from edge_scanner.core.advertising import AdvertisingData, Heard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAYLOAD_BYTES = 20
"""The longest payload a protocol broadcasts (Exposure Notification, ROBERT); the log's records are this wide."""


class AddressType(IntEnum):
    """How an advertiser's address is made (Core 5.4 Vol 6 Part B 1.3): it tells phone classes apart, never phones."""

    UNKNOWN = 0
    PUBLIC = 1
    STATIC = 2
    RESOLVABLE = 3
    NON_RESOLVABLE = 4


class Advert(Heard, frozen=True, kw_only=True, gc=False):
    """One advertisement of one device, heard `count` times between `first_s` and `last_s` with the same content.

    `address_tag` is an 8-byte keyed hash of the address whose key dies within 15 minutes: it counts phones that
    show no identifier and is useless for following anyone. `rssi_sum` and `rssi_max` cover the `rssi_count`
    hearings that had an RSSI. `count` 0: the device is there, but the host's Bluetooth daemon reports no packet of it.
    """

    data: AdvertisingData
    address_tag: bytes
    address_type: AddressType = AddressType.UNKNOWN
    first_s: float
    last_s: float
    count: int = 1
    rssi_count: int = 1
    rssi_sum: int
    rssi_max: int


class Kind(StrEnum):
    """How much an advertisement reveals: an identifier, that a phone runs the app, or only that it may."""

    IDENTIFIED = "identified"
    PRESENCE = "presence"
    HINT = "hint"


class PhoneClass(StrEnum):
    """Families of devices whose identifiers live differently long."""

    ANDROID = "android"
    IPHONE = "iphone"
    OTHER = "other"


class Sighting(Heard, frozen=True, kw_only=True, gc=False):
    """An `Advert` that a protocol recognised.

    `payload` is what the log keeps (1..20 bytes when identified, else empty); its first `len(identifier)` bytes are
    the identifier that counting keys on.
    """

    protocol: BeaconProtocol
    kind: Kind
    phone_class: PhoneClass = PhoneClass.OTHER
    identifier: bytes = b""
    payload: bytes = b""
    advert: Advert


@dataclass(frozen=True, slots=True, kw_only=True)
class DayKey:
    """A confirmed case's key: `key` is valid for identifiers broadcast in [`start_s`, `end_s`].

    `rotations` is identifiers per UTC day where the protocol lets it vary (Bluezone 96 or 144); `chain_lag` is how many
    links of the day chain the publisher was behind (Bluezone 2.0.0-2.0.2: 1).
    """

    key: bytes = field(repr=False)
    start_s: int
    end_s: int
    rotations: int = 96
    chain_lag: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """One identifier a day key yields and the interval in which its phone broadcast it, UTC seconds."""

    identifier: bytes = field(repr=False)
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconProtocol:
    """One wire format: the value each file in `protocols/` exports as PROTOCOL.

    `tag` is its number in the sealed log (1..255, never reused); `name` equals the file's name.
    `decode` never raises. `derive` raises BadDataError for a key of the wrong shape; None where the protocol does not
    allow it. `name_uuids`: service UUIDs whose advertisements hide the identifier in the local name; every other
    local name is dropped by the radio. `kinds`: what `decode` can give; each is a figure of its own in the counts.
    `marks`: UUIDs (of services and service data) and company numbers; an advert with none of them is not asked about.
    """

    name: str
    tag: int
    specification: str
    decode: Callable[[Advert], Sighting | None]
    derive: Callable[[DayKey], Iterator[Derived]] | None = None
    name_uuids: frozenset[str] = frozenset()
    lifetime_s: Mapping[PhoneClass, float] = field(default_factory=dict)
    kinds: frozenset[Kind] = frozenset({Kind.IDENTIFIED})
    marks: frozenset[str | int] = frozenset()


class ClockQuality(IntEnum):
    """What UTC rests on; the byte in a segment's header."""

    NONE = 0
    RTC = 1
    NTP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """UTC and monotonic seconds of one moment, and what UTC rests on."""

    utc_s: float
    monotonic_s: float
    quality: ClockQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """One identifier in one UTC minute: a 26-byte record of the sealed log.

    `rssi_mean` and `rssi_max` are 127 when no hearing had an RSSI (Core 5.4 Vol 4 Part E 7.7.65.2);
    `first_second` and `last_second` are 0..59 within the minute; `adverts` saturates at 255.
    """

    protocol_tag: int
    payload: bytes = field(repr=False)
    adverts: int
    rssi_mean: int
    rssi_max: int
    first_second: int
    last_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Devices on air in the middle of one UTC minute, by figure; raw, so it never leaves memory.

    `figures` maps a figure's name (`bluezone`, `bluezone_presence`, `gaen`, ..., a class of `device_class.py` for what
    no protocol recognised, `passing` for phones heard less than two minutes) to devices; no device is in two figures.
    `listened_s` is how much of the minute the radio was listening.
    """

    minute_s: int
    listened_s: float
    figures: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Noised device-minutes of one bin of one ledger; made by `anonymise.py` only. A figure may be negative.

    `figures` has `nearby`, the phones that stay, and where they are released the tracing figures of the tallies, each
    with its own noise. `scale` is that of a Laplace noise as large as the noise of `nearby`, device-minutes, and
    `tracing_scale` the Laplace scale of each other figure; `epsilon` is for a device-hour of presence in any pattern,
    of all ledgers together. `parts` are the display's bins in it. `bin_s` ends on the UTC grid; it is short where a run
    begins in a bin already released.
    """

    ledger: str
    bin_start_s: int
    bin_s: int
    minutes_covered: int
    epsilon: float
    scale: float
    figures: Mapping[str, int]
    tracing_scale: float | None = None
    parts: int = 1


class MessageKind(StrEnum):
    """What a message is about; the last word of its topic `edge-scanner/v1/d/<id>/up/<kind>`.

    `PULL` goes between an authority and a box (answers.py), `ENROL` between the enrolment desk and boxes or benches
    (bench.py); both have topics of their own and never go through the outbox.
    """

    STATUS = "status"
    COUNTS = "counts"
    HEALTH = "health"
    CHECKPOINT = "checkpoint"
    AUDIT = "audit"
    BOOT = "boot"
    PULL = "pull"
    ENROL = "enrol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Ready to publish: `key` is idempotent (a repeat carries the same one), `expires_s` UTC or None for never."""

    kind: MessageKind
    topic: str
    payload: bytes
    key: str
    qos: int = 1
    retain: bool = False
    created_s: float
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """A segment begins: its number, opening time and signed header (segment.py is the byte-level specification)."""

    seq: int
    opened_s: float
    header: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One sealed minute: frame `number` of segment `seq`, constant-size ciphertext."""

    seq: int
    number: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A finished segment's 32-byte hash, kept for ever."""

    seq: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecord:
    """The identity key vouches for one process run's signing key."""

    number: int
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedMinutes:
    """In which minutes of segment `seq` the radio listened, a second or more: bit m of `minutes` for minute m."""

    seq: int
    minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRows:
    """What the sealed log hands to the store; every row is ciphertext, a hash or a signed public statement.

    `minutes` are about the box alone: whether its radio listened, not whether anybody was there.
    """

    boots: tuple[BootRecord, ...] = ()
    headers: tuple[SegmentHeader, ...] = ()
    frames: tuple[Frame, ...] = ()
    leaves: tuple[Leaf, ...] = ()
    minutes: tuple[SealedMinutes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """A consistency proof (RFC 9162 2.1.4) from the tree of the first `size` segments."""

    size: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where the sealed log stood: the 32-byte `digest` chains the frames of segment `seq` up to one of them.

    It travels in each counts message, so that an earlier minute cannot be rewritten unnoticed. How many frames it is
    after is not said, because busy minutes have more; who has the frames finds it.
    """

    seq: int
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A bin that was noised: the store keeps it so that noise is never drawn twice. `body` is the Report as JSON."""

    ledger: str
    bin_start_s: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One transaction: sealed rows, noised releases, messages for the outbox, and which segments must go.

    Committing the same batch twice changes nothing (rows have idempotent keys).
    """

    rows: LogRows = LogRows()
    releases: tuple[Release, ...] = ()
    messages: tuple[Message, ...] = ()
    drop_segments_before: int | None = None
