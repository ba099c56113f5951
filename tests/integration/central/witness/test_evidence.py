"""What the centre keeps is what the authority verifies with: through the commands themselves."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.collect.judge import Judge
from edge_scanner.central.store.model import Box, Reason
from edge_scanner.central.store.store import open_store
from edge_scanner.central.witness.follower import Follower
from edge_scanner.core import messages
from edge_scanner.core.log import format as layout
from edge_scanner.core.messages import Sender
from edge_scanner.core.model import ClockQuality, Link
from tests.support import snapshots
from tests.support.answered import NOW_S, Scene, make
from tests.support.authority import edge_authority
from tests.support.box_lists import write_boxes
from tests.support.office import HOUR_S
from tests.support.publishing import heard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from edge_scanner.core.model import Message

THIEF = "3N8QW0TZ5F"
SILENT = "9Q8QW0TZ5F"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A bundle of two hours and its box."""
    async with make(tmp_path) as made:
        yield made


async def said(scene: Scene) -> list[Message]:
    """The box's boot records, and two hours' counts with links that are right."""
    sender = Sender(device=scene.box.identity.device_id, site="ben-xe", boot=0)
    told = [messages.boot(boot, sender=sender, created_s=NOW_S - 4 * HOUR_S) async for boot in scene.box.store.boots()]
    headers = [one async for one in scene.box.store.headers(float("-inf"), float("inf"))]
    for hour, header in enumerate(headers[1:3]):
        rows = [frame async for frame in scene.box.store.frames(header.seq)]
        link = Link(seq=header.seq, digest=layout.link_of(hashlib.sha256(header.header).digest(), rows[:30]))
        made = NOW_S - (2 - hour) * HOUR_S
        told.append(
            messages.counts(
                snapshots.hourly(made - HOUR_S, 40), sender=sender, link=link, clock=ClockQuality.NTP, created_s=made
            )
        )
    return told


def keep(folder: Path, boxes: list[Box], given: list[Message]) -> str:
    """What a collector does with these messages; the settings file of its database."""
    url = f"sqlite:///{folder}/central.db"
    judge = Judge({box.device: box for box in boxes})
    with open_store(url) as store:
        rows = [judge.judge(heard(message)) for message in given]
        store.keep(Follower(store.read).follow(rows), now_s=NOW_S)
        reasons = {row.reason for _, row in store.read.aside(None, 0, 100)}
    assert reasons <= {Reason.TOPIC, Reason.SCHEMA, Reason.UNLISTED}
    (folder / "central.toml").write_text(f'[database]\nurl = "{url}"\n')
    return str(folder / "central.toml")


def edge_central(*words: str) -> subprocess.CompletedProcess[str]:
    """The program."""
    return subprocess.run(
        [sys.executable, "-m", "edge_scanner.central.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "vi_VN.UTF-8", "PYTHONUTF8": "1"},
    )


def moment(time_s: float) -> str:
    """As the option takes it."""
    return dt.datetime.fromtimestamp(time_s, dt.UTC).strftime("%Y-%m-%dT%H:%M")


async def test_evidence_moves_the_proof_and_a_thief_does_not(scene: Scene, tmp_path: Path) -> None:
    """`edge-central evidence`, then `edge-authority verify --checkpoints`: compared, whatever another box has said."""
    device = scene.box.identity.device_id
    identity = scene.box.identity.key.public_key().public_bytes_raw()
    boxes = [Box(device=one, site="ben-xe", room="", state="enrolled", identity=identity) for one in (device, THIEF)]
    told = await said(scene)
    link = {"at": 1, "device": device, "kind": "counts", "link": {"segment": 999_999, "frame": 1, "link": "00"}}
    counts = told[-1]
    own = counts.topic.replace(device, THIEF)
    forged = [replace(counts, topic=own), replace(counts, topic=own, payload=json.dumps(link).encode())]
    config = keep(tmp_path, boxes, [*forged, *told])
    out = tmp_path / "published.txt"

    done = edge_central(
        "evidence", device, SILENT, "--from", moment(NOW_S - 5 * HOUR_S), "--to", moment(NOW_S + HOUR_S),
        "--out", str(out), "--config", config,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, f"{SILENT}: không công bố gì trong khoảng thời gian đó\n")
    assert len(out.read_text().splitlines()) == 3
    listed = write_boxes(tmp_path / "boxes.csv", [scene.box.box])
    verified = edge_authority(
        "verify", scene.folder, "--boxes", listed, "--checkpoints", out, "--json", now_s=NOW_S + 60
    )
    assert verified.code == 0, verified
    (verdict,) = json.loads(verified.stdout)["boxes"]
    assert (verdict["boots"], verdict["links"], verdict["findings"]) == (1, 2, [])
    assert verdict["proven_until_s"] == NOW_S - HOUR_S


async def test_evidence_says_what_it_cannot_write(scene: Scene, tmp_path: Path) -> None:
    """A box that published nothing, a span that ends before it begins, and a file that is there."""
    config = keep(tmp_path, [], await said(scene))
    out = tmp_path / "published.txt"
    span = ["--from", "2026-11-27T08:00", "--to", "2026-11-28T08:00"]

    none = edge_central("evidence", "K7MP-2R9C-X4", *span, "--out", str(out), "--config", config)
    back = edge_central(
        "evidence", "K7MP-2R9C-X4", "--from", span[3], "--to", span[1], "--out", str(out), "--config", config
    )
    there = edge_central("evidence", "K7MP-2R9C-X4", *span, "--out", config, "--config", config)

    assert (none.returncode, back.returncode, there.returncode) == (65, 65, 74)
    assert not out.exists()
    assert all(len(one.stderr.splitlines()) == 1 for one in (none, back, there))
