"""Packets as they are on air: checksums, signal power, legacy and extended advertising."""

from __future__ import annotations

import pytest

from edge_scanner.core.model import AddressType
from edge_scanner.device.replay import captures
from edge_scanner.device.replay.captures.linklayer import crc24
from tests.support import captures as make
from tests.support.capture_reader import PACKET, Reader, T


def test_crc_agrees_with_the_shift_register() -> None:
    """The table-driven CRC equals the specification's shift register, bit by bit."""
    for packet in (b"", b"\0", make.pdu(2, make.ADDRESS + make.GAEN), bytes(range(256))):
        assert crc24(packet).to_bytes(3, "little") == make.crc24_bits(packet)


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [
        (251, make.on_air(make.pdu(2, make.ADDRESS + make.GAEN), crc=b"\0\0\0")),
        (256, make.pseudo_header(PACKET, flags=0x0403)),
        (256, make.pseudo_header(make.on_air(make.pdu(2, make.ADDRESS), crc=b"\0\0\0"), flags=0x0003)),
        (272, make.nordic(PACKET, flags=0)),
    ],
)
def test_packets_with_a_wrong_crc_are_skipped_and_counted(link_type: int, packet: bytes, read: Reader) -> None:
    """Whether the sniffer checked the CRC or left it to us, a wrong one never becomes an identifier."""
    assert read(make.pcap(link_type, [(T, packet)])) == []
    assert read.losses.crc_failed == 1


def test_per_packet_information_may_have_no_rssi(read: Reader) -> None:
    """Without Ubertooth's field, and with a field that overruns its head, a packet counts and has no RSSI."""
    cut = make.ppi(PACKET)
    cut = cut[:16] + b"\xff\xff" + cut[18:]
    reports = read(make.pcap(192, [(T, make.ppi(PACKET, rssi=None)), (T, cut)]))
    assert [report.rssi for report in reports] == [None, -70]
    never = make.ppi(PACKET)[: -len(PACKET) - 1] + b"\0" + PACKET
    assert read(make.pcap(192, [(T, never)]))[0].rssi is None


def test_signal_power_counts_only_when_valid(read: Reader) -> None:
    """Link type 256 without the valid bit has no RSSI; a CRC nobody checked is computed."""
    (report,) = read(make.pcap(256, [(T, make.pseudo_header(PACKET, flags=0x0001))]))
    assert report.rssi is None


@pytest.mark.parametrize("kind", [0, 2, 4, 6])
def test_legacy_link_layer_adverts(kind: int, read: Reader) -> None:
    """ADV_IND, ADV_NONCONN_IND, SCAN_RSP and ADV_SCAN_IND carry data; TxAdd tells public from random."""
    (report,) = read(make.pcap(251, [(T, make.on_air(make.pdu(kind, make.ADDRESS + make.GAEN, random=0)))]))
    assert (report.data, report.address_type) == (make.GAEN, AddressType.PUBLIC)


def test_other_link_layer_packets(read: Reader) -> None:
    """A directed advert counts without data; scan requests, connection requests and data channels do not."""
    packets = [
        make.on_air(make.pdu(1, make.ADDRESS + make.ADDRESS)),
        make.on_air(make.pdu(3, make.ADDRESS + make.ADDRESS)),
        make.on_air(make.pdu(5, bytes(34))),
        make.on_air(make.pdu(2, make.ADDRESS), access=0x12345678),
    ]
    reports = read(make.pcap(251, [(T, packet) for packet in packets]))
    assert [report.data for report in reports] == [b""]
    assert read.losses == captures.Losses()


@pytest.mark.parametrize(
    ("link_type", "packet"),
    [
        (251, b"\xd6\xbe\x89\x8e\x02"),
        (251, make.on_air(make.pdu(2, b"abc"))),
        (251, make.on_air(bytes([0x42, 9]) + bytes(6))),
        (251, make.on_air(make.pdu(7, b""))),
        (251, make.on_air(make.pdu(7, b"\x3f\x01"))),
        (251, make.on_air(make.pdu(7, b"\x02\x01\x00"))),
        (256, make.pseudo_header(PACKET, flags=0x0002)),
        (256, bytes(9)),
        (272, bytes(9)),
        (192, make.ppi(PACKET)[: -len(PACKET)]),
        (192, b"\1" + make.ppi(PACKET)[1:]),
        (192, make.ppi(PACKET)[:2] + b"\xff\xff" + make.ppi(PACKET)[4:]),
        (272, make.nordic(PACKET, version=9)),
        (272, make.nordic(PACKET)[:7] + b"\x0b" + make.nordic(PACKET)[8:]),
        (256, make.pseudo_header(make.on_air(b"", crc=b"\1\2\3\4\5"), flags=0x8C03)),
    ],
)
def test_unreadable_link_layer_packets_are_counted(link_type: int, packet: bytes, read: Reader) -> None:
    """Packets that contradict their lengths, are still whitened or of an unknown sniffer version are counted."""
    assert read(make.pcap(link_type, [(T, packet)])) == []
    assert read.losses.unreadable == 1


def test_extended_advertising_on_air(read: Reader) -> None:
    """ADV_EXT_IND points and tells the address; AUX_ADV_IND and two AUX_CHAIN_INDs are one advert of that address."""
    info, aux = b"\x07\x10", b"\1\2\3"
    parts = [
        make.extended_payload(b"", address=make.ADDRESS, info=info, aux=aux),
        make.extended_payload(make.GAEN[:5], info=info, aux=aux, rest=0x40),
        make.extended_payload(make.GAEN[5:9], info=info, aux=aux),
        make.extended_payload(make.GAEN[9:], info=info),
        make.extended_payload(b"\1\2", address=make.ADDRESS),
        make.extended_payload(make.GAEN),
    ]
    packets = [(T + n, make.on_air(make.pdu(7, part))) for n, part in enumerate(parts)]
    joined, whole, bare = read(make.pcap(251, packets))
    assert (joined.data, joined.address, joined.at_s) == (make.GAEN, "51:22:33:44:55:66", T + 3)
    assert (whole.data, whole.address) == (b"\1\2", "51:22:33:44:55:66")
    assert (bare.data, bare.address) == (make.GAEN, "")


def test_addresses_of_advertising_sets_are_bounded(read: Reader) -> None:
    """Only the newest advertising sets are remembered."""
    told = [
        make.extended_payload(b"", address=make.ADDRESS, info=n.to_bytes(2, "little"), aux=b"\1\2\3") for n in range(70)
    ]
    asked = [make.extended_payload(b"\1\2", info=n.to_bytes(2, "little")) for n in (0, 69)]
    packets = [(T, make.on_air(make.pdu(7, part))) for part in told + asked]
    assert [report.address for report in read(make.pcap(251, packets))] == ["", "51:22:33:44:55:66"]


def test_coded_packets_have_one_octet_more(read: Reader) -> None:
    """On the coded PHY the coding indicator stands before the header, in both sniffer formats."""
    coded = make.on_air(make.pdu(7, make.extended_payload(make.GAEN, address=make.ADDRESS)), coding=b"\0")
    assert read(make.pcap(256, [(T, make.pseudo_header(coded, flags=0x8C03))]))[0].data == make.GAEN
    assert read(make.pcap(272, [(T, make.nordic(coded, flags=0x21))]))[0].data == make.GAEN
