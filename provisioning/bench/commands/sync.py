"""COMMAND edge-provision bench sync: the evening's comparison with headquarters, over MQTT or as a file.

Exit code 0 when both sides have the same, 1 when something is left to be explained, 69 when headquarters did not
answer; then the file is written that `fleet adopt` takes.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from edge_scanner import terminal
from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents as enrolment
from edge_scanner.core.enrolment.device_id import spelled
from edge_scanner.core.enrolment.documents import Assignment
from edge_scanner.core.enrolment.rendezvous import BENCH_PREFIX, SYNC_TOPIC
from edge_scanner.core.errors import LogError, RefusedError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.core.wording import counted
from edge_scanner.language import errors
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings
from edge_scanner.mqtt.uplink import REFUSED_FROM
from provisioning import certificates, files, sync
from provisioning.bench.commands.bench import load_batch, pinned_signer
from provisioning.fleet.fleet import Endpoint, endpoint
from provisioning.inventory import State, open_inventory
from provisioning.options import answer
from provisioning.sync import Answer, Question

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from rich.console import RenderableType

    from edge_scanner.mqtt.broker import Broker
    from provisioning.bench.batch import Batch
    from provisioning.inventory import Inventory

    Ask = Callable[[tuple[str, ...]], Awaitable[Answer]]

_NOBODY = 0x10
"""MQTT 5: accepted, and no one subscribes."""
_AGAIN_S = 1.0
_WORDS = {
    State.ENROLLED: "đã cài / installed",
    State.RETIRED: "đã loại / retired",
    State.REVOKED: "đã thu hồi / revoked",
    State.FREE: "chưa dùng / free",
}
_EXPLAIN = {
    "missing": "trung tâm chưa có: chạy lại / headquarters lacks it: run it again",
    "unknown": "bàn này không cài, có bàn khác? gọi trung tâm / not installed here, a second bench? call headquarters",
    "keys": "khoá khác ở trung tâm, có thể bị sao chép: gọi trung tâm / other keys at headquarters, a copy? call them",
    "state": "hai bên khác trạng thái: gọi trung tâm / the two sides disagree: call headquarters",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a sync came to: boxes by state on each side, what was sent and taken out, what is left to explain."""

    batch: str
    bench: Counter[State]
    headquarters: Counter[State]
    sent: int
    taken_out: tuple[str, ...]
    differences: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0 when both sides have the same."""
        return int(bool(self.differences))


def run(
    batch_file: Path, *, home: Path, passphrase: str, out: Path | None, broker: str, wait_s: float, as_json: bool
) -> int:
    """Write `out`, or compare over `broker`, by default the batch's; the exit code. Raises EdgeScannerError."""
    if out is not None:
        count = to_file(batch_file, out, home=home, passphrase=passphrase)
        answer(f"{out}: {counted(count, 'box')}", as_json=as_json, file=str(out), boxes=count, exit=0)
        return 0
    fallback = Path(f"sync-{batch_file.stem.removeprefix('batch-')}.json")
    at = endpoint(broker, default_port=8884) if broker else None
    return over_mqtt(batch_file, fallback, home=home, passphrase=passphrase, at=at, wait_s=wait_s, as_json=as_json)


def to_file(batch_file: Path, target: Path, *, home: Path, passphrase: str) -> int:
    """Write what headquarters needs (the manifest and every signed assignment) for `fleet adopt`; how many boxes."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        return _write_file(batch, inventory, target)


def over_mqtt(
    batch_file: Path, fallback: Path, *, home: Path, passphrase: str, at: Endpoint | None, wait_s: float, as_json: bool
) -> int:
    """Compare with headquarters; without an answer write `fallback`. Returns the exit code."""
    batch = load_batch(batch_file, home=home, passphrase=passphrase)
    signer = pinned_signer(home, batch_file)
    with open_inventory(home / "inventory.db") as inventory:
        inventory.plan(batch.manifest)
        try:
            outcome = asyncio.run(_talk(batch, inventory, signer, at=at, wait_s=wait_s))
        except UnavailableError as error:
            count = _write_file(batch, inventory, fallback)
            if as_json:
                terminal.say_json({"file": str(fallback), "boxes": count, "exit": error.exit_code})
            terminal.say(f"edge-provision: {errors.line(error, errors.reader())}", stderr=True)
            terminal.say(errors.told(f"{fallback}: {counted(count, 'box')}; send it by any means"), stderr=True)
            return error.exit_code
    if as_json:
        terminal.say_json(as_document(outcome))
    else:
        terminal.console().print(draw(outcome))
    return outcome.exit_code


async def reconcile(batch: Batch, inventory: Inventory, ask: Ask, *, sent: Callable[[int, int], None]) -> Outcome:
    """Ask, send what is missing, and take out here what headquarters took out; `sent` hears how far it is."""
    name = batch.manifest.batch
    answer = await ask(())
    documents = _documents(batch, inventory)
    lacking = sync.lacking(sync.standings(inventory.boxes(name)), answer.boxes)
    missing = [documents[device_id] for device_id in lacking if device_id in documents]
    done = 0
    for page in sync.pages(missing):
        answer = await ask(page)
        done += len(page)
        sent(done, len(missing))
    taken_out = []
    for box in answer.boxes:
        row = inventory.box(box.device_id)
        if row is None or row.batch != name or row.state not in {State.ENROLLED, State.FREE}:
            continue
        if box.state in {State.REVOKED, State.RETIRED}:
            inventory.retire(box.device_id, box.state, "taken out at headquarters")
            taken_out.append(box.device_id)
    rows = inventory.boxes(name)
    there = Counter(box.state for box in answer.boxes)
    there[State.FREE] = len(rows) - there.total()
    return Outcome(
        batch=name,
        bench=Counter(row.state for row in rows),
        headquarters=there,
        sent=done,
        taken_out=tuple(taken_out),
        differences=sync.differences(sync.standings(rows), answer.boxes),
    )


def draw(outcome: Outcome) -> RenderableType:
    """The table for people."""
    table = Table(box=None, title=f"Đối chiếu / Reconciliation   {outcome.batch}", title_justify="left")
    for heading in ("", "", "bàn / bench", "trung tâm / headquarters"):
        table.add_column(heading, justify="right" if "/" in heading else "left")
    for state, words in _WORDS.items():
        here, there = outcome.bench[state], outcome.headquarters[state]
        mark = Text("●", "green") if here == there else Text("✖", "red")
        table.add_row(mark, words, str(here), str(there))
    lines = [f"gửi lần này / sent now: {outcome.sent}"]
    lines += [f"▲ {spelled(one)}: trung tâm đã thu hồi / taken out by headquarters" for one in outcome.taken_out]
    lines += [f"✖ {spelled(one)}: {_EXPLAIN[what]}" for one, what in outcome.differences.items()]
    if not outcome.differences:
        lines += ["KHỚP / RECONCILED"]
    return Group(table, *lines)


def as_document(outcome: Outcome) -> dict[str, object]:
    """The same for programs."""
    return {
        "batch": outcome.batch,
        "bench": {str(state): outcome.bench[state] for state in State},
        "headquarters": {str(state): outcome.headquarters[state] for state in State},
        "sent": outcome.sent,
        "taken_out": list(outcome.taken_out),
        "differences": outcome.differences,
        "exit": outcome.exit_code,
    }


async def _talk(
    batch: Batch, inventory: Inventory, signer: Ed25519PublicKey, *, at: Endpoint | None, wait_s: float
) -> Outcome:
    """The comparison through the enrolment broker, under a certificate of the batch's own CA that lives a day."""
    manifest = batch.manifest
    name = BENCH_PREFIX + manifest.batch
    place = at or Endpoint(host=manifest.enrol_host, port=manifest.enrol_port)
    with tempfile.TemporaryDirectory(prefix="edge-sync-") as scratch:
        settings = _identity(batch, Path(scratch), name, place)
        async with open_broker(settings, client_id=name) as broker:
            await broker.subscribe(SYNC_TOPIC.format(name=name, word="result"))

            async def ask(assignments: tuple[str, ...]) -> Answer:
                return await _ask(broker, batch, inventory, signer, assignments, wait_s=wait_s)

            with Progress(console=terminal.console(stderr=True), transient=True) as progress:
                bar = progress.add_task("gửi / sending", total=None)
                return await reconcile(
                    batch, inventory, ask, sent=lambda done, total: progress.update(bar, completed=done, total=total)
                )


async def _ask(
    broker: Broker,
    batch: Batch,
    inventory: Inventory,
    signer: Ed25519PublicKey,
    assignments: tuple[str, ...],
    *,
    wait_s: float,
) -> Answer:
    """One question and the fleet's answer to it. Raises UnavailableError, and RefusedError with headquarters' code."""
    name = batch.manifest.batch
    retired = tuple(row.device_id for row in inventory.boxes(name) if row.state is State.RETIRED)
    question = Question(batch=name, nonce=secrets.token_hex(16), assignments=assignments, retired=retired)
    now_s = time.time()
    message = Message(
        kind=MessageKind.ENROL,
        topic=SYNC_TOPIC.format(name=BENCH_PREFIX + name, word="sync"),
        payload=sync.write_question(question, batch.bench_key),
        key=question.nonce,
        created_s=now_s,
        expires_s=now_s + wait_s,
    )
    try:
        async with asyncio.timeout(wait_s):
            await _send(broker, message)
            async for incoming in broker.messages():
                try:
                    answer = sync.read_answer(incoming.payload, signer)
                except LogError:
                    continue  # not headquarters' word: whoever wrote it, we wait on
                if answer.nonce == question.nonce:
                    break
    except TimeoutError:
        detail = broker.state.detail or "is edge-provision desk running there?"
        raise UnavailableError("headquarters does not answer", hint=detail) from None
    if answer.refused == sync.ENDED:
        inventory.end_batch(batch.manifest.batch, now_s=time.time())
    if answer.refused:
        raise RefusedError(answer.what, code=answer.refused, where="headquarters", hint="call them")
    return answer


async def _send(broker: Broker, message: Message) -> None:
    """Until the broker has taken it for somebody: a desk that was just started may not be heard yet."""
    while True:
        await broker.connected()
        try:
            code = await broker.publish(message)
        except UnavailableError:
            continue
        if code == _NOBODY:
            await asyncio.sleep(_AGAIN_S)
            continue
        if code < REFUSED_FROM:
            return
        raise UnavailableError(f"the enrolment broker refuses our question (0x{code:02x})", hint="call headquarters")


def _identity(batch: Batch, scratch: Path, name: str, at: Endpoint) -> BrokerSettings:
    holder = certificates.new_client(batch.ca, name, unit="bench", now_s=time.time(), days=1)
    for file, content in (
        ("bench.crt", holder.certificate_pem),
        ("bench.key", holder.key_pem),
        ("ca.pem", batch.manifest.broker_ca.encode()),
    ):
        files.write(scratch / file, content)
    return BrokerSettings(
        host=at.host,
        port=at.port,
        ca=scratch / "ca.pem",
        certificate=scratch / "bench.crt",
        key=scratch / "bench.key",
    )


def _documents(batch: Batch, inventory: Inventory) -> dict[str, bytes]:
    """The signed assignments by id."""
    key = batch.bench_key.public_key()
    answers = inventory.answers(batch.manifest.batch)
    return {enrolment.verify(Assignment, document, key).device_id: document for document in answers}


def _write_file(batch: Batch, inventory: Inventory, target: Path) -> int:
    answers = inventory.answers(batch.manifest.batch)
    retired = [row.device_id for row in inventory.boxes(batch.manifest.batch) if row.state is State.RETIRED]
    body = {
        "manifest": batch.document.decode(),
        "assignments": [answer.decode() for answer in answers],
        "retired": retired,
    }
    files.write(target, signed.sign(body, label=sync.FILE_LABEL, keys=[batch.bench_key]))
    return len(answers)
