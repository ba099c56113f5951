"""The bench: a laptop that names boxes on a local switch, with no internet.

It serves the signed manifest, the time, assignments and the software set over plain HTTP: a new box can check no
certificate yet, and everything that matters is signed (core/enrolment/documents.py). A box that asks twice gets the
same bytes.

Who gets a name: a box whose card has the batch's secret (core/enrolment/proofs.py), one whose six words the technician
confirmed, and one that this bench named before. Nobody is named while another bench calls on the same cable. A question
that no box asks (another Host, an Origin, another content type) is refused before it is read.

The answers are quick and the inventory is one small file, so requests are answered one after the other on the loop;
fifty boxes at once take about a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core import signed
from edge_scanner.core.diagnostics.advice import Verdict
from edge_scanner.core.enrolment import documents, fingerprints, proofs
from edge_scanner.core.enrolment import rendezvous as meeting
from edge_scanner.core.enrolment.documents import Moment, Request, StepReport
from edge_scanner.core.errors import BadDataError, LogError, RefusedError, UnavailableError
from edge_scanner.core.text import drawn, literal
from provisioning import certificates
from provisioning.bench import connections, pins
from provisioning.bench.connections import Connections
from provisioning.bench.visitors import Visitors, Waiting
from provisioning.inventory import mqtt_key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler, Middleware
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from provisioning.bench.batch import Batch
    from provisioning.bench.interfaces import Interface
    from provisioning.inventory import BoxRow, Inventory

BOOT_DAYS = 90
"""A bootstrap certificate lives as long as its batch may: a box may wait in a carton for weeks."""
MAX_REQUEST_BYTES = 64 * 1024
"""A request has 2 kB, a full report 8 kB."""
MAX_NONCE = 64
MAX_SERIAL = 64
"""A Raspberry Pi's has 16 characters, a PC's product id 36."""
MAX_STEPS = 40
"""Enrolment has eight, the self-test about twenty-five."""
MAX_NAME, MAX_CODE, MAX_DETAIL = 32, 8, 200
MAX_ANSWER = 200
MAX_BEACON = 128
FOREIGN = "PRV-08"


class Bench:
    """What the laptop answers, whatever carries it."""

    def __init__(
        self, batch: Batch, inventory: Inventory, *, signer: Ed25519PublicKey, now: Callable[[], float] = time.time
    ) -> None:
        self.batch = batch
        self.signer = documents.public_text(signer)
        self.inventory = inventory
        self.visitors = Visitors()
        self._now = now
        inventory.plan(batch.manifest)

    def moment(self, nonce: str) -> bytes:
        """The time, signed over the box's nonce."""
        return documents.sign(Moment(nonce=nonce[:MAX_NONCE], utc_ms=int(self._now() * 1000)), self.batch.bench_key)

    def enrol(self, document: bytes, peer: str = "") -> bytes:
        """The signed assignment for a signed request; raises RefusedError, LogError or BadDataError."""
        request = documents.verify_own(Request, document)
        mqtt_key = mqtt_key_of(request)
        if not 0 < len(request.serial) <= MAX_SERIAL or not drawn(request.serial):
            raise BadDataError(f"a board's serial has 1 to {MAX_SERIAL} printable characters")
        self.check_open()
        if others := self.visitors.benches(self._now()):
            raise RefusedError(f"another bench announces itself on this cable: {', '.join(others)}", code="PRV-07")
        words = fingerprints.words(documents.public_key(request.identity).public_bytes_raw())
        if not (
            proofs.proven(self.batch.enrol_secret, request)
            or self.inventory.knows(request.identity)
            or self.inventory.confirmed(words)
        ):
            code = "PRV-03" if request.device_id else "PRV-06"
            self.visitors.wait(Waiting(words=words, serial=request.serial, peer=peer, code=code, at_s=self._now()))
            if request.device_id:
                raise RefusedError(f"this bench did not install box {request.device_id}", code=code)
            raise RefusedError(f"the technician must confirm this box: {words}", code=code)
        answer = self.inventory.enrol(
            request,
            mqtt_key,
            self.batch.manifest.batch,
            lambda row: self._assignment(request, row),
            now_s=self._now(),
        )
        self.visitors.enter(words)
        return answer

    def check_open(self) -> None:
        """Raises RefusedError once headquarters ended this batch (`bench sync` hears of it)."""
        name = self.batch.manifest.batch
        if self.inventory.bench_key(name, now_s=self._now()) is None:
            raise RefusedError(f"headquarters has ended batch {name}", code="PRV-10", hint="ask for a new batch")

    def turn_away(self, code: str, peer: str) -> None:
        """Count a refusal; a machine that asks as no box does is remembered for the screen."""
        self.visitors.refused[code] += 1
        if code == FOREIGN:
            self.visitors.turn_away(peer.partition("%")[0], self._now())

    def report(self, document: bytes) -> None:
        """Keep a box's signed step report; raises as `enrol`."""
        report = documents.verify_own(StepReport, document)
        check_report(report)
        self.inventory.report(report, now_s=self._now())

    def _assignment(self, request: Request, row: BoxRow) -> bytes:
        now_s = self._now()
        certificate = certificates.issue_client(
            self.batch.ca,
            meeting.BOOT_PREFIX + row.device_id,
            certificates.read_csr(request.csr.encode()),
            unit="boot",
            now_s=now_s,
            days=BOOT_DAYS,
        )
        assignment = documents.assign(
            row.place,
            batch=row.batch,
            device_id=row.device_id,
            identity=request.identity,
            certificate=certificates.pem(certificate).decode(),
            ops_pin=pins.hashed(self.batch.bench_key, row.device_id),
            now_s=now_s,
        )
        return documents.sign(assignment, self.batch.bench_key)


def check_report(report: StepReport) -> None:
    """Raises BadDataError for what no box writes: too many steps, an unknown verdict, long or unprintable text."""
    if len(report.steps) > MAX_STEPS:
        raise BadDataError(f"a report has at most {MAX_STEPS} steps")
    for step in report.steps:
        texts = ((step.name, MAX_NAME), (step.code, MAX_CODE), (step.detail, MAX_DETAIL))
        if step.verdict not in set(Verdict) or any(len(text) > limit for text, limit in texts):
            raise BadDataError("the report has a step that is not ours")


def make_app(bench: Bench, asked: set[asyncio.BaseTransport]) -> web.Application:
    """The bench's pages; a connection over which a whole question came is added to `asked`."""

    async def manifest(_request: web.Request) -> web.Response:
        return web.Response(body=bench.batch.document, content_type="application/json")

    async def signer(_request: web.Request) -> web.Response:
        return web.Response(text=bench.signer)

    async def moment(request: web.Request) -> web.Response:
        return web.Response(body=bench.moment((await request.read()).decode("ascii", "replace")))

    async def enrol(request: web.Request) -> web.Response:
        answer = bench.enrol(await request.read(), request.remote or "")
        return web.Response(body=answer, content_type="application/json")

    async def report(request: web.Request) -> web.Response:
        bench.report(await request.read())
        return web.Response(status=204)

    async def software(request: web.Request) -> web.Response:
        content = await asyncio.to_thread(bench.batch.software, request.match_info["name"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_door(bench, asked)])
    app.router.add_get(meeting.MANIFEST, manifest)
    app.router.add_get(meeting.SIGNER, signer)
    app.router.add_post(meeting.TIME, moment)
    app.router.add_post(meeting.ENROL, enrol)
    app.router.add_post(meeting.REPORT, report)
    app.router.add_get(meeting.SOFTWARE + "{name}", software)
    return app


def _door(bench: Bench, asked: set[asyncio.BaseTransport]) -> Middleware:
    """Lets a box's whole question in; everybody else is counted and told a code and a sentence, as canonical JSON."""

    @web.middleware
    async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_asker(request)
            await request.read()
            if request.transport is not None:
                asked.add(request.transport)
            answer = await handler(request)
        except web.HTTPException as error:
            status, code, what = error.status, FOREIGN, "no box would ask in this way"
        except RefusedError as error:
            status, code, what = (403 if error.code == FOREIGN else 409), error.code, error.what
        except (BadDataError, LogError) as error:
            status, code, what = 400, "PRV-05", str(error)
        else:
            answer.force_close()
            return answer
        bench.turn_away(code, request.remote or "")
        body = signed.canonical({"code": code, "what": literal(what)[:MAX_ANSWER]})
        refusal = web.Response(status=status, body=body, content_type="application/json")
        refusal.force_close()
        return refusal

    return door


def _check_asker(request: web.Request) -> None:
    """Raises RefusedError for a question that no box asks, such as one from a page in somebody's browser."""
    foreign = (
        request.headers.get("Host", "") != meeting.HOST
        or "Origin" in request.headers
        or any(name.lower().startswith("sec-") for name in request.headers)
        or (request.method == "POST" and request.headers.get("Content-Type", "") != meeting.CONTENT_TYPE)
    )
    if foreign:
        raise RefusedError("no box would ask in this way", code=FOREIGN)


@contextlib.asynccontextmanager
async def serve(bench: Bench, *, host: str, port: int = meeting.HTTP_PORT) -> AsyncIterator[int]:
    """Answer at one address while inside; the port."""
    asked = set[asyncio.BaseTransport]()
    runner = web.AppRunner(make_app(bench, asked), access_log=None, logger=connections.logger())
    await runner.setup()
    server = None
    try:
        assert runner.server is not None  # noqa: S101 (`setup` has made it)
        held = Connections(runner.server, asked, lambda peer: bench.turn_away(FOREIGN, peer))
        try:
            server = await asyncio.get_running_loop().create_server(held, host, port)
        except OSError as error:
            raise UnavailableError(
                f"cannot serve: {error.strerror}",
                where=f"port {port}",
                hint="is another bench running?",
            ) from error
        yield server.sockets[0].getsockname()[1]
    finally:
        if server is not None:
            server.close()
        await runner.cleanup()


async def call(port: int, interface: Interface) -> None:
    """Send the beacon on the bench's interface until cancelled."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        while True:
            # A cable that is out carries nothing; it may be back in two seconds.
            with contextlib.suppress(OSError):
                sender.sendto(meeting.beacon(port), (meeting.GROUP, meeting.BEACON_PORT, 0, interface.index))
            await asyncio.sleep(meeting.BEACON_S)


async def watch(port: int, interface: Interface, heard: Callable[[str], None]) -> None:
    """Tell `heard` where each other bench on the cable calls from, until cancelled."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ear:
        ear.setblocking(False)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind(("::", meeting.BEACON_PORT))
        group = socket.inet_pton(socket.AF_INET6, meeting.GROUP)
        ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", interface.index))
        while True:
            datagram, (host, _port, _flow, scope) = await loop.sock_recvfrom(ear, MAX_BEACON)
            theirs, bare = meeting.read_beacon(datagram), host.partition("%")[0]
            if theirs is not None and scope == interface.index and (bare, theirs) != (interface.address, port):
                heard(f"{bare} {theirs}")
