"""What a stolen laptop can bring to headquarters, by broker and by file: nothing that no bench writes."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import signed
from edge_scanner.core.enrolment import box_list, documents
from edge_scanner.core.enrolment.documents import Assignment, public_text
from edge_scanner.core.errors import BadDataError, RefusedError
from provisioning import certificates, sync
from provisioning.fleet import boxes, commands
from provisioning.fleet.sync_service import SyncDesk
from provisioning.inventory import State, open_inventory
from provisioning.sync import Question
from tests.support.fleet import PLACES, Workshop

if TYPE_CHECKING:
    from pathlib import Path


def given(shop: Workshop, number: int, **change: Any) -> str:
    """What the bench gave to a box of the batch, with a change that only a hostile one makes."""
    device_id, now_s = shop.batch.manifest.ids[number], time.time()
    holder = certificates.new_client(shop.batch.ca, f"boot-{device_id}", unit="boot", now_s=now_s, days=1)
    assignment = documents.assign(
        PLACES[0],
        batch=shop.batch.manifest.batch,
        device_id=device_id,
        identity=public_text(Ed25519PrivateKey.generate().public_key()),
        certificate=holder.certificate_pem.decode(),
        ops_pin="",
        now_s=now_s,
    )
    changed: Assignment = replace(assignment, **change)
    return documents.sign(changed, shop.batch.bench_key).decode()


def by_broker(shop: Workshop, *assignments: str) -> str:
    """The code of headquarters' answer."""
    batch = shop.batch.manifest.batch
    question = Question(batch=batch, nonce="n", assignments=assignments, retired=())
    with open_inventory(shop.fleet.inventory) as inventory:
        here = SyncDesk(signer=shop.fleet.signer, inventory=inventory)
        answer = here.answer(f"bench-{batch}", sync.write_question(question, shop.batch.bench_key))
    return sync.read_answer(answer, shop.fleet.signer.public_key()).refused


def by_file(shop: Workshop, *assignments: str) -> Path:
    """The file that `fleet adopt` takes."""
    file = shop.folder / "sync.json"
    body = {"manifest": shop.batch.document.decode(), "assignments": list(assignments), "retired": []}
    file.write_bytes(signed.sign(body, label=sync.FILE_LABEL, keys=[shop.batch.bench_key]))
    return file


def in_service(shop: Workshop) -> int:
    """Boxes that headquarters takes for installed."""
    with open_inventory(shop.fleet.inventory) as inventory:
        return sum(row.state is State.ENROLLED for row in inventory.boxes())


@pytest.mark.parametrize("change", [{"identity": "AAAA"}, {"batch": "B-015"}, {"certificate": "none"}], ids=str)
def test_what_no_bench_writes_is_not_taken_over(shop: Workshop, change: dict[str, str]) -> None:
    """A key that is none, a box of another batch, no certificate: not even the good one is taken over."""
    pair = (given(shop, 0), given(shop, 1, **change))

    assert by_broker(shop, *pair) == "PRV-05"
    with pytest.raises(BadDataError):
        commands.adopt(shop.fleet, by_file(shop, *pair))

    assert in_service(shop) == 0


def test_what_a_bench_writes_makes_a_list_that_can_be_read(shop: Workshop) -> None:
    """By broker and by file."""
    assert by_broker(shop, given(shop, 0)) == ""
    assert commands.adopt(shop.fleet, by_file(shop, given(shop, 1))) == 1

    listed = boxes.export(shop.fleet, shop.folder / "boxes.csv", now_s=time.time())

    assert len(listed) == in_service(shop) == 2
    assert len(box_list.boxes((shop.folder / "boxes.csv").read_bytes(), "boxes.csv")) == 2


def test_the_file_of_an_ended_batch_changes_nothing(shop: Workshop) -> None:
    """As by broker: a laptop that was reported lost installs nothing more."""
    with open_inventory(shop.fleet.inventory) as inventory:
        assert inventory.end_batch(shop.batch.manifest.batch, now_s=time.time())

    assert by_broker(shop, given(shop, 0)) == "PRV-03"
    with pytest.raises(RefusedError, match="ended batch"):
        commands.adopt(shop.fleet, by_file(shop, given(shop, 0)))

    assert in_service(shop) == 0
