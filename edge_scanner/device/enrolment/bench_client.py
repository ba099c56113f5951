"""The box's side of the bench: find it on the cable, ask it, believe only what is signed.

Plain `http.client`, because `edge-scanner enrol` runs once, alone, before there is a clock to check a certificate with.
"""

from __future__ import annotations

import contextlib
import http.client
import secrets
import select
import socket
import struct
import threading
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from edge_scanner.core import json_documents
from edge_scanner.core.enrolment import documents
from edge_scanner.core.enrolment import rendezvous as meeting
from edge_scanner.core.enrolment.documents import MAX_DOCUMENT_BYTES, Manifest, Moment, public_key
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError, UnavailableError
from edge_scanner.core.text import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ANSWER_S = 15.0
"""A laptop on the same switch answers in milliseconds; fifty boxes at once wait a second or two."""
WHOLE_S = 60.0
"""For a whole answer: a stranger's bench could send a byte now and then, and a box would wait for days."""
TRIES = 4
PAUSE_S = 1.0
"""An address of a link that came up just now may not be used for about a second (RFC 4862, duplicate detection)."""
GATHER_S = 2.5 * meeting.BEACON_S
"""How long to listen on after the first bench: a second one on the cable calls within this time."""
TWO_BENCHES = "PRV-07"
MAX_BENCHES = 4
"""Two are one too many; the others' names help nobody."""
_HINT = "is the laptop on the same switch, and `edge-provision bench start` running?"


class Source(Protocol):
    """Whoever names a box: a bench on the cable, or the card's own folder (cardlink.py)."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def signer(self) -> Ed25519PublicKey:
        """The fleet's key as the source says; to be pinned at a first contact only."""

    def manifest(self) -> bytes:
        """The batch's signed manifest."""

    def time(self, manifest: Manifest) -> float | None:
        """UTC seconds now, None from a source without a clock."""

    def enrol(self, request: bytes) -> bytes:
        """The signed assignment."""

    def key(self) -> bytes | None:
        """An MQTT key that was made for the box, None where the box makes its own."""

    def report(self, report: bytes) -> None:
        """Hand the steps over."""


class BenchLink:
    """Questions to one bench. Every method raises UnavailableError, and RefusedError with the bench's code."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    @property
    def place(self) -> str:
        """`host:port`, for people."""
        return f"{self._host}:{self._port}"

    def signer(self) -> Ed25519PublicKey:
        """The fleet's key as the bench says; to be pinned at a first contact only."""
        return public_key(self._ask("GET", meeting.SIGNER).decode("ascii", "replace"))

    def manifest(self) -> bytes:
        """The batch's signed manifest."""
        return self._ask("GET", meeting.MANIFEST)

    def time(self, manifest: Manifest) -> float:
        """UTC seconds now, by the bench's clock; half of the round trip is added."""
        nonce = secrets.token_hex(16)
        began = time.monotonic()
        document = self._ask("POST", meeting.TIME, nonce.encode())
        moment = documents.verify(Moment, document, public_key(manifest.bench_key))
        if moment.nonce != nonce:
            raise BadDataError("the bench's time answers another question", where=self.place)
        return moment.utc_ms / 1000 + (time.monotonic() - began) / 2

    def enrol(self, request: bytes) -> bytes:
        """The signed assignment."""
        return self._ask("POST", meeting.ENROL, request)

    def key(self) -> bytes | None:
        """None: at a bench the box makes its own."""
        return None

    def report(self, report: bytes) -> None:
        """Hand the steps to the bench's table."""
        self._ask("POST", meeting.REPORT, report)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """What the bench answers; asked again, because every question may be and a fresh link is not at once usable."""
        for _ in range(TRIES - 1):
            try:
                return self._ask_once(method, path, body)
            except UnavailableError:
                time.sleep(PAUSE_S)
        return self._ask_once(method, path, body)

    def _ask_once(self, method: str, path: str, body: bytes | None) -> bytes:
        link = http.client.HTTPConnection(self._host, self._port, timeout=ANSWER_S)
        # The host part of a link-local address carries our interface's name, which is nobody's business.
        headers = {"Host": meeting.HOST, "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = meeting.CONTENT_TYPE
        try:
            link.connect()
            with _hung_up_after(WHOLE_S, link.sock) as late:
                link.request(method, path, body, headers)
                answer = link.getresponse()
                content = answer.read(MAX_DOCUMENT_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError("the bench does not answer", where=self.place, hint=_HINT) from error
        finally:
            link.close()
        if late.is_set():
            raise UnavailableError("the bench does not answer", where=self.place, hint=_HINT)
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise _refused(content, self.place)
        return content


@contextlib.contextmanager
def _hung_up_after(limit_s: float, line: socket.socket) -> Iterator[threading.Event]:
    """End a line that is still in use then, and say so: the link forgets its socket with the head of a last answer."""
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        with contextlib.suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)

    end = threading.Timer(limit_s, hang_up)
    end.start()
    try:
        yield late
    finally:
        end.cancel()


def link_to(url: str) -> BenchLink:
    """The bench at `http://host[:port]`; raises ConfigurationError."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port or meeting.HTTP_PORT
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        raise ConfigurationError(f"{url!r} is not a bench address", hint="write for example http://192.168.7.1:47111")
    return BenchLink(host, port)


def find_bench(wait_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> BenchLink | None:
    """The one bench that calls on any interface within `wait_s` seconds.

    Raises RefusedError (PRV-07) where two call: whichever is heard first may be a stranger's.
    """
    found = hear_benches(wait_s, monotonic=monotonic)
    if len(found) > 1:
        raise RefusedError(
            "there are two benches on this cable",
            code=TWO_BENCHES,
            where=", ".join(link.place for link in found),
            hint="switch one of them off",
        )
    return found[0] if found else None


def hear_benches(wait_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> list[BenchLink]:
    """Every bench that calls until `GATHER_S` after the first one, which is waited for `wait_s` seconds."""
    deadline, found = monotonic() + wait_s, dict[tuple[str, int], BenchLink]()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as ear:
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ear.bind(("::", meeting.BEACON_PORT))
        joined: set[int] = set()
        while (left_s := deadline - monotonic()) > 0:
            _join(ear, joined)  # again each second: an interface may come up while we wait
            if select.select([ear], [], [], min(left_s, 1.0))[0]:
                datagram, (host, _port, _flow, scope) = ear.recvfrom(128)
                port = meeting.read_beacon(datagram)
                bare = host.partition("%")[0]
                if port is not None and (bare, port) not in found and len(found) < MAX_BENCHES:
                    name = socket.if_indextoname(scope) if scope else ""
                    if not found:
                        deadline = monotonic() + GATHER_S
                    found[bare, port] = BenchLink(f"{bare}%{name}" if name else bare, port)
    return list(found.values())


def _join(ear: socket.socket, joined: set[int]) -> None:
    group = socket.inet_pton(socket.AF_INET6, meeting.GROUP)
    for index, _name in socket.if_nameindex():
        if index not in joined:
            try:
                ear.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", index))
            except OSError:  # this interface cannot; it is tried again in a second
                continue
            joined.add(index)


def _refused(content: bytes, place: str) -> RefusedError:
    try:
        answer = json_documents.value(content)
        code, what = str(answer["code"])[:16], str(answer["what"])[:200]
    except (ValueError, KeyError, TypeError):
        code, what = "PRV-05", "the bench refuses without a reason"
    return RefusedError(what if drawn(what) else "the bench refuses", code=code, where=place)
