"""COMMAND edge-scanner setup: a box on its own, from a few questions to a settings file, an identity and a PIN.

Questions go to stderr and the result to stdout. Nothing is written before the last answer; what exists is replaced only
when somebody says so, and kept beside the new. Started by root it leaves the files to the service's users.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import pwd
import secrets
import socket
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files, terminal
from edge_scanner.core import operator_pin as pins
from edge_scanner.core.errors import ConfigurationError, RefusedError, UnavailableError
from edge_scanner.device import operator_settings
from edge_scanner.device import settings as parser
from edge_scanner.device.enrolment import standalone
from edge_scanner.device.enrolment.identity import open_identity
from edge_scanner.device.settings import VIET_NAM, Settings
from edge_scanner.device.storage import files
from edge_scanner.device.system.pin_file import SERVICE_USER
from edge_scanner.language import errors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_scanner.core.diagnostics.words import Language, Words
    from edge_scanner.device.enrolment.standalone import Question

_BLUETOOTH = Path("/sys/class/bluetooth")
_NO_ZONE = {"Etc/UTC", "UTC", "Universal", "Etc/Universal"}
"""A machine whose zone nobody has set."""
_AFTER = (
    "sudo systemctl disable --now edge-scanner-enrol.service",
    "sudo systemctl restart edge-scanner.service edge-scanner-kiosk.service",
    "sudo edge-scanner doctor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line gives: `answers` by a question's option, the rest as in `setup_cli.py`."""

    answers: Mapping[str, str] = field(default_factory=dict)
    pin: str | None = None
    folder: Path | None = None
    yes: bool = False
    replace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the files go and whom they belong to; no `user`: whoever runs this."""

    etc: Path = Path("/etc/edge-scanner")
    state: Path = Path("/var/lib/edge-scanner")
    runtime: Path = Path("/run/edge-scanner")
    operator: Path = Path("/var/lib/edge-scanner-kiosk")
    user: str = SERVICE_USER

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.etc / "scanner.toml"


def run_setup(
    options: Options, *, language: Language = "vi", as_json: bool = False, places: Places | None = None
) -> None:
    """Ask, write, and say what is missing and what comes next.

    Raises ConfigurationError for an option that cannot be, RefusedError where nothing may be written, UnavailableError
    when the answers end, StorageError.
    """
    where = places or _places(options.folder)
    _may_write(where)
    settings = _answers(_begin(where, options, language), options, language)
    pin, made = _pin(Path(settings.kiosk.ops_pin_file), options, language)
    settings = _write(where, settings, pin)
    _tell(where, settings, pin if made else None, language=language, as_json=as_json)


def _places(folder: Path | None) -> Places:
    if folder is None:
        return Places()
    folder = folder.absolute()
    return Places(etc=folder, state=folder / "state", runtime=folder / "run", operator=folder / "operator", user="")


def _may_write(where: Places) -> None:
    for folder in (where.etc, where.state):
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            hint = "run: sudo edge-scanner setup; or try it in a folder of your own: edge-scanner setup --folder box"
            raise RefusedError("this user may not write here", where=str(folder), code="not_allowed", hint=hint)


def _begin(where: Places, options: Options, language: Language) -> Settings:
    """The settings to start from: those that exist, if they may be changed, or fresh ones."""
    settings = standalone.fresh(
        name=platform.node() or "Edge Scanner",
        time_zone=_zone(),
        etc=str(where.etc),
        state=str(where.state),
        runtime=str(where.runtime),
        operator=str(where.operator),
    )
    if (where.etc / "recipients.json").exists():
        settings = standalone.sealed(settings, etc=str(where.etc))
    wrong = False
    if where.config.exists():
        try:
            settings = parser.load(where.config)
        except ConfigurationError:
            wrong = True
        with contextlib.suppress(ConfigurationError):
            settings = operator_settings.over(settings)
    if Path(settings.device.state_dir, "assignment.json").exists():
        hint = "its settings come from the bench; edit scanner.toml for the rest"
        raise RefusedError("this box belongs to a fleet", where=settings.device.state_dir, code="enrolled", hint=hint)
    if where.config.exists() and not options.replace:
        hint = "give --replace to change them; the old file is kept"
        if options.yes or not _agreed(where.config, language):
            raise RefusedError("there are settings already", where=str(where.config), code="exists", hint=hint)
    if wrong:
        _say(_text(language, "Tệp cấu hình cũ có lỗi: bắt đầu lại.", "The old settings are wrong: beginning anew."))
    return settings


def _answers(settings: Settings, options: Options, language: Language) -> Settings:
    """Each question once, or until its answer is right; an option is an answer that is not asked for."""
    for question in standalone.QUESTIONS:
        if question.option in options.answers:
            try:
                settings = standalone.accept(settings, question, options.answers[question.option])
            except ConfigurationError as error:
                place = f"--{question.option.replace('_', '-')}"
                raise ConfigurationError(error.what, where=place, hint=error.hint) from None
        elif not options.yes:
            settings = _ask(settings, question, language)
    return settings


def _ask(settings: Settings, question: Question, language: Language) -> Settings:
    while True:
        default = question.now(settings)
        text = _line(f"{question.words.of(language)} [{default}]: ") or default
        try:
            return standalone.accept(settings, question, text)
        except ConfigurationError as error:
            _say(f"  {errors.line(error, language)}")


def _pin(file: Path, options: Options, language: Language) -> tuple[str | None, bool]:
    """The new PIN, and whether it was made here and must be shown; None keeps the one that is there."""
    kept = file.exists()
    unasked = (None, False) if kept else (f"{secrets.randbelow(10**6):06}", True)
    if options.pin is not None:
        pins.hash_pin(options.pin, bytes(pins.SALT_BYTES))
        return options.pin, False
    if options.yes:
        return unasked
    vi = "để trống: giữ mã cũ" if kept else "để trống: tự tạo"
    en = "empty: keep the old one" if kept else "empty: make one"
    words = _text(language, f"Mã PIN cho /ops, 6 đến 12 chữ số [{vi}]: ", f"PIN for /ops, 6 to 12 digits [{en}]: ")
    while text := _line(words, hidden=True):
        try:
            pins.hash_pin(text, bytes(pins.SALT_BYTES))
        except ConfigurationError as error:
            _say(f"  {errors.line(error, language)}")
            continue
        if _line(_text(language, "Nhập lại: ", "Repeat: "), hidden=True) == text:
            return text, False
        _say(_text(language, "  hai lần nhập khác nhau", "  the two are not the same"))
    return unasked


def _write(where: Places, settings: Settings, pin: str | None) -> Settings:
    """Identity, PIN, and last the settings, whose presence says that all is there; gives them with the box's id."""
    state = Path(settings.device.state_dir)
    try:
        for folder, mode in ((where.etc, 0o755), (state, 0o700)):
            if not folder.exists():
                folder.mkdir(parents=True, mode=mode)
                _give(folder, where.user)
        if not where.user:
            where.runtime.mkdir(exist_ok=True)
            where.operator.mkdir(exist_ok=True)
        device_id = open_identity(state, configured_id=settings.device.id).device_id
        for name in ("device-id", "identity.key"):
            _give(state / name, where.user)
        settings = replace(settings, device=replace(settings.device, id=device_id))
        text = standalone.text(settings, name=str(where.config))
        if pin is not None:
            line = pins.hash_pin(pin, secrets.token_bytes(pins.SALT_BYTES)) + "\n"
            _replace(Path(settings.kiosk.ops_pin_file), line.encode(), mode=0o600, user=where.user)
        if where.config.exists():
            old = where.config.with_name("scanner.toml.before-setup")
            _replace(old, small_files.content(where.config), mode=0o644, user=where.user)
        _replace(where.config, text.encode(), mode=0o644, user=where.user)
        # What the operator set on the page was the default of each answer.
        Path(settings.kiosk.operator_dir or where.operator, operator_settings.FILE).unlink(missing_ok=True)
    except OSError as error:
        raise files.translate(error, Path(error.filename or where.etc), what="the box's files") from error
    return settings


def _replace(path: Path, content: bytes, *, mode: int, user: str) -> None:
    """Whole or not at all, its owner's before it has its name; raises OSError."""
    small_files.write(path, content, mode=mode, owner=_owner(user))


def _give(path: Path, user: str) -> None:
    """Root's files become the service user's, where there is one; no link is followed."""
    owner = _owner(user)
    if owner is not None and path.exists():
        small_files.own(path, owner)


def _owner(user: str) -> small_files.Owner | None:
    if os.geteuid() == 0 and user:
        with contextlib.suppress(KeyError):
            owner = pwd.getpwnam(user)
            return owner.pw_uid, owner.pw_gid
    return None


def _tell(where: Places, settings: Settings, pin: str | None, *, language: Language = "vi", as_json: bool) -> None:
    """The result: what was made, what is missing, what comes next."""
    pages, device_id = _pages(settings), settings.device.id
    gaps = tuple(standalone.missing(settings, lambda path: Path(path).exists(), adapter=any(_BLUETOOTH.glob("hci*"))))
    facts = tuple(standalone.facts(settings))
    steps = _AFTER if where.user else _by_hand(where)
    if as_json:
        document = {
            "v": 1,
            "settings": str(where.config),
            "device": device_id,
            "pages": pages,
            "pin": pin,
            "missing": [{"vi": words.vi, "en": words.en} for words in gaps],
            "facts": [{"vi": words.vi, "en": words.en} for words in facts],
            "next": list(steps),
        }
        terminal.say_json(document)
        return
    written = _text(language, "đã ghi cho hộp", "written for box")
    lines = [
        f"{where.config}: {written} {device_id}",
        *(f"  {page}" for page in pages),
    ]
    if pin is not None:
        lines.append(_text(language, f"Mã PIN cho /ops: {pin}", f"PIN for /ops: {pin}"))
    lines += _section(_text(language, "Cần biết:", "Good to know:"), facts, language)
    lines += _section(_text(language, "Còn thiếu:", "Still missing:"), gaps, language)
    lines += [_text(language, "Tiếp theo:", "Next:"), *(f"  {step}" for step in steps)]
    for line in lines:
        terminal.say(line)


def _section(title: str, words: tuple[Words, ...], language: Language) -> list[str]:
    return [title, *(f"  {one.of(language)}" for one in words)] if words else []


def _by_hand(where: Places) -> tuple[str, ...]:
    return (f"edge-scanner run --config {where.config}", f"edge-scanner kiosk --config {where.config}")


def _pages(settings: Settings) -> list[str]:
    port = settings.kiosk.port
    pages = [f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/ops"]
    if settings.kiosk.lan and (address := _own_address()):
        pages.append(f"http://{address}:{port}/")
    return pages


def _own_address() -> str:
    """The machine's address in its network, "" without one; a datagram socket that connects sends nothing."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""


def _zone() -> str:
    """The machine's time zone, where somebody has set one; else Viet Nam's."""
    with contextlib.suppress(OSError, ValueError):
        name = str(Path("/etc/localtime").resolve().relative_to("/usr/share/zoneinfo"))
        if name not in _NO_ZONE:
            parser.zone(name)
            return name
    return VIET_NAM


def _agreed(config: Path, language: Language) -> bool:
    words = _text(language, f"Đã có {config}. Thay đổi? (c/k) [k]: ", f"{config} exists. Change it? (y/n) [n]: ")
    return _line(words).lower() in {"y", "yes", "c", "co", "có"}


def _line(words: str, *, hidden: bool = False) -> str:
    """One answer; a PIN is not shown on a terminal. Raises UnavailableError when nobody answers any more."""
    if hidden and sys.stdin.isatty():
        try:
            return getpass.getpass(words, stream=sys.stderr).strip()
        except EOFError:
            text = ""
    else:
        terminal.say(words, stderr=True, end="")
        text = sys.stdin.readline()
    if not text:
        raise UnavailableError("nobody answers; nothing was written", hint="give --yes to take the defaults")
    return text.strip()


def _say(text: str) -> None:
    terminal.say(text, stderr=True)


def _text(language: Language, vi: str, en: str) -> str:
    return vi if language == "vi" else en
