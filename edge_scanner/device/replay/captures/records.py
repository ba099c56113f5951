"""What a capture file is made of: records read one after the other, and the errors that name their byte.

A file is never held in memory: the readers pull exact lengths from a buffered stream, and no length field is believed
beyond `MAX_RECORD_BYTES`. A file that ends inside a record is refused like any other damage; that beat replaying
what is whole, because a count from half a capture looks like a count.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, BinaryIO

from edge_scanner.core.errors import BadDataError

if TYPE_CHECKING:
    from edge_scanner.core.model import AddressType

MAX_RECORD_BYTES = 1 << 20
"""A length beyond this is damage: the longest HCI packet is 64 KiB, pcapng statistics and names stay far below."""

EARLIEST_S, LATEST_S = 0.0, 7_258_118_400.0
"""1970 (a phone before its first network time) to 2200: a record dated outside is damage, not history."""


class Link(Enum):
    """How a record's bytes are wrapped."""

    EVENT = auto()
    """A bare HCI event; whatever else a capture holds (commands, data) is not passed on under this name."""
    H4 = auto()
    """HCI UART: one byte of packet type, then the packet."""
    MONITOR = auto()
    """Linux monitor: big-endian adapter and opcode, then the packet."""
    LE = auto()
    """Link layer from the access address to the CRC."""
    LE_PSEUDO_HEADER = auto()
    """The same after ten bytes about the radio."""
    NORDIC = auto()
    """The same after a board number and the header of Nordic's sniffer."""
    OTHER = auto()
    """Nothing that can hold an advertisement heard by this capture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One captured packet: UTC seconds as the file has them, and the byte of the file where the record starts."""

    at_s: float
    link: Link
    data: bytes
    offset: int
    adapter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One advertising report, still with its address, so it never leaves `device/replay/captures` and `device/replay`.

    `rssi` is dBm, None where the capture does not know it; `data` is the advertising data as it was on air.
    """

    at_s: float
    address: str = field(repr=False)
    address_type: AddressType
    rssi: int | None
    data: bytes = field(repr=False)


@dataclass(slots=True, kw_only=True)
class Losses:
    """What was read and did not become a report."""

    crc_failed: int = 0
    unreadable: int = 0
    """Packets that contradict their own lengths, or that the sniffer left scrambled."""
    incomplete: int = 0
    """Chained advertisements of which a fragment is missing."""
    clock_steps: int = 0
    """Times that a capture's clock was set back; what follows goes on from the time that was reached."""


class Source:
    """An open capture with its name and position, for readers that ask for exact lengths."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.position = 0
        self._stream = stream

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes; raises BadDataError when the file ends before them."""
        data = self._stream.read(size)
        if len(data) < size:
            raise self.damaged("the capture ends inside a record", self.position, hint=self._cut_hint())
        self.position += size
        return data

    def maybe(self, size: int) -> bytes | None:
        """`size` bytes that begin a record, or None at the clean end of the file."""
        self._record = self.position
        data = self._stream.read(size)
        if not data:
            return None
        if len(data) < size:
            raise self.damaged("the capture ends inside a record", self.position, hint=self._cut_hint())
        self.position += size
        return data

    def damaged(self, what: str, offset: int, *, hint: str = "") -> BadDataError:
        """The one line for damage at a byte of this file."""
        return BadDataError(what, where=f"{self.name}, byte {offset}", hint=hint)

    def _cut_hint(self) -> str:
        if not self._record:
            return "it holds no record; copy or record it again"
        return f"the copy or the capture was cut short; its first {self._record} bytes are whole and can be replayed"

    _record = 0


def checked_time(source: Source, at_s: float, offset: int) -> float:
    """`at_s` if a record can have been written then; raises BadDataError otherwise."""
    if not EARLIEST_S <= at_s <= LATEST_S:
        raise source.damaged("a record carries an impossible time", offset)
    return at_s
