"""Taking a box out: revocation list and ACL written together, the broker told, and the effect proven.

A list alone leaves a live session running, an ACL alone leaves the door open (measured on mosquitto 2.0.11), so both
are always derived from the inventory and replaced together; a run that is cut off between the two is mended by the
next. The proof is a probe: a certificate made for this very revocation, with a live session of its own. It goes into
the same two files, and the revocation is proven when its session is refused with 0x87 and its next handshake is refused
by name. That shows that the broker read both files, which an exit code of `systemctl reload` does not.

mosquitto has no command that ends a session, and a session that waits keeps its subscriptions for a week. So the last
step is a take-over: a client with a certificate for the same name, made for this minute, connects with a clean start,
which throws the live one off and takes its session's place, and goes. That certificate is revoked as the others are.

A silenced box cannot take back its retained "online", not even by its will. A second probe, to which the ACL gives that
one topic while the revocation runs, empties it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import socket
import ssl
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from edge_scanner.core import certificates as others
from edge_scanner.core.errors import BadDataError, ConfigurationError, UnavailableError
from edge_scanner.core.model import Message, MessageKind
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.mqtt.brokerlink import BrokerSettings, tls_context
from provisioning import certificates, files
from provisioning.inventory import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from provisioning.fleet.fleet import Endpoint, Fleet
    from provisioning.inventory import Inventory

MARK = "# ---- Revoked"
"""The line in the ACL below which everything is ours to write."""
PROBE_S = 15.0
"""Longest wait for the broker to read its files again."""
CRL_WARN_S = 14 * 86400
"""Lists are renewed weekly: one with less than this left has missed three renewals."""
_MARK = re.compile(rf"^{re.escape(MARK)}", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_ACL_LINE = re.compile(r"(user [A-Za-z0-9-]+|(pattern|topic) (read|write|readwrite|deny) \S+)")
_NOT_AUTHORISED = 0x87
_REFUSED = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the probe met after the broker was told; `proven` when both doors are shut and nothing is left behind.

    `ended`: the revoked name's session was taken over and is gone, with its subscriptions and what waited in it.
    `cleared`: its retained status is gone, too, so that nobody reads for ever that the box is online.
    """

    live_code: int | None
    handshake: str
    ended: bool = False
    cleared: bool = False

    @property
    def proven(self) -> bool:
        """A live session is refused, and so is a new one."""
        return self.live_code == _NOT_AUTHORISED and "revoked" in self.handshake and self.ended and self.cleared


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """How the files at the broker are: seconds until the revocation list ends, and how many it holds."""

    expires_s: float
    revoked: int
    denied: int


def write_lists(fleet: Fleet, inventory: Inventory, folder: Path, *, now_s: float, grant: str = "") -> None:
    """Derive `crl.pem` and the end of `acl` from the inventory. Raises BadDataError, StorageError.

    `grant` is a block of the ACL that holds until the lists are written again.
    """
    acl = _acl(folder)
    mark = _MARK.search(acl)
    if mark is None:
        raise BadDataError("the ACL has no place for revocations", where=str(folder / "acl"), hint=f"add a line {MARK}")
    names = inventory.denied(now_s=now_s)
    blocks = "".join(f"user {name}\ntopic deny #\n" for name in names if _NAME.fullmatch(name))
    new = f"{acl[: mark.start()]}{MARK} (written by edge-provision; do not edit below) ----\n{blocks}{grant}"
    lint(new)
    crl = certificates.revocation_list(
        fleet.issuing, inventory.revoked(now_s=now_s), number=inventory.next_number("crl"), now_s=now_s
    )
    files.write(folder / "crl.pem", crl, mode=0o644)
    files.write(folder / "acl", new.encode(errors="surrogateescape"), mode=0o644)


def _acl(folder: Path) -> str:
    """Comments in another encoding stay as they are."""
    return files.read(folder / "acl", hint="copy config/broker/acl there first").decode(errors="surrogateescape")


def check_name(name: str) -> None:
    """Raises ConfigurationError for a name that the ACL could not silence: it must not be issued either."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r} could not be revoked", hint="1 to 64 of A-Z, a-z, 0-9 and -")


def lint(acl: str) -> None:
    """Raises BadDataError for a line that mosquitto would not take: 2.1 ends when it reads a bad file."""
    for number, line in enumerate(acl.splitlines(), 1):
        if line.strip() and not line.startswith("#") and not _ACL_LINE.fullmatch(line.strip()):
            raise BadDataError("mosquitto would not read this ACL line", where=f"line {number}")


def look(folder: Path, *, now_s: float) -> Lists:
    """The state of the files at the broker; raises StorageError, BadDataError."""
    pem = files.read(folder / "crl.pem", hint="run edge-provision fleet publish")
    try:
        crl = x509.load_pem_x509_crl(pem)
    except others.UNREADABLE as error:
        raise BadDataError("not a revocation list", where=str(folder / "crl.pem")) from error
    end = crl.next_update_utc
    acl = _acl(folder)
    return Lists(
        expires_s=end.timestamp() - now_s if end else 0.0,
        revoked=len(crl),
        denied=len(re.findall(r"^topic deny #$", acl, re.MULTILINE)),
    )


async def revoke(
    fleet: Fleet,
    inventory: Inventory,
    name: str,
    *,
    reason: str,
    folder: Path,
    reload: Callable[[], None],
    probe_at: Endpoint,
    now: Callable[[], float] = time.time,
) -> Proof:
    """Revoke every certificate of `name` and prove it.

    The revocation is written and the broker told whatever becomes of the probe; without a proof, `Proof.proven` is
    false and its texts say what was seen.
    """
    if inventory.box(name) is not None:
        inventory.retire(name, State.REVOKED, reason)
    inventory.revoke(name, reason, now_s=now())
    with tempfile.TemporaryDirectory(prefix="edge-probe-") as scratch:
        probe = f"probe-{secrets.token_hex(4)}"
        settings = _certified(fleet, inventory, Path(scratch), probe_at, name=probe, now_s=now())

        sweeper = f"probe-{secrets.token_hex(4)}"
        sweeping = _certified(fleet, inventory, Path(scratch), probe_at, name=sweeper, now_s=now())
        status = f"edge-scanner/v1/d/{name}/up/status"

        def strike() -> None:
            inventory.revoke(probe, f"probe for {name}", now_s=now())
            grant = f"user {sweeper}\ntopic write {status}\n"
            write_lists(fleet, inventory, folder, now_s=now(), grant=grant)
            reload()

        live = await _live(settings, probe, strike)
        handshake = await asyncio.to_thread(_handshake, settings)
        again = _certified(fleet, inventory, Path(scratch), probe_at, name=name, now_s=now())
        ended = await _take_over(again, name)
        cleared = await _sweep(sweeping, sweeper, status)
        inventory.revoke(sweeper, f"probe for {name}", now_s=now())
        inventory.revoke(name, reason, now_s=now())
        write_lists(fleet, inventory, folder, now_s=now())
        reload()
        return Proof(live_code=live, handshake=handshake, ended=ended, cleared=cleared)


def _certified(
    fleet: Fleet, inventory: Inventory, scratch: Path, at: Endpoint, *, name: str, now_s: float
) -> BrokerSettings:
    """How a client of this name reaches the broker, with a certificate of today that the inventory knows."""
    holder = certificates.new_client(fleet.issuing, name, unit="probe", now_s=now_s, days=1)
    inventory.keep_certificate(name, holder.certificate_pem, now_s=now_s)
    for file, content in (
        (f"{name}.crt", holder.certificate_pem + fleet.issuing.certificate_pem),
        (f"{name}.key", holder.key_pem),
        ("ca.pem", fleet.trust_pem),
    ):
        files.write(scratch / file, content)
    return BrokerSettings(
        host=at.host,
        port=at.port,
        ca=scratch / "ca.pem",
        certificate=scratch / f"{name}.crt",
        key=scratch / f"{name}.key",
        protocol="5",
    )


async def _take_over(settings: BrokerSettings, name: str) -> bool:
    """Whether the broker let us take the name's session over with a clean start: what was in it is gone then."""
    async with open_broker(settings, client_id=name, session_s=0) as broker:
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(PROBE_S):
                await broker.connected()
                return True
    return False


async def _sweep(settings: BrokerSettings, sweeper: str, topic: str) -> bool:
    """Whether the broker took the empty message that removes what is retained under `topic`."""
    empty = Message(kind=MessageKind.STATUS, topic=topic, payload=b"", key="sweep", retain=True, created_s=0.0)
    async with open_broker(settings, client_id=sweeper, session_s=0) as broker:
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(PROBE_S):
                await broker.connected()
                code = _REFUSED
                while code >= _REFUSED:
                    code = await broker.publish(empty)
                    await asyncio.sleep(0.1)
                return True
    return False


async def _live(settings: BrokerSettings, probe: str, strike: Callable[[], None]) -> int | None:
    """Hold a session while `strike` happens; the last code that it got, None when there was no session to hold."""
    async with open_broker(settings, client_id=probe, session_s=0) as broker:
        code = None
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(PROBE_S):
                await broker.connected()
                code = await broker.publish(_word(probe))
        strike()
        if code is None:
            return None
        with contextlib.suppress(TimeoutError, UnavailableError):
            async with asyncio.timeout(PROBE_S):
                while code != _NOT_AUTHORISED:
                    await asyncio.sleep(0.1)
                    code = await broker.publish(_word(probe))
    return code


def _handshake(settings: BrokerSettings) -> str:
    """How the broker receives the revoked probe: the alert's name, or why there is none."""
    try:
        with (
            socket.create_connection((settings.host, settings.port), PROBE_S) as plain,
            tls_context(settings).wrap_socket(plain, server_hostname=settings.host) as channel,
        ):
            channel.settimeout(PROBE_S / 5)
            channel.recv(1)
    except ssl.SSLError as error:
        return str(error.reason or error).lower().replace("_", " ")
    except TimeoutError:
        return "accepted"
    except OSError as error:
        return f"no connection: {error.strerror}"
    return "closed without an alert"


def _word(probe: str) -> Message:
    return Message(
        kind=MessageKind.STATUS, topic=f"edge-scanner/v1/d/{probe}/up/status", payload=b"{}", key="probe", created_s=0.0
    )
