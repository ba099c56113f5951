"""A box's answer to an order, on disk as a pull leaves it, with everything that judges, releases and opens it."""

from __future__ import annotations

import hashlib
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_scanner.authority.collect import verdict as verdicts
from edge_scanner.authority.collect import verify
from edge_scanner.authority.keys import vault
from edge_scanner.core import signed
from edge_scanner.core.log import bundle
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import ClockQuality, Encounter
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.answer import AuditRecord, Extent, Part
from edge_scanner.device.storage.extract import extract
from tests.support.office import HOUR_S, Office
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOW_S = 1_795_903_200 + 600
OFFICE = Office(NOW_S)
PHONE = hashlib.sha256(b"phone").digest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A bundle of two hours on disk, the box it came from, and both parties."""

    folder: Path
    box: PullBox
    people: Parties
    asked: requests.Asked

    @property
    def request(self) -> requests.Request:
        """What was asked."""
        return self.asked.request

    def verify(self, **given: Any) -> verdicts.Verdict:
        """The verdict."""
        return verify.verify(self.folder, self.box.box, verify.Question(**given))

    def exported(self, **changes: Any) -> None:
        """The bundle as an export signs it: no order in it."""
        path = self.folder / MANIFEST_NAME
        body = {**json.loads(path.read_bytes())["body"], "request": "", **changes}
        path.write_bytes(signed.sign(body, label=bundle.LABEL, keys=[self.box.identity.key]))

    def keys(self, *roles: str) -> dict[bytes, bytes]:
        """Private keys by id."""
        return self.people.keys(*roles)


@asynccontextmanager
async def make(tmp_path: Path) -> AsyncIterator[Scene]:
    """A phone was there in every minute; the request is for 100 minutes of two segments."""
    heard = {
        minute_s: [
            Encounter(
                protocol_tag=1, payload=PHONE, adverts=2, rssi_mean=-70, rssi_max=-66, first_second=3, last_second=30
            )
        ]
        for minute_s in range(NOW_S - 4 * HOUR_S, NOW_S, 60)
    }
    people = parties(NOW_S)
    async with pull_box(tmp_path / "box", OFFICE, people, start_s=NOW_S - 4 * HOUR_S, end_s=NOW_S, heard=heard) as box:
        device = box.identity.device_id
        document = OFFICE.signed(OFFICE.request(device, from_s=NOW_S - 3 * HOUR_S, to_s=NOW_S - 3 * HOUR_S + 6000))
        asked = requests.read(document)
        record = AuditRecord(
            action=AuditAction.ANSWER,
            at_s=NOW_S,
            device=device,
            request=asked.request.digest,
            from_s=asked.request.from_s,
            to_s=asked.request.to_s,
        )
        extent = Extent(
            made_s=NOW_S, quality=ClockQuality.NTP, audit_entries=0, audit_head="", tree_size=0, first=-1, last=-1,
            last_frames=0,
        )  # fmt: skip
        made = await extract(box.store, box.identity.key, record, extent)
        folder = tmp_path / "bundles" / device
        folder.mkdir(parents=True)
        (folder / MANIFEST_NAME).write_bytes(made.manifest)
        body, number = b"", 0
        while piece := await made.piece(Part.BODY, number):
            body, number = body + piece, number + 1
        (folder / BODY_NAME).write_bytes(body)
        (tmp_path / "approved.json").write_bytes(document)
        (tmp_path / "root.pem").write_bytes(OFFICE.root_pem)
        yield Scene(folder=folder, box=box, people=people, asked=asked)


def write_keys(folder: Path, scene: Scene, role: str, secret: str) -> None:
    """A party's opening key as a key file, cheap to open."""
    (one,) = (recipient for recipient in scene.people.recipients.recipients if recipient.role == role)
    private = scene.keys(role)[one.key_id]
    name = vault.Label(
        role="custodian" if role == "custodian" else "recipient", name=role, suite=one.suite.number,
        week="2026-W48", public=one.public_key,
    )  # fmt: skip
    lock = vault.Lock(salt=bytes(16), memory_kib=64, iterations=1, lanes=1)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name.role}-2026-W48.key").write_bytes(vault.seal(private, name, lock, lock.master(secret)))
