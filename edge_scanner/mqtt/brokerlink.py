"""The broker as a place one may fail to reach: settings, TLS, why it did not work, how long to wait. No MQTT here.

Promises: plain MQTT goes to loopback only, or where the settings say `plain_elsewhere`; TLS is 1.3 with a named CA and
our certificate if there is one; every failure has a `Trouble` whose code the health light, the doctor and the
technician's page share.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from edge_scanner import small_files
from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

RECONNECT_MIN_S = 1.0
"""A broker that is restarted is back within seconds."""
RECONNECT_MAX_S = 300.0
"""A broker core takes about 150 mutual-TLS handshakes a second: 10,000 boxes need a minute and get five."""
_VERIFY_NOT_YET_VALID = 9
_VERIFY_EXPIRED = 10
_VERIFY_FOREIGN = {2, 18, 19, 20, 21}
"""X509_V_ERR_... of a chain that does not end at our CA (OpenSSL, x509_vfy.h)."""
_PASSWORD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Where the broker is and how to prove who we are. Secrets are paths; the files are read at every connection.

    `protocol` "auto" speaks MQTT 5 and falls back to 3.1.1 with a broker that refuses 5. `plain_elsewhere` allows plain
    MQTT to another machine, for what the venue's screen shows anyway.
    """

    host: str
    port: int = 8883
    tls: bool = True
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    username: str = ""
    password_file: Path | None = None
    plain_elsewhere: bool = False
    protocol: Literal["auto", "5", "3.1.1"] = "auto"

    @property
    def place(self) -> str:
        """`host:port`, for people."""
        return f"{self.host}:{self.port}"


class Trouble(StrEnum):
    """Why there is no connection, told apart by who can mend it."""

    NONE = ""
    NAME_UNKNOWN = "BRK-01"
    UNREACHABLE = "BRK-02"
    BROKER_UNTRUSTED = "BRK-03"
    CLOCK_BEHIND = "BRK-04"
    BROKER_EXPIRED = "BRK-05"
    CERTIFICATE_REFUSED = "BRK-06"
    NOT_AUTHORISED = "BRK-07"
    PROTOCOL = "BRK-08"
    LOST = "BRK-09"
    NO_ANSWER = "BRK-10"
    BUSY = "BRK-11"
    TAKEN_OVER = "BRK-12"
    FILES = "BRK-13"
    OLD_VERSION = "BRK-14"
    FOREIGN = "BRK-15"
    NO_TLS = "BRK-16"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerState:
    """The connection at a glance; `detail` is a short sentence without secrets, empty when all is well.

    `closed`: it had been accepted, and the broker closed it without a word and without an error of the network.
    """

    connected: bool
    protocol: str = ""
    trouble: Trouble = Trouble.NONE
    detail: str = ""
    closed: bool = False


_REASONS = {
    0x84: (Trouble.OLD_VERSION, "the broker does not speak this MQTT version"),
    0x85: (Trouble.NOT_AUTHORISED, "the broker refuses our client id"),
    0x86: (Trouble.NOT_AUTHORISED, "the broker refuses our name or password"),
    0x87: (Trouble.NOT_AUTHORISED, "the broker does not authorise us"),
    0x88: (Trouble.BUSY, "the broker says that it is unavailable"),
    0x89: (Trouble.BUSY, "the broker says that it is busy"),
    0x8A: (Trouble.NOT_AUTHORISED, "the broker has banned us"),
    0x8B: (Trouble.LOST, "the broker is shutting down"),
    0x8D: (Trouble.LOST, "the broker heard nothing from us for too long"),
    0x8E: (Trouble.TAKEN_OVER, "another client connected under our name"),
    0x95: (Trouble.PROTOCOL, "the broker refuses the size of our packet"),
    0x97: (Trouble.BUSY, "the broker's quota is used up"),
    0x9A: (Trouble.PROTOCOL, "the broker keeps no retained messages, which we need"),
    0x9B: (Trouble.PROTOCOL, "the broker does not offer QoS 1, which we need"),
    0x98: (Trouble.NOT_AUTHORISED, "an operator of the broker disconnected us"),
}


def explain_code(code: int) -> BrokerState:
    """What an MQTT 5 reason code of CONNACK or DISCONNECT means for us."""
    trouble, detail = _REASONS.get(code, (Trouble.LOST, "the broker ended the connection"))
    return BrokerState(connected=False, trouble=trouble, detail=f"{detail} (0x{code:02x})")


def explain_error(error: BaseException | None, *, tls: bool, reached: bool = False) -> BrokerState:
    """What an exception of the network thread means; None is a connection that closed without a word.

    `reached`: the server took the TCP connection, so that what fails after it is not a closed port.
    """
    match error:
        case TimeoutError() if reached and tls:
            trouble, detail = Trouble.NO_TLS, "the server takes the connection, and then nothing encrypted gets through"
        case None | ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            trouble, detail = Trouble.NO_ANSWER, "closed before the broker answered"
            if tls:
                detail = "closed before the broker answered; is our certificate known there?"
        case ssl.SSLError():
            trouble, detail = _explain_tls(error)
        case socket.gaierror():
            trouble, detail = Trouble.NAME_UNKNOWN, "the broker's name is unknown"
        case TimeoutError():
            trouble, detail = Trouble.UNREACHABLE, "the broker does not answer in time"
        case ConnectionResetError() | BrokenPipeError():
            trouble, detail = Trouble.LOST, "the connection was reset"
        case OSError():
            trouble, detail = (
                Trouble.UNREACHABLE,
                f"the broker cannot be reached: {error.strerror or 'no reason given'}",
            )
        case _:
            trouble, detail = Trouble.PROTOCOL, f"the broker's answer makes no sense ({type(error).__name__})"
    return BrokerState(connected=False, trouble=trouble, detail=detail)


def _explain_tls(error: ssl.SSLError) -> tuple[Trouble, str]:
    """Which side's certificate is at fault: a failed check is ours of theirs, an alert is theirs of ours."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _VERIFY_NOT_YET_VALID:
            return Trouble.CLOCK_BEHIND, "the broker's certificate is not yet valid: our clock is behind"
        if error.verify_code == _VERIFY_EXPIRED:
            return Trouble.BROKER_EXPIRED, "the broker's certificate has expired, or our clock is ahead"
        why = error.verify_message
        told = f"the broker's certificate is not trusted: {why}"
        if error.verify_code in _VERIFY_FOREIGN:
            told = f"the broker's certificate is not from our CA, perhaps a login page of this network: {why}"
        return Trouble.BROKER_UNTRUSTED, told
    reason = getattr(error, "reason", None) or ""
    if "ALERT" in reason and "PROTOCOL_VERSION" not in reason:
        alert = reason.partition("ALERT_")[2].replace("_", " ").lower()
        return Trouble.CERTIFICATE_REFUSED, f"the broker refuses our certificate: {alert}"
    if "WRONG_VERSION_NUMBER" in reason or "HTTP" in reason:
        return Trouble.FOREIGN, "something else answers there, perhaps a login page of this network"
    return Trouble.PROTOCOL, "the broker does not speak TLS 1.3"


def reconnect_delay(attempt: int, chance: float) -> float:
    """Seconds before `attempt` (1, 2, ...): anywhere between 1 s and a bound that doubles from 2 s to 5 min.

    `chance` is in [0, 1). Jitter over the whole range beat a fixed share, which leaves a fleet in waves.
    """
    bound = min(RECONNECT_MAX_S, 2.0 ** min(attempt, 16))
    return RECONNECT_MIN_S + chance * (bound - RECONNECT_MIN_S)


def reach(host: str, port: int, *, timeout_s: float, turn: int) -> socket.socket:
    """A TCP connection to the first address that takes one, beginning with number `turn`; raises OSError.

    A name may have an address whose machine takes connections and says nothing. Resolvers give the same order each
    time, so whoever always begins with the first would stay with that one for ever.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first = turn % len(found)
    error: OSError | None = None
    for *_, address in found[first:] + found[:first]:
        try:
            return socket.create_connection((str(address[0]), port), timeout=timeout_s)
        except OSError as refused:
            error = refused
    raise error or OSError("the broker's name has no address")


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho forgets to do."""

    def do_handshake(self, block: bool = False) -> None:
        """See ssl.SSLSocket."""
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def check_place(settings: BrokerSettings) -> None:
    """Raises ConfigurationError for settings that must never be used: no host, or plain MQTT off this machine."""
    if not settings.host:
        raise ConfigurationError("no broker is configured", where="[mqtt] host", hint="give the broker's name")
    if not settings.tls and not settings.plain_elsewhere and not _is_loopback(settings.host):
        raise ConfigurationError(
            f"plain MQTT to {settings.place} would be readable on the way",
            where="[mqtt] tls",
            hint="set tls = true; without it only 127.0.0.1, ::1 and localhost are allowed",
        )


def check(settings: BrokerSettings) -> None:
    """`check_place`, and ConfigurationError for a CA, certificate, key or password file that cannot be used now."""
    check_place(settings)
    if settings.tls:
        tls_context(settings)
    password(settings)


def tls_context(settings: BrokerSettings) -> ssl.SSLContext:
    """TLS 1.3, our CA only, our certificate if one is given; raises ConfigurationError that names the bad file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _TidySocket
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if settings.ca is None:
        raise ConfigurationError("TLS needs the CA of the broker", where="[mqtt] ca", hint="name the CA's file")
    try:
        small_files.check(settings.ca)
        context.load_verify_locations(cafile=settings.ca)
    except OSError as error:
        raise ConfigurationError(
            "cannot read the broker's CA", where=str(settings.ca), hint="provision the box again"
        ) from error
    if settings.certificate is not None:
        _closed(settings.key)
        try:
            small_files.check(settings.certificate, *([settings.key] if settings.key else []))
            context.load_cert_chain(settings.certificate, settings.key, password="")
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                "cannot read our certificate or its key",
                where=str(settings.certificate),
                hint="provision the box again",
            ) from error
    return context


def _closed(key: Path | None) -> None:
    """Raises ConfigurationError for a key that others may read; group bits are left to systemd's credentials."""
    try:
        mode = key.stat().st_mode & 0o777 if key else 0
    except OSError:
        return  # loading it says what is wrong
    if mode & 0o007:
        raise ConfigurationError(f"others may read the key (mode {mode:04o})", where=str(key), hint=f"chmod 600 {key}")


def password(settings: BrokerSettings) -> str | None:
    """The first line of the password file, None without one; raises ConfigurationError when it cannot be read."""
    if settings.password_file is None:
        return None
    try:
        small_files.check(settings.password_file)
        return small_files.content(settings.password_file, _PASSWORD_BYTES).decode().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "cannot read the broker password", where=str(settings.password_file), hint="check its owner and mode"
        ) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
