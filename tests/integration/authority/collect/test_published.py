"""What a hostile client can put into the collector's file: lines of its own, on its own topics, and no other."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority import published
from edge_scanner.authority.collect import evidence
from edge_scanner.authority.keys import recipients
from tests.support.box import Collector
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
ACL = ROOT / "config" / "broker" / "acl"
VICTIM, ROGUE = "K7MP2R9CX4", "7K3M9Q2X4T"
LINK = {"kind": "counts", "device": VICTIM, "at": 1, "link": {"segment": 999_999, "frame": 1, "link": "00"}}
STATUS = {"kind": "status", "device": VICTIM, "recipients_version": 9}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """One with the fleet's permissions."""
    with Mosquitto(tmp_path, listen="mutual", acl=ACL.read_text()) as running:
        yield running


def publish(broker: Mosquitto, name: str, topic: str, payload: bytes) -> None:
    """A message of a client with a certificate of its own."""
    files = broker.authority.issue(name)
    subprocess.run(
        [
            "mosquitto_pub", "-V", "5", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-i", name,
            "--cafile", str(broker.authority.file), "--cert", str(files.certificate), "--key", str(files.key),
            "-t", topic, "-s",
        ],
        input=payload,
        check=True,
    )  # fmt: skip


def test_a_payload_with_line_ends_makes_no_line_of_another_box(
    broker: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rogue's messages hold whole lines in the victim's name, in hex and plain; the guide's collector keeps them."""
    assert "mosquitto_sub -F '%t %x'" in (ROOT / "docs" / "authority.md").read_text()
    with Collector(broker, tmp_path) as collector:
        for body in (LINK, STATUS):
            topic = f"edge-scanner/v1/d/{VICTIM}/up/{body['kind']}"
            for text in (json.dumps(body), json.dumps(body).encode().hex()):
                publish(broker, ROGUE, f"edge-scanner/v1/d/{ROGUE}/up/health", f"{{}}\n{topic} {text}\n".encode())
        until_kept(collector.path, 4)

    found = evidence.read(collector.path, VICTIM)
    recipients.show_published(collector.path)

    assert (found.statements, found.foreign) == ((), ())
    assert VICTIM not in capsys.readouterr().out
    assert {line.topic for line in published.lines(collector.path.read_bytes())} == {
        f"edge-scanner/v1/d/{ROGUE}/up/health"
    }


def until_kept(path: Path, lines: int) -> None:
    """Until the collector wrote so many lines."""
    deadline = time.monotonic() + PATIENCE_S
    while len(re.findall(rb"\n", path.read_bytes())) < lines:
        assert time.monotonic() < deadline, path.read_bytes()
        time.sleep(0.05)
