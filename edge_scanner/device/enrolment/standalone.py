"""A box on its own: the questions that its settings need, in both languages, and what is still missing afterwards.

Pure: `commands/setup.py` asks and writes. An answer is right when the settings file that it gives is, so that the rules
stand in settings.py alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_scanner.core.diagnostics.words import Words
from edge_scanner.core.errors import ConfigurationError
from edge_scanner.core.text import drawn
from edge_scanner.device import settings as parser
from edge_scanner.device.enrolment.settings_text import Key, render
from edge_scanner.device.hosts import loopback
from edge_scanner.device.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN_PORT, TLS_PORT = 1883, 8883
"""A broker on this machine is spoken to in the clear, any other by TLS."""
_BUSY_FACTOR = 3
"""Where only the lower threshold was given."""
_YES, _NO = {"y", "yes", "c", "co", "có"}, {"n", "no", "k", "khong", "không"}
_NOBODY = {"", "-", "none", "không", "khong"}
_ANY = "0.0.0.0"  # noqa: S104 (asked for: the page in the venue's network)
HEAD = "Written by edge-scanner setup. Every key: /usr/share/doc/edge-scanner/scanner.toml"
ALWAYS: tuple[Key, ...] = (
    ("device", "name_vi"),
    ("device", "name_en"),
    ("device", "time_zone"),
    ("mqtt", "host"),
    ("kiosk", "moderate_from"),
    ("kiosk", "busy_from"),
    ("kiosk", "lan"),
)
NOTES: dict[Key, str] = {
    ("log", "recipients"): "Empty: no health authority. The box keeps no log and says so.",
    ("mqtt", "host"): "The central broker. Empty: counts stay on this box.",
    ("kiosk", "lan"): "Whether other devices in this network see the page.",
    ("kiosk", "moderate_from"): "Devices from which the screen says moderate and busy.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`option` names it on the command line; `now` is the answer that the settings have, `take` puts one in."""

    option: str
    words: Words
    now: Callable[[Settings], str]
    take: Callable[[Settings, str], Settings]


def accept(settings: Settings, question: Question, text: str) -> Settings:
    """The settings with an answer; raises ConfigurationError, one line, when it cannot be one."""
    answered = question.take(settings, text.strip())
    try:
        parser.parse(render(answered).encode(), name="")
    except ConfigurationError as error:
        first = str(error).partition("\n")[0].rpartition("] ")[2]
        what, _, hint = first.removeprefix(f"{question.option}: ").partition("; ")
        raise ConfigurationError(what, hint=hint) from None
    return answered


def fresh(*, name: str, time_zone: str, etc: str, state: str, runtime: str, operator: str) -> Settings:
    """What to begin with on a box that has no settings: names, zone, folders, no log without an authority."""
    usual = Settings()
    return replace(
        usual,
        device=replace(
            usual.device, name_vi=name, name_en=name, time_zone=time_zone, state_dir=state, runtime_dir=runtime
        ),
        log=replace(usual.log, recipients="", authority_root=""),
        mqtt=replace(usual.mqtt, ca=f"{etc}/broker-ca.pem", certificate=f"{state}/mqtt.crt", key=f"{state}/mqtt.key"),
        kiosk=replace(usual.kiosk, ops_pin_file=f"{etc}/ops-pin", operator_dir=operator),
    )


def sealed(settings: Settings, *, etc: str) -> Settings:
    """With the log that a box keeps whose authority is pinned in `etc` already."""
    log = replace(
        settings.log,
        recipients=f"{etc}/recipients.json",
        authority_root=f"{etc}/authority-root.pem",
        custodian_root=f"{etc}/custodian-root.pem",
    )
    return replace(settings, log=log)


def text(settings: Settings, *, name: str) -> str:
    """The settings file, read back by the settings' own parser; raises ConfigurationError if it would say otherwise."""
    written = render(settings, head=HEAD, always=ALWAYS, notes=NOTES)
    if parser.parse(written.encode(), name=name) != settings:
        raise ConfigurationError("the settings cannot be written as they are", where=name)
    return written


def broker_text(settings: Settings) -> str:
    """Host and port as they are asked for; empty without a broker."""
    host, port = settings.mqtt.host, settings.mqtt.port
    return f"{f'[{host}]' if ':' in host else host}:{port}" if host else ""


def _name_vi(settings: Settings, text: str) -> Settings:
    """The English name follows as long as it is the same."""
    device = settings.device
    english = _needed(text) if device.name_en == device.name_vi else device.name_en
    return replace(settings, device=replace(device, name_vi=_needed(text), name_en=english))


def _name_en(settings: Settings, text: str) -> Settings:
    return replace(settings, device=replace(settings.device, name_en=_needed(text)))


def _needed(text: str) -> str:
    if not text or not drawn(text):
        raise ConfigurationError("a name is needed, of characters that can be seen")
    return text


def _zone(settings: Settings, text: str) -> Settings:
    return replace(settings, device=replace(settings.device, time_zone=text))


def _moderate(settings: Settings, text: str) -> Settings:
    count = _number(text)
    busy = settings.kiosk.busy_from
    kiosk = replace(settings.kiosk, moderate_from=count, busy_from=busy if busy > count else count * _BUSY_FACTOR)
    return replace(settings, kiosk=kiosk)


def _busy(settings: Settings, text: str) -> Settings:
    count = _number(text)
    if count <= settings.kiosk.moderate_from:
        raise ConfigurationError(f"more than {settings.kiosk.moderate_from}, from which the screen says moderate")
    return replace(settings, kiosk=replace(settings.kiosk, busy_from=count))


def _lan(settings: Settings, text: str) -> Settings:
    if text.lower() not in _YES | _NO:
        raise ConfigurationError("answer y or n (c hoặc k)")
    wanted = text.lower() in _YES
    return replace(settings, kiosk=replace(settings.kiosk, lan=wanted, host=_ANY if wanted else "127.0.0.1"))


def _broker(settings: Settings, text: str) -> Settings:
    if text.lower() in _NOBODY:
        return replace(settings, mqtt=replace(settings.mqtt, host="", port=TLS_PORT, tls=True))
    host, port = _host_and_port(text)
    plain = loopback(host) and port in {None, PLAIN_PORT}
    mqtt = replace(settings.mqtt, host=host, port=port or (PLAIN_PORT if plain else TLS_PORT), tls=not plain)
    return replace(settings, mqtt=mqtt)


def _host_and_port(text: str) -> tuple[str, int | None]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        host, port = (host, port.removeprefix(":")) if closed else ("", "")
    else:
        host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", "")
    if not host or any(character.isspace() or character in "/@[]" for character in host) or "://" in text:
        raise ConfigurationError("a host name or address, e.g. broker.example.vn or 10.0.0.5:8883")
    return host, _number(port) if port else None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ConfigurationError("a whole number, e.g. 20")
    return int(text[:9])


QUESTIONS = (
    Question(
        option="name_vi",
        words=Words(vi="Tên địa điểm (tiếng Việt)", en="The venue's name in Vietnamese"),
        now=lambda settings: settings.device.name_vi,
        take=_name_vi,
    ),
    Question(
        option="name_en",
        words=Words(vi="Tên địa điểm (tiếng Anh)", en="The venue's name in English"),
        now=lambda settings: settings.device.name_en,
        take=_name_en,
    ),
    Question(
        option="time_zone",
        words=Words(vi="Múi giờ", en="Time zone"),
        now=lambda settings: settings.device.time_zone,
        take=_zone,
    ),
    Question(
        option="moderate_from",
        words=Words(
            vi='Từ bao nhiêu điện thoại thì màn hình ghi "Vừa phải"',
            en='From how many devices does the screen say "Moderate"',
        ),
        now=lambda settings: str(settings.kiosk.moderate_from),
        take=_moderate,
    ),
    Question(
        option="busy_from",
        words=Words(
            vi='Từ bao nhiêu điện thoại thì màn hình ghi "Đông"', en='From how many devices does the screen say "Busy"'
        ),
        now=lambda settings: str(settings.kiosk.busy_from),
        take=_busy,
    ),
    Question(
        option="lan",
        words=Words(
            vi="Cho các máy khác trong mạng này xem trang (c/k)",
            en="Show the page to other devices in this network (y/n)",
        ),
        now=lambda settings: "y" if settings.kiosk.lan else "n",
        take=_lan,
    ),
    Question(
        option="broker",
        words=Words(
            vi='Máy chủ MQTT, ví dụ broker.example.vn:8883; "-" là không có',
            en='MQTT broker, e.g. broker.example.vn:8883; "-" is none',
        ),
        now=lambda settings: broker_text(settings) or "-",
        take=_broker,
    ),
)


def missing(settings: Settings, is_there: Callable[[str], bool], *, adapter: bool) -> Iterator[Words]:
    """What somebody must still bring before the box does what its settings say."""
    if not adapter:
        yield Words(vi="Chưa thấy bộ thu Bluetooth trên thiết bị này.", en="No Bluetooth adapter is on this machine.")
    if settings.mqtt.host and settings.mqtt.tls:
        files = (
            (settings.mqtt.ca, Words(vi="chứng chỉ CA của máy chủ MQTT", en="the MQTT broker's CA certificate")),
            (settings.mqtt.certificate, Words(vi="chứng chỉ của thiết bị", en="this box's certificate")),
            (settings.mqtt.key, Words(vi="khoá của chứng chỉ đó, quyền 600", en="that certificate's key, mode 600")),
        )
        for path, what in files:
            if not is_there(path):
                yield Words(
                    vi=f"{path}: {what.vi} (PEM). Hãy chép vào trước bước tiếp theo.",
                    en=f"{path}: {what.en} (PEM). Put it there before the next step.",
                )
    if not settings.kiosk.notice_url:
        yield Words(
            vi="[kiosk] notice_url: trang thông báo về quyền riêng tư; thông báo treo tường cần địa chỉ này.",
            en="[kiosk] notice_url: the page of your privacy notice; the notice for the wall needs its address.",
        )


def facts(settings: Settings) -> Iterator[Words]:
    """What this box does not do, so that nobody believes it does."""
    if not settings.log.kept:
        yield Words(
            vi="Không có cơ quan y tế: thiết bị chỉ đếm, không ghi nhật ký nào.",
            en="No health authority: the box counts and keeps no log.",
        )
    if not settings.mqtt.host:
        yield Words(
            vi="Không có máy chủ: số liệu chỉ nằm trên thiết bị và các trang của nó.",
            en="No broker: counts stay on this box and its page.",
        )
