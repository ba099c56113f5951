"""Settings: one TOML file -> frozen `Settings`, with every error at once, each with its line and how to mend it.

`config/scanner.toml` documents every key; a test holds it to the defaults below. An unknown key is an error, so that
a misspelt one cannot be ignored silently. Secrets are paths of files, never values.

msgspec converts and bounds each value: pydantic does the same but costs a box 5 MB of memory, measured.
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from edge_scanner import protocols
from edge_scanner.core import venue_days
from edge_scanner.core.counts.estimator import CONTINUOUS_GRACE_S
from edge_scanner.core.counts.occupancy import ThresholdUnit  # noqa: TC001 (msgspec reads the hints at run time)
from edge_scanner.core.counts.privacy_budget import Budget
from edge_scanner.core.enrolment.device_id import is_device_id
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.settings_mistakes import Mistake, convert, refuse
from edge_scanner.core.text import is_web_address
from edge_scanner.device.gates import Gates, check_gates
from edge_scanner.device.hosts import is_host, loopback
from edge_scanner.device.system import credentials

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Text = Annotated[str, msgspec.Meta(max_length=200)]
_MAILBOX = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,189}"
Mailbox = Annotated[str, msgspec.Meta(pattern=rf"^{_MAILBOX}$")]
DeviceId = Annotated[str, msgspec.Meta(pattern=r"^([0-9A-HJKMNP-TV-Z]{10})?$")]
PASSIVE_GRACE_S = 90.0
"""A passive radio states presence every 30 s and learns of a departure 30 s late (radio.py)."""
DATABASE = "log.db"
"""The one database in `state_dir`."""
VIET_NAM = "Asia/Ho_Chi_Minh"
"""One zone, UTC+7, and no summer time; the default."""
_COIN_TOSS_MINUTES = 5
_COIN_TOSS_MEANT = 'set accepted = "word-is-a-coin-toss" if that is meant'
"""At the default price the word of so short a bin is right in half of the looks near a threshold."""
MAX_FILE_BYTES = 64 * 1024
"""A settings file is two kilobytes; a larger one is not ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Which box this is and where it keeps things."""

    id: DeviceId = ""
    site: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,32}$")] = ""
    name_vi: Text = ""
    name_en: Text = ""
    contact: Text = ""
    time_zone: Text = VIET_NAM
    state_dir: Text = "/var/lib/edge-scanner"
    runtime_dir: Text = "/run/edge-scanner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """What listens, and to what."""

    adapter: Text = "auto"
    mode: Literal["active", "passive"] = "active"
    protocols: tuple[str, ...] = (
        "bluezone",
        "gaen",
        "dp3t",
        "robert",
        "bluetrace_lite",
        "bluetrace",
        "herald",
    )
    read_iphones: bool = False

    @property
    def grace_s(self) -> float:
        """The longest silence of a device that is still here, as the radio's mode has it."""
        return PASSIVE_GRACE_S if self.mode == "passive" else CONTINUOUS_GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The sealed log."""

    retention_days: Annotated[int, msgspec.Meta(ge=1, le=21)] = 14
    recipients: Text = "/etc/edge-scanner/recipients.json"
    authority_root: Text = "/etc/edge-scanner/authority-root.pem"
    custodian_root: Text = "/etc/edge-scanner/custodian-root.pem"

    @property
    def kept(self) -> bool:
        """Whether this box is meant to keep a log: without an authority it only counts."""
        return bool(self.recipients)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How counts are made private; `edge-scanner privacy` prints the price."""

    day_epsilon: Annotated[float, msgspec.Meta(gt=0, le=20)] = 2.6
    display_bin_minutes: Literal[5, 10, 15, 30] = 30
    broker_bin_minutes: Literal[15, 30, 60, 240] = 60
    tracing_figures: bool = False
    accepted: Literal["", "word-is-a-coin-toss"] = ""

    @property
    def budget(self) -> Budget:
        """What screen and broker get together."""
        return Budget(
            day_epsilon=self.day_epsilon,
            display_bin_s=self.display_bin_minutes * 60,
            broker_bin_s=self.broker_bin_minutes * 60,
            tracing_figures=self.tracing_figures,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mqtt:
    """The central broker; with an empty host nothing is sent and nothing waits."""

    host: Text = ""
    port: Port = 8883
    tls: bool = True
    ca: Text = "/etc/edge-scanner/broker-ca.pem"
    certificate: Text = "/var/lib/edge-scanner/mqtt.crt"
    key: Text = "/var/lib/edge-scanner/mqtt.key"
    protocol: Literal["auto", "5", "3.1.1"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """What a health authority may ask for; the box enforces it whatever a request says."""

    enabled: bool = True
    max_hours: Annotated[int, msgspec.Meta(ge=1, le=24)] = 24
    requests_per_day: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Kiosk:
    """The venue's screen."""

    host: Text = "127.0.0.1"
    port: Port = 8080
    lan: bool = False
    tls_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    ops_pin_file: Text = "/etc/edge-scanner/ops-pin"
    moderate_from: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 20
    busy_from: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 60
    word: ThresholdUnit = "phones"
    spoken: bool = False
    learn_baseline: bool = True
    theme: Literal["auto", "day", "night"] = "auto"
    opening: tuple[Annotated[str, msgspec.Meta(max_length=11)], ...] = ()
    holidays: tuple[Annotated[str, msgspec.Meta(max_length=80)], ...] = ()
    staff: Annotated[str, msgspec.Meta(max_length=40)] = ""
    operator_dir: Text = "/var/lib/edge-scanner-kiosk"
    api_origin: Text = ""
    app_name: Text = ""
    app_url: Text = ""
    app_vi: Text = ""
    app_en: Text = ""
    notice_url: Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalMqtt:
    """The venue's own broker (Home Assistant, Node-RED), which gets released figures; with an empty host, nothing."""

    host: Text = ""
    port: Port = 8883
    tls: bool = True
    ca: Text = "/etc/ssl/certs/ca-certificates.crt"
    username: Text = ""
    password_file: Text = ""
    discovery_prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = "homeassistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """When too many are here; 0 is no alarm."""

    limit: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    webhook: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S{1,500})?$")] = ""
    mail_relay: Text = ""
    mail_port: Port = 25
    mail_from: Annotated[str, msgspec.Meta(pattern=rf"^({_MAILBOX})?$")] = ""
    mail_to: Annotated[tuple[Mailbox, ...], msgspec.Meta(max_length=10)] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole file."""

    device: Device = field(default_factory=Device)
    radio: Radio = field(default_factory=Radio)
    log: Log = field(default_factory=Log)
    counts: Counts = field(default_factory=Counts)
    mqtt: Mqtt = field(default_factory=Mqtt)
    pull: Pull = field(default_factory=Pull)
    kiosk: Kiosk = field(default_factory=Kiosk)
    local_mqtt: LocalMqtt = field(default_factory=LocalMqtt)
    alarm: Alarm = field(default_factory=Alarm)
    gates: Gates = field(default_factory=Gates)


def load(path: Path) -> Settings:
    """Settings from a TOML file; raises ConfigurationError that lists every mistake, one a line.

    An MQTT key or a PIN's hash among the unit's credentials takes the place of the file's (credentials.py).
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the settings: {error.strerror}", where=str(path), hint="give --config a readable TOML file"
        ) from error
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationError("the settings are larger than 64 KiB", where=str(path), hint="is this the right file?")
    settings = parse(text, name=str(path))
    if key := credentials.path(credentials.KEY):
        settings = replace(settings, mqtt=replace(settings.mqtt, key=key))
    if pin := credentials.path(credentials.PIN):
        settings = replace(settings, kiosk=replace(settings.kiosk, ops_pin_file=pin))
    return settings


def parse(text: bytes, *, name: str, base: Settings | None = None) -> Settings:
    """Settings from TOML text; `name` is what error lines call the file, `base` what holds where the text is silent."""
    settings, mistakes = convert(document(text, name=name), base or Settings())
    refuse(mistakes, _contradictions(settings), text, where=name)
    return settings


def document(text: bytes, *, name: str) -> dict[str, Any]:
    """The tables of TOML text; raises ConfigurationError."""
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"not UTF-8 at byte {error.start}", where=name, hint="save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:  # the parser's own, a number without end, lists in lists in lists
        raise ConfigurationError(f"not TOML: {error}", where=name, hint="compare with config/scanner.toml") from error


def _contradictions(settings: Settings) -> Iterator[Mistake]:
    """Rules between keys; each names the key to change and those beside it, which are wrong as well if it is not."""
    radio, counts, mqtt, kiosk = settings.radio, settings.counts, settings.mqtt, settings.kiosk
    try:
        zone(settings.device.time_zone)
    except ConfigurationError as error:
        yield Mistake(table="device", key="time_zone", what=str(error))
    try:
        protocols.load(radio.protocols)
    except ConfigurationError as error:
        yield Mistake(table="radio", key="protocols", what=str(error))
    if not radio.protocols:
        yield Mistake(table="radio", key="protocols", what="empty", hint="name at least one, e.g. bluezone")
    if len(set(radio.protocols)) < len(radio.protocols):
        yield Mistake(table="radio", key="protocols", what="names one twice, which would count its phones twice")
    if counts.broker_bin_minutes % counts.display_bin_minutes:
        what = "must divide broker_bin_minutes, whose figures are made of the screen's"
        yield Mistake(table="counts", key="display_bin_minutes", beside=("broker_bin_minutes",), what=what)
    if counts.display_bin_minutes == _COIN_TOSS_MINUTES and not counts.accepted:
        what = "makes the word a coin toss near a threshold"
        yield Mistake(table="counts", key="display_bin_minutes", beside=("accepted",), what=what, hint=_COIN_TOSS_MEANT)
    yield from _names(settings)
    yield from _lists(settings)
    if mqtt.host and not mqtt.tls and not loopback(mqtt.host):
        what = "false is for a broker on this machine only"
        yield Mistake(table="mqtt", key="tls", beside=("host",), what=what, hint="set tls = true")
    if kiosk.busy_from <= kiosk.moderate_from:
        beside = ("moderate_from",)
        yield Mistake(table="kiosk", key="busy_from", beside=beside, what="must be larger than moderate_from")
    if not kiosk.lan and not loopback(kiosk.host):
        what = "shows the page beyond this box"
        yield Mistake(table="kiosk", key="host", beside=("lan",), what=what, hint="set lan = true if that is meant")


def _lists(settings: Settings) -> Iterator[Mistake]:
    """Opening hours, holidays, gates and web addresses that can be none, and one port for two listeners."""
    kiosk = settings.kiosk
    if kiosk.tls_port == kiosk.port:
        yield Mistake(table="kiosk", key="tls_port", beside=("port",), what="must differ from port")
    days = (("opening", venue_days.check_opening), ("holidays", venue_days.check_holidays))
    for table, key, check in (*(("kiosk", *one) for one in days), ("gates", "others", check_gates)):
        try:
            check(getattr(getattr(settings, table), key))
        except ConfigurationError as error:
            yield Mistake(table=table, key=key, what=error.what, hint=error.hint)
    for key, address in (("notice_url", kiosk.notice_url), ("app_url", kiosk.app_url)):
        if address and not is_web_address(address):
            yield Mistake(table="kiosk", key=key, what="no address that the page can show", hint="begin with https://")


def zone(name: str) -> tzinfo:
    """The time zone of that name; raises ConfigurationError for one that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        # The default must work on a machine without the package that holds the zones.
        if name == VIET_NAM:
            return timezone(timedelta(hours=7), "ICT")
    known = sorted(available_timezones())
    if not known:
        raise ConfigurationError("no time zones are installed", hint="run: apt-get install tzdata")
    match = difflib.get_close_matches(name, known, n=1)
    raise ConfigurationError(
        f"{name!r} is not a time zone",
        hint=f"did you mean {match[0]}?" if match else "timedatectl list-timezones lists them",
    )


def utc_offset_s(name: str, at_s: float) -> int:
    """How far a zone's clock is ahead of UTC at a moment, seconds."""
    offset = datetime.fromtimestamp(at_s, zone(name)).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def _names(settings: Settings) -> Iterator[Mistake]:
    """An id or a host name that can be none."""
    if settings.device.id and not is_device_id(settings.device.id):
        what = f"{settings.device.id} has a wrong check character"
        yield Mistake(table="device", key="id", what=what, hint="read the label again")
    local, alarm = settings.local_mqtt, settings.alarm
    hosts = (("mqtt", "host", settings.mqtt.host), ("local_mqtt", "host", local.host))
    for table, key, host in (*hosts, ("alarm", "mail_relay", alarm.mail_relay)):
        if host and not is_host(host):
            what = f"{host!r} is not a name or address"
            yield Mistake(table=table, key=key, what=what, hint="write it without scheme, port or spaces")
    for key in ("mail_from", "mail_to") if alarm.mail_relay else ():
        if not getattr(alarm, key):
            what = "missing beside mail_relay"
            yield Mistake(table="alarm", key=key, beside=("mail_relay",), what=what, hint="name a mail address")
    if local.username and not local.password_file:
        beside = ("username",)
        what = "missing beside username"
        yield Mistake(table="local_mqtt", key="password_file", beside=beside, what=what, hint="name a file with it")


def kiosk_host(kiosk: Kiosk, host: str | None) -> str:
    """Where the page is served: the settings' address, or `host` given instead, under the same rule."""
    if host and not kiosk.lan and not loopback(host):
        hint = "set lan = true under [kiosk] if that is meant"
        raise ConfigurationError("shows the page beyond this box", where=f"--host {host}", hint=hint)
    return host or kiosk.host
