"""Headquarters' side of the evening: takes over what a bench installed and says how its batch stands (sync.py).

It believes the signature of the bench whose key the batch's manifest named, and of no batch that was ended: a laptop
that was reported lost changes nothing here any more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment.rendezvous import BENCH_PREFIX
from edge_scanner.core.errors import BadDataError, LogError
from provisioning import sync
from provisioning.inventory import State
from provisioning.sync import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from provisioning.inventory import Inventory

_MAX_ECHO = 64
"""Of a nonce or batch name that nobody has vouched for yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncDesk:
    """Takes over and answers; `signer` is the fleet's key."""

    signer: Ed25519PrivateKey
    inventory: Inventory
    now: Callable[[], float] = time.time

    def answer(self, name: str, payload: bytes) -> bytes:
        """The answer to a question on `name`'s topic; never raises for what a bench may send."""
        batch, nonce = "", ""
        try:
            batch, nonce = (text[:_MAX_ECHO] for text in sync.batch_of(payload))
            key = self.inventory.bench_key(batch, now_s=self.now())
            if key is None or name != BENCH_PREFIX + batch:
                return self._answer(batch, nonce, refused="PRV-03", what="no such batch, or it was ended")
            self._take(payload, documents.public_key(key))
        except (BadDataError, LogError):
            return self._answer(batch, nonce, refused="PRV-05", what="the question is malformed or not the bench's")
        return self._answer(batch, nonce)

    def _take(self, payload: bytes, key: Ed25519PublicKey) -> None:
        """Everything in the question is checked before anything is taken over."""
        question = sync.read_question(payload, key)
        given = sync.read_assignments(question.assignments, key, question.batch)
        mine = {row.device_id for row in self.inventory.boxes(question.batch)}
        for assignment in given:
            self.inventory.adopt(assignment)
        for device_id in question.retired:
            if device_id in mine:
                self.inventory.retire(device_id, State.RETIRED, "retired at the bench")

    def _answer(self, batch: str, nonce: str, *, refused: str = "", what: str = "") -> bytes:
        boxes = () if refused else sync.standings(self.inventory.boxes(batch))
        answer = Answer(batch=batch, nonce=nonce, at_s=int(self.now()), boxes=boxes, refused=refused, what=what)
        return sync.write_answer(answer, self.signer)
