"""Captures of every format, mutated where it hurts, through the whole replay: reports or one line, never a traceback.

The mutations know the structure: a file is its head and its records, which are doubled, dropped, moved between formats
and cut, and whose fields (lengths, stamps, link types, counts) take the values at which arithmetic breaks.
"""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_scanner import protocols, terminal
from edge_scanner.core.errors import BadDataError
from edge_scanner.device.commands.replay import all_protocols, show
from edge_scanner.device.commands.replay_log import sealed_replay
from edge_scanner.device.replay import replay
from edge_scanner.device.settings import Log
from tests.support import captures as make
from tests.support import recipients

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = make.START_S
KNOWN = protocols.load(all_protocols())
EVENTS = (
    make.legacy_event(make.legacy_report(make.GAEN), make.legacy_report(make.GAEN[:20])),
    make.extended_event(make.extended_report(make.GAEN[:11], status=1)),
    make.extended_event(make.extended_report(make.GAEN[11:], status=2)),
)
INFO, AUX = b"\x07\x10", b"\1\2\3"
PACKETS = tuple(
    make.on_air(pdu)
    for pdu in (
        make.pdu(2, make.ADDRESS + make.GAEN),
        make.pdu(7, make.extended_payload(b"", address=make.ADDRESS, info=INFO, aux=AUX)),
        make.pdu(7, make.extended_payload(make.GAEN[:9], info=INFO, aux=AUX)),
        make.pdu(7, make.extended_payload(make.GAEN[9:], info=INFO)),
    )
)
SECTION = make.section()


def _btsnoop(datalink: int, prefix: bytes) -> list[bytes]:
    whole = make.btsnoop([], datalink=datalink)
    return [whole] + [
        make.btsnoop([(T + n, 3, prefix + event)], datalink=datalink)[16:] for n, event in enumerate(EVENTS)
    ]


def _pcap(link: int, packets: list[bytes], *, order: str = "<", nanoseconds: bool = False) -> list[bytes]:
    records = [(T + n, packet) for n, packet in enumerate(packets)]
    head = make.pcap(link, [], order=order, nanoseconds=nanoseconds)
    return [head] + [make.pcap(link, [one], order=order, nanoseconds=nanoseconds)[len(head) :] for one in records]


H4 = [b"\x04" + event for event in EVENTS]
FILES: dict[str, list[bytes]] = {
    "btsnoop 1001": _btsnoop(1001, b""),
    "btsnoop 1002": _btsnoop(1002, b"\x04"),
    "btsnoop 2001": _btsnoop(2001, b""),
    "pcap 187": _pcap(187, H4),
    "pcap 192": _pcap(192, [make.ppi(packet) for packet in PACKETS]),
    "pcap 201": _pcap(201, [b"\0\0\0\1" + packet for packet in H4], order=">"),
    "pcap 251": _pcap(251, list(PACKETS), nanoseconds=True),
    "pcap 254": _pcap(254, [struct.pack(">HH", n, 3) + event for n, event in enumerate(EVENTS)]),
    "pcap 256": _pcap(256, [make.pseudo_header(packet) for packet in PACKETS]),
    "pcap 272": _pcap(272, [make.nordic(packet) for packet in PACKETS]),
    "pcapng": [SECTION, make.interface(187, resolution=9, offset_s=5)]
    + [make.enhanced(packet, (T + n) * 10**9) for n, packet in enumerate(H4)]
    + [make.simple(H4[0])],
    "pcapng obsolete": [SECTION, make.interface(251)] + [make.obsolete(p, T * 10**6) for p in PACKETS],
    "PacketLogger": [make.packetlogger([(T + n, 1, event)]) for n, event in enumerate(EVENTS)],
    "PacketLogger little-endian": [make.packetlogger([(T, 1, event)], order="<") for event in EVENTS],
}
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda content: gzip.compress(content, 1),
    "zstd": zstd.compress,
}

EDGES = (0, 1, 2, 9, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, (1 << 20) + 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""Where lengths, stamps and counts break."""
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("field"), st.integers(0, 9), st.integers(0, 99), st.sampled_from(EDGES)),
        st.tuples(st.just("byte"), st.integers(0, 9), st.integers(0, 999), st.integers(0, 255)),
        st.tuples(st.sampled_from(["double", "drop", "swap", "cut", "zeros"]), st.integers(0, 9), st.integers(0, 99)),
        st.tuples(st.just("foreign"), st.integers(0, 9), st.sampled_from(sorted(FILES)), st.integers(0, 9)),
    ),
    max_size=6,
)
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)


def mutated(name: str, changes: list[tuple[object, ...]]) -> bytes:
    """A file of this format after some changes."""
    parts = [bytearray(part) for part in FILES[name]]
    for kind, where, *how in changes:
        if not parts:
            break
        place = int(str(where)) % len(parts)
        match kind, how:
            case "double", _:
                parts.insert(place, bytearray(parts[place]))
            case "drop", _:
                del parts[place]
            case "swap", [int(number)]:
                other = number % len(parts)
                parts[place], parts[other] = parts[other], parts[place]
            case "foreign", [str(other_name), int(number)]:
                parts.insert(place, bytearray(FILES[other_name][number % len(FILES[other_name])]))
            case _:
                _damage(parts[place], str(kind), *(int(str(one)) for one in how))
    return b"".join(parts)


def _damage(part: bytearray, kind: str, number: int, value: int = 0) -> None:
    """A change inside one head or record."""
    if kind == "field" and len(part) >= 4:
        at = 4 * number % (len(part) - 3)
        part[at : at + 4] = struct.pack("<I" if number % 2 else ">I", value)
    elif kind == "byte" and part:
        part[number % len(part)] = value
    elif kind == "cut":
        del part[number % (len(part) + 1) :]
    elif kind == "zeros":
        part[number % (len(part) + 1) :] = bytes(64)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packed", PACKED)
def test_every_format_is_good_before_it_is_mutated(name: str, packed: str, tmp_path: Path) -> None:
    """What the mutations begin with is read whole, so that they reach what lies behind the heads."""
    path = tmp_path / "capture"
    path.write_bytes(PACKED[packed](b"".join(FILES[name])))

    summary = replay.replay([path], KNOWN, grace_s=60.0)

    assert summary.sightings["gaen"] >= 1


@pytest.mark.parametrize("name", FILES)
@SLOW
@given(
    changes=CHANGES,
    packed=st.sampled_from(["", "", "", *PACKED]),
    spoilt=st.one_of(st.none(), st.tuples(st.integers(0, 9999), st.integers(0, 255))),
    offset_s=st.sampled_from([0.0, 25_200.0, -36_000.0, 3e8, -3e8]),
)
def test_mutated_captures_give_a_summary_or_one_line(
    *,
    name: str,
    changes: list[tuple[object, ...]],
    packed: str,
    spoilt: tuple[int, int] | None,
    offset_s: float,
    tmp_path: Path,
) -> None:
    """Whatever the bytes, the replay ends with a summary that prints, or with bad data named by file and byte."""
    content = bytearray(PACKED[packed](mutated(name, changes)))
    if spoilt is not None and content:
        content[spoilt[0] % len(content)] = spoilt[1]
    path = tmp_path / "capture"
    path.write_bytes(content)

    try:
        summary = replay.replay([path], KNOWN, grace_s=60.0, utc_offset_s=offset_s)
    except BadDataError as error:
        assert error.where.startswith(f"{path}, ")  # noqa: PT017 (either outcome is right)
        assert "byte " in error.where  # noqa: PT017
        return

    told = summary.as_json()
    json.dumps(told)
    assert summary.seconds >= 0
    assert sum(summary.sightings.values()) <= 8 * summary.intake.reports
    console = terminal.console()
    console.file = io.StringIO()
    show(summary, console)


@pytest.fixture(scope="module")
def sealed_to(tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Settings of a log whose recipients are valid around T."""
    folder = tmp_path_factory.mktemp("recipients")
    recipients.parties(T).install(folder)
    return Log(
        recipients=str(folder / "recipients.json"),
        authority_root=str(folder / "authority-root.pem"),
        custodian_root=str(folder / "custodian-root.pem"),
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    stamps=st.lists(
        st.one_of(st.floats(0, 4.2e9), st.floats(T, T + 7200), st.sampled_from([0.0, 25_200.0, 4_102_444_800.0])),
        min_size=1,
        max_size=12,
    ),
    offset_s=st.sampled_from([0.0, 25_200.0, -36_000.0]),
)
def test_any_clock_seals_or_is_one_line(
    stamps: list[float], offset_s: float, sealed_to: Log, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Times from 1970 to 2100, in any order and with any offset, go into the sealed log or are refused as bad data."""
    folder = tmp_path_factory.mktemp("state")
    log = make.android_log(folder / "log", [(at_s, make.GAEN) for at_s in stamps])
    state = folder / "state"
    state.mkdir(mode=0o700)
    try:
        with sealed_replay(sealed_to, state, KNOWN) as take:
            replay.replay([log], KNOWN, grace_s=60.0, utc_offset_s=offset_s, also=take)
    except BadDataError as error:
        assert error.where.startswith(f"{log}, byte ")  # noqa: PT017 (either outcome is right)
