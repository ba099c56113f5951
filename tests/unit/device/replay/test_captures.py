"""Capture files of every format become the same reports, and damage is named by file and byte."""

from __future__ import annotations

import gzip
import struct
import sys
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError
from edge_scanner.core.model import AddressType
from edge_scanner.device.replay import captures
from tests.support import captures as make
from tests.support.capture_reader import EVENT, PACKET, Reader, T

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BIG, LITTLE = ">", "<"


def _monitor(event: bytes, opcode: int = 3, adapter: int = 0) -> bytes:
    return struct.pack(">HH", adapter, opcode) + event


FORMATS = {
    "btsnoop 1001": make.btsnoop([(T, 3, EVENT), (T, 2, b"\x0c\x20\x02\x01\x00")], datalink=1001),
    "btsnoop 1002": make.btsnoop([(T, 3, b"\x04" + EVENT), (T, 2, b"\x01\x0c\x20\x02\x01\x00")]),
    "btsnoop 2001": make.btsnoop([(T, 5 << 16 | 3, EVENT), (T, 2, EVENT)], datalink=2001),
    "pcap 187": make.pcap(187, [(T, b"\x04" + EVENT)]),
    "pcap 201 big-endian": make.pcap(201, [(T, b"\0\0\0\1\x04" + EVENT)], order=BIG),
    "pcap 254 nanoseconds": make.pcap(254, [(T, _monitor(EVENT)), (T, _monitor(EVENT, 2))], nanoseconds=True),
    "pcap 251": make.pcap(251, [(T, PACKET)]),
    "pcap 256": make.pcap(256, [(T, make.pseudo_header(PACKET, rssi=-70))]),
    "pcap 272 v1": make.pcap(272, [(T, make.nordic(PACKET, version=1, kind=6, rssi=-70))]),
    "pcap 272 v2": make.pcap(272, [(T, make.nordic(PACKET, version=2, kind=6, rssi=-70))]),
    "pcap 272 v3": make.pcap(272, [(T, make.nordic(PACKET, rssi=-70)), (T, make.nordic(b"", kind=0x0E))]),
    "pcapng": make.section() + make.interface(187) + make.enhanced(b"\x04" + EVENT, T * 10**6),
    "pcapng big-endian": make.section(BIG)
    + make.interface(201, order=BIG)
    + make.block(5, bytes(8), BIG)
    + make.enhanced(b"\0\0\0\1\x04" + EVENT, T * 10**6, order=BIG),
    "pcapng obsolete": make.section() + make.interface(187) + make.obsolete(b"\x04" + EVENT, T * 10**6),
    "pcap 192": make.pcap(192, [(T, make.ppi(PACKET))]),
    "pcap 192 user link": make.pcap(192, [(T, make.ppi(PACKET, link=147)), (T, make.ppi(b"\0" * 40, link=105))]),
    "PacketLogger": make.packetlogger([(T, 1, EVENT), (T, 0, b"\x0c\x20\x02\x01\x00"), (T, 0xFB, b"note")]),
    "PacketLogger little-endian": make.packetlogger([(T, 1, EVENT)], order=LITTLE),
}
FORMATS |= {
    "btsnoop 1002 gzip": gzip.compress(FORMATS["btsnoop 1002"]),
    "PacketLogger gzip": gzip.compress(FORMATS["PacketLogger"]),
    "pcapng zstd": zstd.compress(FORMATS["pcapng"]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_yields_the_same_report(name: str, read: Reader) -> None:
    """One advert, wrapped in each file and link type, comes out as one report with time, address, RSSI and data."""
    (report,) = read(FORMATS[name])
    assert report.at_s == T
    assert report.data == make.GAEN
    assert report.address == "51:22:33:44:55:66"
    assert report.address_type is AddressType.RESOLVABLE
    assert report.rssi == (None if name == "pcap 251" else -70)
    assert read.losses == captures.Losses()


def test_a_report_shows_no_address_in_its_text(read: Reader) -> None:
    """Neither address nor content appears when a report is printed by accident."""
    (report,) = read(FORMATS["btsnoop 1002"])
    assert report.address not in repr(report)
    assert repr(make.GAEN)[2:-1] not in repr(report)


@pytest.mark.parametrize(("resolution", "ticks_per_s"), [(6, 10**6), (9, 10**9), (0, 1), (0x80 | 10, 1024)])
def test_pcapng_clocks_of_every_resolution(resolution: int, ticks_per_s: int, read: Reader) -> None:
    """if_tsresol in powers of ten and of two, with if_tsoffset, gives the same second."""
    described = make.interface(187, resolution=resolution, offset_s=1000)
    (report,) = read(make.section() + described + make.enhanced(b"\x04" + EVENT, (T - 1000) * ticks_per_s))
    assert report.at_s == T


def test_pcapng_with_several_sections_and_interfaces(read: Reader) -> None:
    """Interfaces keep their own link type; a second section in the other byte order begins anew; a simple packet
    takes the time of the one before; an Ethernet interface without packets does no harm.
    """
    content = (
        make.section()
        + make.interface(1)
        + make.interface(251)
        + make.enhanced(PACKET, T * 10**6, number=1)
        + make.section(BIG)
        + make.interface(187, order=BIG)
        + make.enhanced(b"\x04" + EVENT, (T + 1) * 10**6, order=BIG)
        + make.simple(b"\x04" + EVENT, order=BIG)
    )
    assert [report.at_s for report in read(content)] == [T, T + 1, T + 1]


def test_several_reports_in_one_event(read: Reader) -> None:
    """Both report kinds hold several adverts an event; a directed report is an advert without data."""
    legacy = make.legacy_event(
        make.legacy_report(make.GAEN, rssi=-50), make.legacy_report(b"", kind=1, rssi=127), make.legacy_report(b"\1\2")
    )
    extended = make.extended_event(make.extended_report(make.GAEN, rssi=-40), make.extended_report(b"\1\2", random=0))
    reports = read(make.btsnoop([(T, 3, b"\x04" + legacy), (T, 3, b"\x04" + extended)]))
    assert [(len(r.data), r.rssi) for r in reports] == [(28, -50), (0, None), (2, -70), (28, -40), (2, -70)]
    assert reports[-1].address_type is AddressType.PUBLIC


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        (0x00, AddressType.NON_RESOLVABLE),
        (0x40, AddressType.RESOLVABLE),
        (0x80, AddressType.UNKNOWN),
        (0xC0, AddressType.STATIC),
    ],
)
def test_random_addresses_tell_their_kind(top: int, expected: AddressType, read: Reader) -> None:
    """The two top bits of a random address tell its kind."""
    event = make.legacy_event(make.legacy_report(b"", address=bytes(5) + bytes([top])))
    (report,) = read(make.btsnoop([(T, 3, b"\x04" + event)]))
    assert report.address_type is expected


def test_a_chained_advert_is_joined(read: Reader) -> None:
    """Fragments of two sets of one device are joined apart; the advert counts once, when it is complete."""
    halves = [
        make.extended_report(make.GAEN[:11], status=1, set_id=1),
        make.extended_report(make.GAEN[:9], status=1, set_id=2),
        make.extended_report(make.GAEN[11:], set_id=1),
        make.extended_report(make.GAEN[9:], set_id=2),
    ]
    reports = read(make.btsnoop([(T, 3, b"\x04" + make.extended_event(half)) for half in halves]))
    assert [report.data for report in reports] == [make.GAEN, make.GAEN]


def test_a_truncated_chain_keeps_its_whole_structures(read: Reader) -> None:
    """When the controller gave up, what is complete is read and the loss is counted."""
    events = [make.extended_report(make.GAEN[:20], status=1), make.extended_report(make.GAEN[20:25], status=2)]
    (report,) = read(make.btsnoop([(T, 3, b"\x04" + make.extended_event(event)) for event in events]))
    assert report.data == make.GAEN[:4]
    assert read.losses.incomplete == 1


def test_chains_are_bounded(read: Reader) -> None:
    """Neither one endless chain nor a thousand open ones grow without limit; both are counted."""
    endless = [make.extended_report(bytes(200), status=1) for _ in range(9)]
    assert read(make.btsnoop([(T, 3, b"\x04" + make.extended_event(one)) for one in endless])) == []
    assert read.losses.incomplete == 1
    many = [make.extended_report(b"\0", status=1, address=struct.pack(">IH", 7, n)) for n in range(100)]
    assert read(make.btsnoop([(T, 3, b"\x04" + make.extended_event(one)) for one in many])) == []
    assert read.losses.incomplete == 100 - 64


@pytest.mark.parametrize("wrap", ["btsnoop 2001", "pcap 254", "pcapng 254", "pcapng interfaces"])
def test_adapters_are_kept_apart(wrap: str, read: Reader) -> None:
    """Two adapters that hear one chained advert, fragment by fragment, tell it twice and never crosswise."""
    pieces = [(make.GAEN[:11], 1), (make.GAEN[11:], 0)]
    heard = [
        (adapter, make.extended_event(make.extended_report(piece, status=status)))
        for piece, status in pieces
        for adapter in (0, 1)
    ]
    at = T * 10**6
    content = {
        "btsnoop 2001": make.btsnoop([(T, adapter << 16 | 3, event) for adapter, event in heard], datalink=2001),
        "pcap 254": make.pcap(254, [(T, _monitor(event, adapter=adapter)) for adapter, event in heard]),
        "pcapng 254": make.section()
        + make.interface(254)
        + b"".join(make.enhanced(_monitor(event, adapter=adapter), at) for adapter, event in heard),
        "pcapng interfaces": make.section()
        + 2 * make.interface(187)
        + b"".join(make.enhanced(b"\x04" + event, at, number=adapter) for adapter, event in heard),
    }[wrap]
    assert [report.data for report in read(content)] == [make.GAEN, make.GAEN]
    assert read.losses == captures.Losses()


def test_an_anonymous_advert_has_no_address(read: Reader) -> None:
    """Address type 0xFF means that there is none."""
    event = make.extended_event(make.extended_report(make.GAEN, random=0xFF, address=bytes(6)))
    (report,) = read(make.btsnoop([(T, 3, b"\x04" + event)]))
    assert (report.address, report.address_type) == ("", AddressType.UNKNOWN)


@pytest.mark.parametrize(
    "event",
    [
        EVENT[:-3],
        EVENT[:3] + b"\x02" + EVENT[4:],
        EVENT[:12] + b"\xff" + EVENT[13:],
        make.legacy_event(make.legacy_report(make.GAEN)[:-1]),
        make.extended_event(make.extended_report(make.GAEN))[:30],
        make.extended_event(make.extended_report(make.GAEN)[:20]),
        make.extended_event(make.extended_report(make.GAEN)[:-1]),
    ],
)
def test_an_event_that_contradicts_itself_is_counted(event: bytes, read: Reader) -> None:
    """A controller's broken event is counted and the next one is read."""
    reports = read(make.btsnoop([(T, 3, b"\x04" + event), (T + 1, 3, b"\x04" + EVENT)]))
    assert reports[-1].at_s == T + 1
    assert read.losses.unreadable == 1


def test_records_slightly_out_of_order_are_sorted(read: Reader) -> None:
    """Within two seconds the order is mended; what is later still takes the time that was reached."""
    seconds = [0.0, 1.0, 0.5, 9.0, 3.0, 9.5]
    content = make.btsnoop([(T + at_s, 3, b"\x04" + EVENT) for at_s in seconds])
    assert [report.at_s - T for report in read(content)] == [0.0, 0.5, 1.0, 3.0, 9.0, 9.5]
    late = make.btsnoop([(T + at_s, 3, b"\x04" + EVENT) for at_s in (0.0, 9.0, 20.0, 1.0)])
    assert [report.at_s - T for report in read(late)] == [0.0, 9.0, 9.0, 20.0]


def test_captures_are_merged_by_time(tmp_path: Path) -> None:
    """Two receivers' files become one stream, and the progress of each is told."""
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, start in zip(paths, (0, 1), strict=True):
        path.write_bytes(make.btsnoop([(T + start + 2 * n, 3, b"\x04" + EVENT) for n in range(3)]))
    told: dict[Path, tuple[int, float]] = {}
    reports = captures.merge(
        paths, captures.Losses(), lambda path, position, at_s: told.__setitem__(path, (position, at_s))
    )
    assert [report.at_s - T for report in reports] == [0, 1, 2, 3, 4, 5]
    assert told == {path: (path.stat().st_size, T + last) for path, last in zip(paths, (4, 5), strict=True)}


@pytest.mark.parametrize(
    ("content", "byte", "words"),
    [
        (b"", 0, "ends"),
        (b"PK\3\4 and more", 0, "not a capture"),
        (b"btsnoop\0" + struct.pack(">II", 2, 1002), 8, "version 2"),
        (b"btsnoop\0" + struct.pack(">II", 1, 1003), 12, "data link 1003"),
        (FORMATS["btsnoop 1002"][:30], 16, "ends inside"),
        (FORMATS["btsnoop 1002"][:50], 40, "ends inside"),
        (make.btsnoop([(T, 0, b"")])[:16] + struct.pack(">IIIIq", 4, 5, 0, 0, 0), 16, "length"),
        (make.btsnoop([])[:16] + struct.pack(">IIIIq", 1 << 30, 1 << 30, 0, 0, 0), 16, "length"),
        (make.btsnoop([(-1, 0, b"")]), 16, "time"),
        (make.pcap(1, []), 20, "link type 1"),
        (make.pcap(187, []).replace(b"\2\0\4\0", b"\3\0\4\0"), 4, "pcap version 3"),
        (make.pcap(187, []) + struct.pack("<IIII", T, 10**6, 0, 0), 24, "impossible"),
        (make.pcap(187, []) + struct.pack("<IIII", T, 0, 1 << 30, 0), 24, "impossible"),
        (make.section()[:8] + b"abcd", 8, "byte order"),
        (make.section() + struct.pack("<II", 9, 13), 28, "length"),
        (make.section() + struct.pack("<III", 9, 12, 16), 28, "two lengths"),
        (make.section() + make.block(1, bytes(4)), 28, "interface description"),
        (make.section() + make.enhanced(b"", 0), 28, "interface"),
        (make.section() + make.block(6, bytes(8)), 28, "before its interface"),
        (make.section() + make.simple(b""), 28, "before its interface"),
        (make.section() + make.interface(1) + make.enhanced(b"", 0), 48, "link type 1"),
        (make.section() + make.interface(187, offset_s=-1) + make.enhanced(b"", 0), 64, "time"),
        (make.section() + make.interface(187, resolution=0x80 | 64), 28, "clock is impossible"),
        (make.section() + make.interface(187, resolution=20), 28, "clock is impossible"),
        (make.section() + make.interface(187) + 3 * make.simple(b"\x04" + EVENT), 48, "no time"),
        (make.section() + make.interface(187) + 5000 * make.simple(b""), 48, "no time"),
        (make.section() + make.obsolete(b"", 0), 28, "interface"),
        (make.pcap(187, [(T, b"\x04" + EVENT)]) + bytes(4096), 41 + len(EVENT), "zeros"),
        (make.pcap(187, [(4_200_000_000, b"")]), 24, "time"),
        (make.pcap(67_109_051, [])[:20] + struct.pack("<I", 0x04000001), 20, "link type 1"),
        (make.packetlogger([(T, 1, EVENT)]) + bytes(64), 13 + len(EVENT), "length"),
        (make.packetlogger([(T, 1, EVENT)])[:-1], 12, "ends inside"),
        (make.packetlogger([(T, 1, EVENT)]) + struct.pack(">IIIB", 9, T, 10**6, 1), 13 + len(EVENT), "time"),
        (make.packetlogger([(T, 1, EVENT)]) + struct.pack(">IIIB", 1 << 21, T, 0, 1), 13 + len(EVENT), "length"),
        (b"\x04\x22\x4d\x18 lz4", 0, "lz4"),
        (b"BZh9", 0, "bzip2"),
    ],
)
def test_damage_is_named_by_file_and_byte(content: bytes, byte: int, words: str, read: Reader) -> None:
    """An unknown or damaged file gives one line with what is wrong, the file and the byte."""
    with pytest.raises(BadDataError, match=words) as caught:
        read(content)
    assert caught.value.where == f"{read.path}, byte {byte}"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress])
def test_damage_inside_a_compressed_capture_is_named(pack: Callable[[bytes], bytes], read: Reader) -> None:
    """A cut or damaged compression, and damage in what it holds, are errors with the file and the decompressed byte."""
    records = [
        (T + n / 100, 3, b"\x04" + make.legacy_event(make.legacy_report(n.to_bytes(30, "big")))) for n in range(999)
    ]
    content = make.btsnoop(records)
    packed = pack(content)
    middle = len(packed) // 2
    for damaged in (packed[:middle], packed[:-3], packed[:6], packed[:6] + bytes(64)):
        with pytest.raises(BadDataError, match="decompressed byte") as caught:
            read(damaged)
        assert "\n" not in str(caught.value)
    with pytest.raises(BadDataError, match=r"decompressed byte 16\)"):
        read(pack(content[:16] + bytes(64)))


def test_a_cut_compression_says_how_much_is_whole(read: Reader) -> None:
    """The first N of its decompressed bytes are a file that replays."""
    content = make.btsnoop([(T + n, 3, b"\x04" + EVENT) for n in range(3)])
    with pytest.raises(BadDataError) as caught:
        read(gzip.compress(content[:-5]))
    whole = int(caught.value.hint.split("first ")[1].split(" ")[0])
    assert len(read(content[:whole])) == 2


def test_a_cut_file_says_how_much_is_whole(read: Reader) -> None:
    """The hint's first N bytes are a file that replays."""
    content = make.btsnoop([(T + n, 3, b"\x04" + EVENT) for n in range(3)])
    with pytest.raises(BadDataError) as caught:
        read(content[:-5])
    whole = int(caught.value.hint.split("first ")[1].split(" ")[0])
    assert len(read(content[:whole])) == 2


@pytest.mark.parametrize("size", [0, 3, 12])
def test_a_file_without_records_is_not_offered_for_replay(read: Reader, size: int) -> None:
    """An empty file, and one cut inside its header, say that there is nothing whole in them."""
    with pytest.raises(BadDataError, match="it contains no record"):
        read(make.btsnoop([])[:size])
