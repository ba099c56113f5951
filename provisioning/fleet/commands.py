"""COMMANDS edge-provision fleet … and desk: headquarters."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from rich.table import Table

from edge_scanner import small_files, terminal
from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents, fingerprints
from edge_scanner.core.enrolment.device_id import is_device_id, spelled
from edge_scanner.core.enrolment.documents import CertificateAnswer, Manifest, public_key
from edge_scanner.core.enrolment.rendezvous import BENCH_PREFIX
from edge_scanner.core.errors import BadDataError, ConfigurationError, LogError, RefusedError, UnavailableError
from edge_scanner.core.wording import counted
from edge_scanner.language import errors
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings
from provisioning import certificates, files, sync
from provisioning.fleet import enrolment_service, orders, revoke, watch
from provisioning.fleet.fleet import endpoint
from provisioning.fleet.sync_service import SyncDesk
from provisioning.inventory import State, open_inventory
from provisioning.options import answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from provisioning.fleet.fleet import Endpoint, Fleet

SERVER_DAYS = 397
CLIENT_DAYS = 397
_CRL_FAIL = 2
RELOAD_S = 60.0
"""A reload is a signal and takes no second; a command that asks for a password never ends."""
_WRITTEN = "the lists are written; make the broker read them: {}"
"""What is left to do when the broker was not told."""
_ADVICE = (
    "",
    "; run edge-provision fleet publish",
    ": ENDED, the broker lets no box in; run edge-provision fleet publish",
)
"""By exit code of `fleet status`."""


def issue(fleet: Fleet, name: str, *, unit: str, hosts: Sequence[str], target: Path) -> None:
    """A certificate with its key for a broker (`hosts`) or a client of ours (collector, desk, authority)."""
    revoke.check_name(name)
    now_s = time.time()
    holder = (
        certificates.new_server(fleet.issuing, list(hosts), now_s=now_s, days=SERVER_DAYS)
        if hosts
        else certificates.new_client(fleet.issuing, name, unit=unit, now_s=now_s, days=CLIENT_DAYS)
    )
    files.write(target / f"{name}.crt", holder.certificate_pem + fleet.issuing.certificate_pem, mode=0o644)
    files.write(target / f"{name}.key", holder.key_pem)
    files.write(target / "ca.pem", fleet.trust_pem, mode=0o644)
    if not hosts:
        with open_inventory(fleet.inventory) as inventory:
            inventory.keep_certificate(name, holder.certificate_pem, now_s=now_s)


def trust(fleet: Fleet, target: Path) -> int:
    """Write the enrolment broker's CA file: the fleet's CAs and those of the open batches; how many batches."""
    with open_inventory(fleet.inventory) as inventory:
        open_cas = inventory.batch_cas(now_s=time.time())
    files.write(target, fleet.trust_pem + b"".join(open_cas.values()), mode=0o644)
    return len(open_cas)


def end_batch(fleet: Fleet, name: str) -> int:
    """End the batch and say so; 0, or 2 when there is no such batch."""
    with open_inventory(fleet.inventory) as inventory:
        found = inventory.end_batch(name, now_s=time.time())
    terminal.say(f"{name}: ended" if found else f"{name}: no such batch")
    return 0 if found else 2


def publish(fleet: Fleet, folder: Path, reload: Callable[[], None]) -> revoke.Lists:
    """Write revocation list and ACL anew (weekly, by a timer), and tell the broker."""
    with open_inventory(fleet.inventory) as inventory:
        revoke.write_lists(fleet, inventory, folder, now_s=time.time())
    reload()
    return revoke.look(folder, now_s=time.time())


def take_out(
    fleet: Fleet, device_id: str, *, reason: str, folder: Path, reload: Callable[[], None], probe_at: Endpoint
) -> revoke.Proof:
    """Revoke a box (by the id on its label) or a client of ours (by name)."""
    plain = device_id.replace("-", "").upper()
    name = plain if is_device_id(plain) else device_id
    with open_inventory(fleet.inventory) as inventory:
        if inventory.box(name) is None and inventory.newest_certificate(name) is None:
            raise ConfigurationError(f"nobody is called {device_id}", hint="edge-provision fleet list shows the boxes")
        return asyncio.run(
            revoke.revoke(fleet, inventory, name, reason=reason, folder=folder, reload=reload, probe_at=probe_at)
        )


def revoke_box(
    fleet: Fleet, name: str, reason: str, folder: Path, reload: Callable[[], None], *, probe: str, as_json: bool
) -> int:
    """Take a box out and say what the probe, at `probe` or the fleet's broker, has proven; the exit code."""
    at = endpoint(probe, default_port=8883) if probe else fleet.broker
    proof = take_out(fleet, name, reason=reason, folder=folder, reload=reload, probe_at=at)
    code = 0 if proof.proven else UnavailableError.exit_code
    live = "no session" if proof.live_code is None else f"0x{proof.live_code:02x}"
    answer(
        f"{name}: revoked; probe: live session {live}, new session {proof.handshake}; "
        f"its own session {'ended' if proof.ended else 'NOT ENDED'}, "
        f"its status {'cleared' if proof.cleared else 'NOT CLEARED'}",
        as_json=as_json,
        id=name,
        reason=reason,
        live_code=proof.live_code,
        handshake=proof.handshake,
        ended=proof.ended,
        cleared=proof.cleared,
        proven=proof.proven,
        exit=code,
    )
    if not proof.proven:
        terminal.say(errors.told("NOT PROVEN: the broker did not do all of this; look at its log"), stderr=True)
    return code


def send(
    fleet: Fleet, document: Path, authority: Path, custodian: Path, folder: Path, *, broker: str, as_json: bool
) -> int:
    """Send what both roots signed to every box in service, with fleet-config's files in `folder`; the exit code."""
    order = orders.read(
        files.read(document, hint="ask the authority"),
        files.read(authority, hint="ask the authority"),
        files.read(custodian, hint="ask the custodian"),
    )
    with open_inventory(fleet.inventory) as inventory:
        devices = [row.device_id for row in inventory.boxes() if row.state is State.ENROLLED]
    at = endpoint(broker, default_port=8883) if broker else fleet.broker
    taken = asyncio.run(orders.send(client(orders.NAME, folder, at), devices, order))
    orders.keep(fleet.folder, order)
    answer(
        f"{order.what} version {order.version}: kept at the broker for {taken} of {counted(len(devices), 'box')}; "
        "`fleet list --files` shows who has it",
        as_json=as_json,
        what=order.what,
        version=order.version,
        boxes=len(devices),
        taken=taken,
    )
    return 0 if taken == len(devices) else RefusedError.exit_code


def reloader(command: str, pid_file: Path | None) -> Callable[[], None]:
    """How the broker is told: SIGHUP to the process of a pid file, or a command. ConfigurationError for neither.

    What it returns raises UnavailableError or ConfigurationError when the broker was not told; the lists are written.
    """
    if pid_file is not None:

        def hang_up() -> None:
            try:
                os.kill(int(small_files.content(pid_file, 64)), signal.SIGHUP)
            except (OSError, ValueError) as error:
                raise UnavailableError(
                    "the broker cannot be notified", where=str(pid_file), hint=_WRITTEN.format("SIGHUP to mosquitto")
                ) from error

        return hang_up
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise ConfigurationError(
            "the command that tells the broker cannot be read", where=command, hint="a quote is left open"
        ) from error
    if not arguments:
        raise ConfigurationError(
            "how is the broker notified?", hint="give --reload 'systemctl reload mosquitto' or --pid-file"
        )
    hint = _WRITTEN.format(command)

    def run() -> None:
        try:
            done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=RELOAD_S)  # noqa: S603 (the operator's own command)
        except OSError as error:
            raise ConfigurationError(
                f"the broker was not notified: {error.strerror}", where=command, hint=f"{hint}; --reload names another"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(
                f"the broker was not notified: no end after {RELOAD_S:.0f} s", where=command, hint=hint
            ) from error
        if done.returncode:
            raise UnavailableError(
                f"the broker was not notified: {done.stderr.strip()[:200]}", where=command, hint=hint
            )

    return run


def adopt(fleet: Fleet, sync_file: Path) -> int:
    """Take over what a bench installed, checked against the fleet's and the bench's signatures; how many boxes."""
    document = files.read(sync_file, hint="edge-provision bench sync writes it")
    try:
        envelope = signed.parse(document, limit=sync.MAX_FILE_BYTES)
        (body,) = signed.fields(envelope, body=dict)
        (manifest_text,) = signed.fields(body, manifest=str)
        manifest = documents.verify(Manifest, manifest_text.encode(), fleet.signer.public_key())
        bench_key = public_key(manifest.bench_key)
        body = signed.verify(document, label=sync.FILE_LABEL, keys=[bench_key], limit=sync.MAX_FILE_BYTES)
        given, retired = signed.fields(body, assignments=list, retired=list)
        assignments = sync.read_assignments(given, bench_key, manifest.batch)
    except (BadDataError, LogError) as error:
        raise BadDataError(f"not a sync file of this fleet: {error}", where=str(sync_file)) from error
    with open_inventory(fleet.inventory) as inventory:
        inventory.plan(manifest)
        if inventory.ended(manifest.batch):
            ended = f"headquarters has ended batch {manifest.batch}"
            raise RefusedError(ended, code=sync.ENDED, hint="ask for a new batch")
        for assignment in assignments:
            inventory.adopt(assignment)
        for device_id in retired:
            if device_id in manifest.ids:
                inventory.retire(device_id, State.RETIRED, "retired at the bench")
    return len(assignments)


def show_boxes(fleet: Fleet, client_files: Path | None, *, broker: str, as_json: bool) -> None:
    """The boxes; with a client's files also what the boxes report to the broker. Raises EdgeScannerError."""
    said = None
    if client_files is not None:
        at = endpoint(broker, default_port=8883) if broker else fleet.broker
        said = asyncio.run(orders.reported(client(orders.NAME, client_files, at)))
    show(fleet, said, as_json=as_json)


def show(fleet: Fleet, said: Mapping[str, orders.Reported] | None = None, *, as_json: bool) -> None:
    """The boxes: a table, or its columns as JSON, a line for each box; `certificate_until` is a date or empty.

    `said` is what boxes report (orders.py): then its recipient set is shown, and whether a newer one was sent, or none
    that is as new.
    """
    newest = orders.sent(fleet.folder)

    def recipient_set(device_id: str) -> str:
        version = said.get(device_id, orders.Reported()).recipients if said is not None else None
        if version is None or newest is None or version == newest:
            return "" if version is None else f"{version}"
        return f"{version}, old" if version < newest else f"{version}, never sent"

    with open_inventory(fleet.inventory) as inventory:
        rows = inventory.boxes()
        pems = {row.device_id: inventory.newest_certificate(row.device_id) for row in rows}
    until = {
        device_id: f"{certificates.load_certificate(pem).not_valid_after_utc:%Y-%m-%d}" if pem else ""
        for device_id, pem in pems.items()
    }
    words = {row.device_id: _words(row.identity) for row in rows}
    if as_json:
        for row in rows:
            document = {
                "id": row.device_id,
                "batch": row.batch,
                "site": row.place.site,
                "room": row.place.room,
                "hall_rule": row.place.hall_rule,
                "key": words[row.device_id],
                "state": row.state,
                "certificate_until": until[row.device_id],
                "reason": row.reason,
            }
            if said is not None:
                document["recipients"] = recipient_set(row.device_id)
            terminal.say_json(document)
        return
    table = Table(box=None)
    extra = ("recipient set",) if said is not None else ()
    for heading in ("id", "batch", "site", "room", "state", "certificate until", "key", "reason", *extra):
        table.add_column(heading)
    for row in rows:
        own = (recipient_set(row.device_id),) if said is not None else ()
        place, key = row.place, words[row.device_id]
        cells = (spelled(row.device_id), row.batch, place.site, place.room, row.state, until[row.device_id], key)
        table.add_row(*cells, row.reason, *own)
    terminal.console().print(table)


def _words(identity: str) -> str:
    """The six words of a box's key, empty while headquarters has not heard it; a list with one bad entry is shown."""
    try:
        return fingerprints.words(public_key(identity).public_bytes_raw()) if identity else ""
    except LogError:
        return "damaged"


def status(inventory_file: Path, folder: Path, textfile: Path | None, *, as_json: bool = False) -> int:
    """How the broker's lists are: 0 ok, 1 expires soon, 2 expired; also as metrics for a node exporter."""
    now_s = time.time()
    lists = revoke.look(folder, now_s=now_s)
    with open_inventory(inventory_file) as inventory:
        states = [row.state for row in inventory.boxes()]
    if textfile is not None:
        figures = {
            "edge_scanner_fleet_crl_expiry_seconds": f"{lists.expires_s:.0f}",
            "edge_scanner_fleet_status_time_seconds": f"{now_s:.0f}",
            "edge_scanner_fleet_revoked_certificates": str(lists.revoked),
            **{f'edge_scanner_fleet_boxes{{state="{state}"}}': str(states.count(state)) for state in State},
        }
        text = "".join(f"{name} {value}\n" for name, value in figures.items())
        files.write(textfile, text.encode(), mode=0o644)
    code = _CRL_FAIL if lists.expires_s <= 0 else int(lists.expires_s < revoke.CRL_WARN_S)
    if as_json:
        document = {
            "crl_expires_s": int(lists.expires_s),
            "revoked": lists.revoked,
            "silenced": lists.denied,
            "boxes": {str(state): states.count(state) for state in State},
            "exit": code,
        }
        terminal.say_json(document)
        return code
    terminal.say(
        f"revocation list: {lists.revoked} revoked, {lists.denied} silenced, {lists.expires_s / 86400:.1f} days left"
        f"{_ADVICE[code]}"
    )
    return code


def client(name: str, folder: Path, at: Endpoint) -> BrokerSettings:
    """How one of our own clients reaches a broker with the files of `fleet issue`."""
    return BrokerSettings(
        host=at.host,
        port=at.port,
        ca=folder / "ca.pem",
        certificate=folder / f"{name}.crt",
        key=folder / f"{name}.key",
    )


def tail(settings: BrokerSettings, name: str, topic: str) -> None:
    """Print what boxes say, one line a message, until Ctrl-C, and leave no session; stderr has the connection."""

    async def follow() -> None:
        looking = open_broker(settings, client_id=name, session_s=0)
        async with looking as broker, watch.told(broker, settings.place, _say):
            await broker.subscribe(topic)
            async for message in broker.messages():
                terminal.say(f"{message.topic} {message.payload.decode('utf-8', 'replace')}")

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(follow())


def serve_desk(fleet: Fleet, settings: BrokerSettings) -> None:
    """The desk for boxes and benches until Ctrl-C; one line for each answer, and to stderr how the connection is."""

    def told(name: str, answer: bytes) -> None:
        if name.startswith(BENCH_PREFIX):
            evening = sync.read_answer(answer, fleet.signer.public_key())
            line = f"sync {evening.refused or counted(len(evening.boxes), 'box')}"
        else:
            what = documents.read(CertificateAnswer, answer)
            line = f"{what.operation or '-'} {what.refused or 'given'}"
        terminal.say(f"{name} {line}")

    with open_inventory(fleet.inventory) as inventory, contextlib.suppress(KeyboardInterrupt):
        boxes = enrolment_service.Desk(issuing=fleet.issuing, inventory=inventory)
        evening = SyncDesk(signer=fleet.signer, inventory=inventory)
        asyncio.run(enrolment_service.serve(boxes, settings, told=told, say=_say, evening=evening))


def _say(line: str) -> None:
    terminal.say(f"edge-provision: {line}", stderr=True)
