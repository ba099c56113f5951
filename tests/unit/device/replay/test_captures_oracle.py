"""The reader of captures against scapy: what scapy writes, our reader reads, and both see the same advertisements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.bluetooth import (
    EIR_Hdr,
    HCI_Event_Hdr,
    HCI_Event_LE_Meta,
    HCI_Hdr,
    HCI_LE_Meta_Advertising_Report,
    HCI_LE_Meta_Advertising_Reports,
)
from scapy.layers.bluetooth4LE import BTLE, BTLE_ADV, BTLE_ADV_NONCONN_IND
from scapy.packet import Raw
from scapy.utils import wrpcap

from edge_scanner.device.replay import captures
from tests.support.captures import pcap

if TYPE_CHECKING:
    from pathlib import Path

LINK_LAYER, H4 = 251, 187
START_S = 1_600_000_000
DATA = st.binary(min_size=3, max_size=29).map(lambda value: bytes([len(value) + 1, 0xFF]) + value)
"""One structure of manufacturer data, whatever stands in it."""
ONE_CASE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def read(path: Path) -> list[Any]:
    """The reports of a capture."""
    return list(captures.read(path, captures.Losses()))


def address(octets: bytes) -> str:
    """Six octets as scapy takes them."""
    return ":".join(f"{octet:02x}" for octet in octets)


@ONE_CASE
@given(adverts=st.lists(st.tuples(st.binary(min_size=6, max_size=6), DATA), min_size=1, max_size=6))
def test_link_layer_packets(tmp_path: Path, adverts: list[tuple[bytes, bytes]]) -> None:
    """Packets on air: scapy computes the CRC, and our reader gives each one's data in order."""
    path = tmp_path / "air.pcap"
    packets = []
    for number, (octets, data) in enumerate(adverts):
        packet = BTLE() / BTLE_ADV(TxAdd=1) / BTLE_ADV_NONCONN_IND(AdvA=address(octets)) / Raw(data)
        packet.time = START_S + number
        packets.append(packet)
    wrpcap(str(path), packets, linktype=LINK_LAYER)

    assert [report.data for report in read(path)] == [data for _, data in adverts]


@ONE_CASE
@given(
    adverts=st.lists(st.tuples(st.binary(min_size=6, max_size=6), DATA, st.integers(-127, 20)), min_size=1, max_size=4)
)
def test_host_controller_events(tmp_path: Path, adverts: list[tuple[bytes, bytes, int]]) -> None:
    """Events of a controller: data and signal strength are the same in both."""
    path = tmp_path / "host.pcap"
    events = []
    for number, (octets, data, rssi) in enumerate(adverts):
        report = HCI_LE_Meta_Advertising_Report(
            type=3, addr_type=1, addr=address(octets), data=[EIR_Hdr(data)], rssi=rssi
        )
        packet = HCI_Hdr() / HCI_Event_Hdr() / HCI_Event_LE_Meta() / HCI_LE_Meta_Advertising_Reports(reports=[report])
        events.append((START_S + number, bytes(packet)))
    path.write_bytes(pcap(H4, events))

    found = read(path)

    assert [(report.data, report.rssi) for report in found] == [(data, rssi) for _, data, rssi in adverts]
