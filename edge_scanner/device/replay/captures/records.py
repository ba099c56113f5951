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

EARLIEST_S, LATEST_S = 0.0, 4_102_444_800.0
"""1970 (a phone before its first network time) to 2100: a record dated outside is damage, not history."""


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
    PPI = auto()
    """The same after Per-Packet Information."""
    OTHER = auto()
    """Nothing that can hold an advertisement heard by this capture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One captured packet: UTC seconds as the file has them, and the byte of the file where the record starts.

    `adapter` tells apart what one file has from several adapters.
    """

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
    """Times that a capture's clock was set, back or forward."""
    stamps_set_aside: int = 0
    """Records whose time was not believed, because those before and after agree on another."""


class Source:
    """An open capture with its name and position, for readers that ask for exact lengths.

    `utc_offset_s` is how far the capture's clock is ahead of UTC; `damage` what a decompressor raises, empty for a
    file that is read as it is.
    """

    def __init__(
        self,
        stream: BinaryIO,
        name: str,
        *,
        utc_offset_s: float = 0.0,
        damage: tuple[type[Exception], ...] = (),
    ) -> None:
        self.name = name
        self.position = 0
        self._stream = stream
        self._utc_offset_s = utc_offset_s
        self._damage = damage
        self._record = 0
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """Up to `size` of the next bytes, which stay to be read."""
        if len(self._ahead) < size:
            self._ahead += self._read(size - len(self._ahead))
        return self._ahead[:size]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes; raises BadDataError when the file ends before them."""
        ahead, self._ahead = self._ahead[:size], self._ahead[size:]
        data = ahead + self._read(size - len(ahead)) if ahead else self._read(size)
        if len(data) < size:
            raise self.cut(self.position)
        self.position += size
        return data

    def maybe(self, size: int) -> bytes | None:
        """`size` bytes that begin a record, or None at the clean end of the file."""
        self._record = self.position
        return self.take(size) if self.peek(1) else None

    def utc(self, at_s: float, offset: int) -> float:
        """The UTC seconds of a stamp; raises BadDataError when no record can have been written then."""
        at_s -= self._utc_offset_s
        if not EARLIEST_S <= at_s <= LATEST_S:
            raise self.damaged("a record carries an impossible time", offset)
        return at_s

    def damaged(self, what: str, offset: int, *, hint: str = "") -> BadDataError:
        """The one line for damage at a byte of this file."""
        unit = "decompressed byte" if self._damage else "byte"
        return BadDataError(what, where=f"{self.name}, {unit} {offset}", hint=hint)

    def cut(self, offset: int) -> BadDataError:
        """The one line for a file that ends at a byte where it should not."""
        return self.damaged(
            "the compression is damaged or ends" if self._damage else "the capture ends inside a record",
            offset,
            hint=(
                f"the copy or the capture was cut short; its first {self._record} bytes are intact and can be replayed"
                if self._record
                else "it contains no record; copy or record it again"
            ),
        )

    def _read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end. Raises OSError with the file's name."""
        try:
            return self._stream.read(size)
        except self._damage:
            raise self.cut(self.position) from None
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.name) from None
