"""The bench: a laptop that names boxes on a local switch, with no internet.

It serves the signed manifest, the time, assignments and the software set over plain HTTP: a new box can check no
certificate yet, and everything that matters is signed (core/enrolment/documents.py). A box that asks twice gets the
same bytes.

The answers are quick and the inventory is one small file, so requests are answered one after the other on the loop;
fifty boxes at once take about a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING

from aiohttp import web

from edge_scanner.core import signed
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment import rendezvous as meeting
from edge_scanner.core.enrolment.documents import Assignment, Moment, Request, StepReport
from edge_scanner.core.errors import BadDataError, RefusedError, UnavailableError
from edge_scanner.core.log.errors import LogError
from provisioning import certificates
from provisioning.inventory import mqtt_key_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiohttp.typedefs import Handler
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from provisioning.bench.batch import Batch
    from provisioning.inventory import BoxRow, Inventory

BOOT_DAYS = 90
"""A bootstrap certificate lives as long as its batch may: a box may wait in a carton for weeks."""
MAX_REQUEST_BYTES = 64 * 1024
"""A request has 2 kB, a full report 8 kB."""
MAX_NONCE = 64


class Bench:
    """What the laptop answers, whatever carries it."""

    def __init__(
        self, batch: Batch, inventory: Inventory, *, signer: Ed25519PublicKey, now: Callable[[], float] = time.time
    ) -> None:
        self.batch = batch
        self.signer = documents.public_text(signer)
        self.inventory = inventory
        self._now = now
        inventory.plan(batch.manifest)

    def moment(self, nonce: str) -> bytes:
        """The time, signed over the box's nonce."""
        return documents.sign(Moment(nonce=nonce[:MAX_NONCE], utc_ms=int(self._now() * 1000)), self.batch.bench_key)

    def enrol(self, document: bytes) -> bytes:
        """The signed assignment for a signed request; raises RefusedError, LogError or BadDataError."""
        request = documents.verify_own(Request, document)
        mqtt_key = mqtt_key_of(request)
        return self.inventory.enrol(
            request,
            mqtt_key,
            self.batch.manifest.batch,
            lambda row: self._assignment(request, row),
            now_s=self._now(),
        )

    def report(self, document: bytes) -> None:
        """Keep a box's signed step report; raises as `enrol`."""
        self.inventory.report(documents.verify_own(StepReport, document), now_s=self._now())

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
        assignment = Assignment(
            batch=row.batch,
            device_id=row.device_id,
            identity=request.identity,
            certificate=certificates.pem(certificate).decode(),
            site=row.place.site,
            room=row.place.room,
            name_vi=row.place.name_vi,
            name_en=row.place.name_en,
            issued_s=int(now_s),
        )
        return documents.sign(assignment, self.batch.bench_key)


def make_app(bench: Bench) -> web.Application:
    """The bench's pages."""

    async def manifest(_request: web.Request) -> web.Response:
        return web.Response(body=bench.batch.document, content_type="application/json")

    async def signer(_request: web.Request) -> web.Response:
        return web.Response(text=bench.signer)

    async def moment(request: web.Request) -> web.Response:
        return web.Response(body=bench.moment((await request.read()).decode("ascii", "replace")))

    async def enrol(request: web.Request) -> web.Response:
        return web.Response(body=bench.enrol(await request.read()), content_type="application/json")

    async def report(request: web.Request) -> web.Response:
        bench.report(await request.read())
        return web.Response(status=204)

    async def software(request: web.Request) -> web.Response:
        content = await asyncio.to_thread(bench.batch.software, request.match_info["name"])
        return web.Response(status=404) if content is None else web.Response(body=content)

    app = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=[_refusals])
    app.router.add_get(meeting.MANIFEST, manifest)
    app.router.add_get(meeting.SIGNER, signer)
    app.router.add_post(meeting.TIME, moment)
    app.router.add_post(meeting.ENROL, enrol)
    app.router.add_post(meeting.REPORT, report)
    app.router.add_get(meeting.SOFTWARE + "{name}", software)
    return app


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a box is told when it is turned away: a code and a sentence, as canonical JSON."""
    try:
        return await handler(request)
    except RefusedError as error:
        status, code, what = 409, error.code, error.what
    except (BadDataError, LogError) as error:
        status, code, what = 400, "PRV-05", str(error)
    return web.Response(
        status=status, body=signed.canonical({"code": code, "what": what}), content_type="application/json"
    )


@contextlib.asynccontextmanager
async def serve(bench: Bench, *, host: str | None = None, port: int = meeting.HTTP_PORT) -> AsyncIterator[int]:
    """Answer while inside; the port. `host` None is every address of the laptop, IPv4 and IPv6."""
    runner = web.AppRunner(make_app(bench), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise UnavailableError(
                f"cannot serve: {error.strerror}",
                where=f"port {port}",
                hint="is another bench running?",
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def call(port: int) -> None:
    """Send the beacon on every interface until cancelled."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        while True:
            for index, _name in socket.if_nameindex():
                # An interface that is down or has no link-local address cannot carry it; the others can.
                with contextlib.suppress(OSError):
                    sender.sendto(meeting.beacon(port), (meeting.GROUP, meeting.BEACON_PORT, 0, index))
            await asyncio.sleep(meeting.BEACON_S)
