"""Installation day on the box: a row of steps, each with a check and an apply, that may be cut off anywhere.

    fleet · manifest · clock · keys · name · certificate · trust · settings

Each step looks first and acts only on what is missing, and every file is written whole, so that pulling the plug at any
moment and plugging in again goes on where it stopped: same id, same keys, same certificate. Keys are made here and
never leave; the bench gets a request signed with them and answers with an id and a bootstrap certificate.

What a step brings is kept as the signed document itself (`manifest.json`, `assignment.json` in the state directory), so
every later step, and any later run without a bench, can be done again from the card alone.
"""

from __future__ import annotations

import contextlib
import os
import time
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_scanner import __version__, small_files
from edge_scanner.core import certificates
from edge_scanner.core.enrolment import documents, fingerprints, proofs
from edge_scanner.core.enrolment.documents import Assignment, Manifest, Request, StepReport, StepResult, public_text
from edge_scanner.core.errors import (
    BadDataError,
    DocumentForgedError,
    EdgeScannerError,
    RefusedError,
    StorageError,
    UnavailableError,
)
from edge_scanner.device import settings as settings_file
from edge_scanner.device.enrolment import box_files as files
from edge_scanner.device.enrolment import first_settings
from edge_scanner.device.enrolment.identity import open_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from edge_scanner.device.enrolment.bench_client import Source

T = TypeVar("T")

CLOCK_OFF_S = 2.0
"""A clock that is off by more is set; less is what a network answer may cost."""
ENDED = "PRV-10"
_SETTLED = "settled"
"""In the state directory: which assignment the settings were written for."""
CLOCK_BEHIND, CLOCK_AHEAD = "CLK-03", "CLK-04"
UNKNOWN = "PRV-09"
"""The code of a step that failed for a reason without one of its own."""


@dataclass(slots=True, kw_only=True)
class Box:
    """Where the box keeps things, and what it may do to the machine.

    `set_clock` sets it to UTC seconds and tells whether it did; None leaves the clock alone. `mark` is called around
    each write with a name: the tests pull the plug there.
    """

    etc: Path
    state: Path
    serial: str
    set_clock: Callable[[float], bool] | None = None
    now: Callable[[], float] = time.time
    mark: Callable[[str], None] = lambda _where: None
    manifest: Manifest | None = field(default=None, init=False)
    assignment: Assignment | None = field(default=None, init=False)

    @property
    def settings(self) -> Path:
        """The scanner's settings."""
        return self.etc / "scanner.toml"


def enrol(box: Box, bench: Source | None) -> tuple[StepResult, ...]:
    """Run the steps up to the first that fails; without a bench, those that the card alone can do."""
    steps: tuple[tuple[str, Callable[[Box, Source | None], str]], ...] = (
        ("fleet", _fleet),
        ("manifest", _manifest),
        ("clock", _clock),
        ("keys", _keys),
        ("name", _name),
        ("certificate", _certificate),
        ("trust", _trust),
        ("settings", _settings),
    )
    results = []
    _closed(box.state)
    for name, step in steps:
        box.mark(f"before {name}")
        try:
            detail = step(box, bench)
        except EdgeScannerError as error:
            code = getattr(error, "code", "") or UNKNOWN
            results.append(StepResult(name=name, verdict="FAIL", code=code, detail=str(error)))
            break
        results.append(StepResult(name=name, verdict="PASS", code="", detail=detail))
        box.mark(f"after {name}")
    return tuple(results)


def _closed(folder: Path) -> None:
    """The keys' folder, for its owner only; where it cannot be made, the step that writes there says why."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & 0o077 and folder.stat().st_uid == os.geteuid():
            folder.chmod(0o700)


def report(box: Box, bench: Source, steps: tuple[StepResult, ...]) -> None:
    """Hand the steps to the bench; raises UnavailableError, RefusedError."""
    key = open_key(box.state)
    document = StepReport(
        serial=box.serial,
        device_id=box.assignment.device_id if box.assignment else "",
        identity=public_text(key.public_key()),
        steps=steps,
    )
    bench.report(documents.sign(document, key))


def _fleet(box: Box, bench: Source | None) -> str:
    """The fleet's key: from the image, or from the first bench, once and for all."""
    pinned = box.etc / "fleet.pub"
    if not pinned.exists():
        text = public_text(_needed(bench).signer())
        files.write(box, pinned, text.encode() + b"\n", mode=0o644)
        return f"pinned from the first bench: {_words(text)}"
    return f"pinned {_words(_text(pinned))}"


def _manifest(box: Box, bench: Source | None) -> str:
    """The batch: the bench's, unless this box was named in another one."""
    signer = documents.public_key(_text(box.etc / "fleet.pub"))
    kept = box.state / "manifest.json"
    if bench is not None and not (box.state / "assignment.json").exists():
        document = bench.manifest()
        documents.verify(Manifest, document, signer)
        if not kept.exists() or files.read(kept) != document:
            files.write(box, kept, document)
    if not kept.exists():
        _needed(bench)
    box.manifest = documents.verify(Manifest, files.read(kept), signer)
    return f"{box.manifest.fleet} {box.manifest.batch}"


def _clock(box: Box, bench: Source | None) -> str:
    """The bench's clock, where ours is off; a box without a battery-backed clock starts in the past."""
    if bench is None:
        return "not compared: no bench"
    now_s = bench.time(_known(box.manifest))
    if not (box.state / "assignment.json").exists():
        _check_batch(_known(box.manifest), now_s, box.now())
    if now_s is None:
        return "not compared: installed from a card"
    offset_s = now_s - box.now()
    if abs(offset_s) < CLOCK_OFF_S or box.set_clock is None:
        return f"{offset_s:+.1f} s"
    if not box.set_clock(box.now() + offset_s):
        raise RefusedError(
            f"the clock is {-offset_s:+.0f} s off and must not be set",
            code=CLOCK_BEHIND if offset_s > 0 else CLOCK_AHEAD,
            hint="let edge-scanner-enrol.service run it, be root, or give --no-set-clock",
        )
    return f"set by {offset_s:+.0f} s"


def _check_batch(manifest: Manifest, *clocks: float | None) -> None:
    """An ended batch names nobody, whether the bench's clock says so or our own; raises RefusedError."""
    if any(now_s is not None and now_s > manifest.not_after_s for now_s in clocks):
        ended = datetime.fromtimestamp(manifest.not_after_s, UTC)
        raise RefusedError(f"batch {manifest.batch} ended on {ended:%Y-%m-%d}", code=ENDED, hint="ask for a new batch")


def _keys(box: Box, bench: Source | None) -> str:
    """The log identity key, made here, and the MQTT key, made here unless the card brought one."""
    key = open_key(box.state)
    files.own(box.state / "identity.key")
    path = box.state / "mqtt.key"
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write(box, path, (bench.key() if bench else None) or made)
    _mqtt_key(box)
    return fingerprints.words(key.public_key().public_bytes_raw())


def _name(box: Box, bench: Source | None) -> str:
    """The id and site; a box that was named keeps its name and lets the bench compare."""
    key, kept = open_key(box.state), box.state / "assignment.json"
    manifest = _known(box.manifest)
    if kept.exists():
        box.assignment = _assignment(box, files.read(kept), manifest)
        documents.answers(box.assignment, manifest, key.public_key())
    if bench is not None:
        document = bench.enrol(_request(box, key))
        given = _assignment(box, document, manifest)
        documents.answers(given, manifest, key.public_key())
        # A later word about the same box is a move to another site.
        if box.assignment is None or (
            given.device_id == box.assignment.device_id and given.issued_s > box.assignment.issued_s
        ):
            files.write(box, kept, document)
            box.assignment = given
        # The bench knows our keys from now on. The secret is that of every card that is not in a box yet.
        _forget_secret(box)
    if box.assignment is None:
        _needed(bench)
    assignment = _known(box.assignment)
    return f"{assignment.device_id} {assignment.site or '-'}"


def _assignment(box: Box, document: bytes, manifest: Manifest) -> Assignment:
    """Signed by the batch's bench, or by the fleet for a box that it moves; raises DocumentForgedError."""
    try:
        return documents.verify(Assignment, document, documents.public_key(manifest.bench_key))
    except DocumentForgedError:
        fleet = documents.public_key(_text(box.etc / "fleet.pub"))
        return documents.verify(Assignment, document, fleet)


def _certificate(box: Box, _bench: Source | None) -> str:
    """The bootstrap certificate, unless a certificate for our key that lives longer is there (a renewal came)."""
    assignment, path = _known(box.assignment), box.state / "mqtt.crt"
    ours = _mqtt_key(box).public_key()
    current = None
    with contextlib.suppress(OSError, BadDataError):
        current = certificates.read(small_files.content(path))
    # An order for a box that headquarters has given none yet brings none: the box keeps its own.
    given = certificates.read(assignment.certificate.encode()) if assignment.certificate else current
    if given is None or given.public_key() != ours:
        raise BadDataError("the certificate is not for our key", hint="provision the box again with a fresh card")
    if current is None or current.public_key() != ours or current.not_valid_after_utc < given.not_valid_after_utc:
        files.write(box, path, assignment.certificate.encode())
        current = given
    name = certificates.common_name(current)
    return f"{name} -> {current.not_valid_after_utc:%Y-%m-%d}"


def _trust(box: Box, _bench: Source | None) -> str:
    """Whom the box believes: broker, authority, and whom the log is sealed to."""
    manifest = _known(box.manifest)
    for name, content in (
        ("broker-ca.pem", manifest.broker_ca),
        ("authority-root.pem", manifest.authority_root),
        ("custodian-root.pem", manifest.custodian_root),
        ("recipients.json", manifest.recipients),
    ):
        path = box.etc / name
        # A recipient set that is there may be a newer one: it is never put back to the batch's.
        if path.exists() and (name == "recipients.json" or files.read(path) == content.encode()):
            continue
        files.write(box, path, content.encode(), mode=0o644)
    return "broker, authority, custodian, recipients"


def _settings(box: Box, _bench: Source | None) -> str:
    """The settings; a file that is this box's stays as an operator changed it, but for a move to another site."""
    assignment, manifest = _known(box.assignment), _known(box.manifest)
    said, word = box.state / _SETTLED, str(assignment.issued_s).encode()
    device = _named_in(box.settings)
    if device.get("id") == assignment.device_id:
        if files.read(said) == word if said.exists() else device.get("site", "") == assignment.site:
            return "kept"
        current = settings_file.load(box.settings)
        text = first_settings.moved(current, assignment, manifest)
        _pin(box, assignment)
        files.write(box, box.settings, text.encode(), mode=0o644)
        files.write(box, said, word)
        return f"moved to {assignment.site or '-'}"
    if box.settings.exists():
        small_files.rename(box.settings, box.settings.with_suffix(".toml.before-enrolment"))
    _pin(box, assignment)
    files.write(box, said, word)
    text = first_settings.text(assignment, manifest, etc=box.etc, state=box.state)
    files.write(box, box.settings, text.encode(), mode=0o644)
    return "written"


def _named_in(path: Path) -> dict[str, Any]:
    """The [device] table of a settings file, empty without one that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        table = tomllib.loads(small_files.content(path, settings_file.MAX_FILE_BYTES).decode()).get("device", {})
        return table if isinstance(table, dict) else {}
    return {}


def _pin(box: Box, assignment: Assignment) -> None:
    if assignment.ops_pin:
        files.write(box, box.etc / first_settings.PIN_FILE, f"{assignment.ops_pin}\n".encode())


def _request(box: Box, key: Ed25519PrivateKey) -> bytes:
    """Ask for a name; the certificate request's own subject is only a courtesy, the bench decides."""
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")]))
        .sign(_mqtt_key(box), hashes.SHA256())
    )
    identity, csr_pem = public_text(key.public_key()), csr.public_bytes(serialization.Encoding.PEM).decode()
    secret = _secret(box)
    request = Request(
        serial=box.serial,
        device_id=box.assignment.device_id if box.assignment else "",
        identity=identity,
        csr=csr_pem,
        proof=proofs.prove(secret, serial=box.serial, identity=identity, csr=csr_pem) if secret else "",
        software_version=__version__,
    )
    return documents.sign(request, key)


def _secret(box: Box) -> bytes:
    """The batch's secret from the card image, b"" without one: then the technician confirms the six words."""
    with contextlib.suppress(OSError):
        return proofs.read(small_files.content(box.etc / proofs.FILE).decode(errors="replace"))
    return b""


def _forget_secret(box: Box) -> None:
    box.mark("forgetting the secret")
    with contextlib.suppress(OSError):
        (box.etc / proofs.FILE).unlink()


def _mqtt_key(box: Box) -> ec.EllipticCurvePrivateKey:
    path = box.state / "mqtt.key"
    try:
        if path.stat().st_mode & 0o077:
            raise StorageError("a key file is readable by others", where=str(path), hint=f"chmod 600 {path}")
        key = serialization.load_pem_private_key(small_files.content(path), password=None)
    except (OSError, *certificates.UNREADABLE) as error:
        raise StorageError("the MQTT key is damaged", where=str(path), hint="delete it and provision again") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StorageError("the MQTT key is not ours", where=str(path), hint="delete it and provision again")
    return key


def _needed(bench: Source | None) -> Source:
    if bench is None:
        raise UnavailableError("no bench was heard", hint="plug box and laptop into one switch")
    return bench


def _known(value: T | None) -> T:
    if value is None:
        raise BadDataError("a step before this one did not finish")
    return value


def _text(path: Path) -> str:
    return files.read(path).decode("ascii", "replace").strip()


def _words(public: str) -> str:
    """The six words of a key in base64, by which people compare it."""
    return fingerprints.words(documents.public_key(public).public_bytes_raw())
