"""The sealed log's surroundings: certificate, recipient set, retention; and the clock, judged by all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from edge_scanner import small_files
from edge_scanner.core import certificates
from edge_scanner.core.diagnostics.advice import Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.core.enrolment.rendezvous import BOOT_PREFIX
from edge_scanner.core.errors import BadDataError, StorageError
from edge_scanner.core.model import ClockQuality
from edge_scanner.core.wording import counted
from edge_scanner.device.central import recipient_sets
from edge_scanner.device.health import RECIPIENTS_SOON_S, SOON_S
from edge_scanner.device.settings import DATABASE
from edge_scanner.device.storage.store import open_reader
from edge_scanner.mqtt.brokerlink import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from cryptography import x509

    from edge_scanner.core.log.recipients import RecipientSet
    from edge_scanner.device.doctor.location import Place

DAY_S = 86400.0
_CLOCK_JUMP_S = 3600.0
"""What the log may be ahead of the clock: its newest record is of this hour, and a clock may be slow by minutes."""


def certificate(place: Place) -> Finding:
    """Whether the certificate is this box's, for its key, and for how long."""
    mqtt = place.settings.mqtt
    if not mqtt.host or not mqtt.tls:
        return Finding(check="certificate", verdict=Verdict.SKIP, detail="no broker with TLS is set")
    found = _certificate(place)
    if found is None:
        return _fail("certificate", Code.CERTIFICATE_NONE, f"{mqtt.certificate} cannot be read")
    name = certificates.common_name(found)
    ours = place.settings.device.id
    if (ours and name.removeprefix(BOOT_PREFIX) != ours) or not _belongs(found, Path(mqtt.key)):
        return _fail("certificate", DoctorCode.CERTIFICATE_NOT_OURS, f"it is {name}'s, or its key is another")
    return _lifetime(name, (found.not_valid_after_utc.timestamp() - place.now()) / DAY_S)


def bootstrap(place: Place) -> bool:
    """Whether the certificate is the one of installation day, which only the enrolment broker knows."""
    found = _certificate(place)
    return found is not None and certificates.common_name(found).startswith(BOOT_PREFIX)


def _lifetime(name: str, left_days: float) -> Finding:
    detail = f"{name}, {counted(round(left_days), 'day')} left"
    if left_days < 0:
        return _fail("certificate", Code.CERTIFICATE_EXPIRED, detail)
    if left_days * DAY_S < SOON_S:
        return Finding(check="certificate", verdict=Verdict.WARN, code=Code.CERTIFICATE_ENDS_SOON, detail=detail)
    if name.startswith(BOOT_PREFIX):
        code = DoctorCode.CERTIFICATE_BOOTSTRAP
        return Finding(check="certificate", verdict=Verdict.WARN, code=code, detail=detail)
    return Finding(check="certificate", verdict=Verdict.PASS, detail=detail)


def recipients(place: Place) -> Finding:
    """Whether the log can be sealed now and for how long."""
    if not place.settings.log.kept:
        return Finding(check="recipients", verdict=Verdict.SKIP, detail="no health authority: the box keeps no log")
    known = recipient_sets.read(place.settings.log, Path(place.settings.device.state_dir))
    found = known.recipients
    if known.code:
        return _fail("recipients", known.code, known.reason)
    if found is None:
        return _fail("recipients", Code.LOG_NO_RECIPIENTS, f"{place.settings.log.recipients} is not there")
    return _in_force(found, place.now())


def _in_force(found: RecipientSet, now_s: float) -> Finding:
    detail = f"version {found.version}, {counted(round((found.not_after_s - now_s) / DAY_S), 'day')} left"
    if now_s < found.not_before_s:
        return _fail("recipients", DoctorCode.LOG_RECIPIENTS_EARLY, detail)
    if not found.usable(now_s):
        return _fail("recipients", Code.LOG_RECIPIENTS_EXPIRED, detail)
    if now_s > found.not_after_s - RECIPIENTS_SOON_S:
        return Finding(check="recipients", verdict=Verdict.WARN, code=Code.LOG_RECIPIENTS_END_SOON, detail=detail)
    return Finding(check="recipients", verdict=Verdict.PASS, detail=detail)


async def retention(place: Place) -> Finding:
    """Whether the oldest record is as young as it must be."""
    oldest_s, _newest_s = await _span(place)
    if oldest_s is None:
        return Finding(check="retention", verdict=Verdict.PASS, detail="the log is empty")
    days = (place.now() - oldest_s) / DAY_S
    detail = f"oldest record {days:.1f} days, limit {place.settings.log.retention_days}"
    # Whole hours go, a few at a time, after a confirmed clock: a day more is the scanner's business, not a fault.
    if days > place.settings.log.retention_days + 1:
        return _fail("retention", DoctorCode.LOG_NOT_DELETING, detail)
    return Finding(check="retention", verdict=Verdict.PASS, detail=detail)


CHECKS: Mapping[str, Callable[[Place], Finding | Awaitable[Finding]]] = {
    "recipients": recipients,
    "retention": retention,
}
"""What comes after the way to the broker."""


async def clock(place: Place, broker_trouble: str) -> Finding:
    """Behind and ahead told apart: by the broker's certificate, by ours, and by what the log already holds.

    OpenSSL's verify code 9 means that our clock is behind. Code 10 means that it is ahead, or that the certificate has
    really expired: a clock that NTP keeps is believed.
    """
    now_s, quality = place.now(), place.quality()
    _oldest_s, newest_s = await _span(place)
    ours = _certificate(place)
    if broker_trouble == Trouble.CLOCK_BEHIND:
        return _fail("clock", DoctorCode.CLOCK_BEHIND, "the broker's certificate is not yet valid")
    if ours is not None and now_s < ours.not_valid_before_utc.timestamp():
        return _fail(
            "clock", DoctorCode.CLOCK_BEHIND, f"our certificate begins {ours.not_valid_before_utc:%Y-%m-%d %H:%M}"
        )
    if newest_s is not None and now_s < newest_s - _CLOCK_JUMP_S:
        return _fail("clock", DoctorCode.CLOCK_BEHIND, "the log holds records of a later time")
    if broker_trouble == Trouble.BROKER_EXPIRED and quality is not ClockQuality.NTP:
        return _fail("clock", DoctorCode.CLOCK_AHEAD, "the broker's certificate has ended by our clock")
    if quality is ClockQuality.NTP:
        return Finding(check="clock", verdict=Verdict.PASS, detail="kept by NTP")
    code = Code.CLOCK_NOT_KEPT if quality is ClockQuality.RTC else Code.CLOCK_UNSET
    return Finding(check="clock", verdict=Verdict.WARN, code=code, detail="not confirmed by NTP")


async def _span(place: Place) -> tuple[float | None, float | None]:
    """Oldest and newest record; None without a log that can be read (storage says why)."""
    path = place.state / DATABASE
    if not path.exists():
        return None, None
    try:
        async with open_reader(path) as store:
            summary = await store.summary()
    except StorageError:
        return None, None
    return summary.oldest_s, summary.newest_s


def _certificate(place: Place) -> x509.Certificate | None:
    try:
        return certificates.read(small_files.content(Path(place.settings.mqtt.certificate)))
    except (OSError, BadDataError):
        return None


def _belongs(found: x509.Certificate, key: Path) -> bool:
    try:
        private = serialization.load_pem_private_key(small_files.content(key), password=None)
    except (OSError, *certificates.UNREADABLE):
        return False
    return private.public_key() == found.public_key()


def _fail(check: str, code: str, detail: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, code=code, detail=detail)
