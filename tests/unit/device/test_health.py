"""The box about itself: each light says what is true, with the code of what to do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.counts import estimator
from edge_scanner.core.diagnostics.advice import LIGHTS
from edge_scanner.core.diagnostics.codes import PUBACKS, Code
from edge_scanner.core.health import Light
from edge_scanner.core.log.writer import LogState, SealedLog
from edge_scanner.core.model import Advert, ClockQuality, ClockReading
from edge_scanner.device.central.outbox import Deliveries
from edge_scanner.device.health import BoxState, examine
from edge_scanner.device.radio.recovery import Fault
from edge_scanner.mqtt.brokerlink import BrokerState, Trouble
from provisioning import certificates
from tests.support.recipients import fill, parties

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = time.time()


@dataclass
class Counters:
    """What a source counted."""

    recoveries: dict[str, int] = field(default_factory=lambda: {"scanner": 2})


@dataclass
class Source:
    """A source in any state."""

    listening: bool = True
    punctual: bool = True
    fault: object | None = None
    counters: Counters = field(default_factory=Counters)


def clock(quality: ClockQuality = ClockQuality.NTP) -> ClockReading:
    """Now."""
    return ClockReading(utc_s=NOW_S, monotonic_s=1000.0, quality=quality)


def box(folder: Path, *, days: int = 84, **changes: object) -> BoxState:
    """A healthy box, changed."""
    found = parties(NOW_S, days=days).recipients
    state = BoxState(
        log=SealedLog(
            device="K7MP2R9CX4",
            identity=Ed25519PrivateKey.generate(),
            boot_number=1,
            recipients=found,
            state=LogState(),
            clock=clock(),
            entropy=fill,
        ),
        recipients=found,
        retention_days=14,
        state_dir=folder,
        source=Source(),
        broker=BrokerState(connected=True),
        last_contact_s=NOW_S,
    )
    for name, value in changes.items():
        setattr(state, name, value)
    return state


def light(state: BoxState, name: str, quality: ClockQuality = ClockQuality.NTP) -> tuple[Light, str]:
    """One light and its code."""
    found = examine(state, clock(quality)).lights[name]
    return found.light, found.code


def test_healthy_box_is_all_green(tmp_path: Path) -> None:
    """Everything well: every light that knows is OK, and the totals are those of the parts."""
    health = examine(box(tmp_path), clock())

    assert {name: one.light for name, one in health.lights.items() if one.light is not Light.OK} == {
        "certificate": Light.UNKNOWN,
        "counts": Light.UNKNOWN,
    }
    assert health.recoveries == {"scanner": 2}
    assert health.rss_mb > 10


def test_each_light_stands_in_the_one_table_of_lights(tmp_path: Path) -> None:
    """What the daemon shows and what the operator's page, the metrics and the guide name are the same lights."""
    assert list(examine(box(tmp_path), clock()).lights) == list(LIGHTS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, (Light.UNKNOWN, Code.RADIO_STARTING)),
        (Source(listening=False, fault="no-bus"), (Light.FAIL, Code.RADIO_STARTING)),
    ],
)
def test_radio_light(tmp_path: Path, source: Source | None, expected: tuple[Light, str]) -> None:
    """A radio that has not begun, one with a fault from the start, each by what the adapter says."""
    assert light(box(tmp_path, source=source), "radio") == expected


def test_log_light(tmp_path: Path) -> None:
    """No recipients, recipients that end soon, and recipients that have ended."""
    expired = box(tmp_path, days=1)
    assert expired.log is not None
    expired.log.stopped = "recipients-expired"

    assert light(box(tmp_path, log=None), "log") == (Light.FAIL, Code.LOG_NO_RECIPIENTS)
    assert light(box(tmp_path, days=10), "log") == (Light.WARN, Code.LOG_RECIPIENTS_END_SOON)
    assert light(expired, "log") == (Light.FAIL, Code.LOG_RECIPIENTS_EXPIRED)


def test_the_log_light_reminds_from_four_weeks_before_the_last_weekly_key_begins(tmp_path: Path) -> None:
    """The last week's key begins a week before the set ends; a minute before that it is green."""
    state = box(tmp_path, days=84)
    assert state.recipients is not None
    begins_s = state.recipients.not_after_s - 5 * 7 * 86400

    lights = [examine(state, replace(clock(), utc_s=begins_s + s)).lights["log"] for s in (-60, 60)]

    assert [(one.light, one.code) for one in lights] == [
        (Light.OK, Code.WELL),
        (Light.WARN, Code.LOG_RECIPIENTS_END_SOON),
    ]


def test_box_without_an_authority_is_not_ill(tmp_path: Path) -> None:
    """A box that is meant to keep no log says so with a code of its own, and no light turns red for it."""
    assert light(box(tmp_path, log=None, keeps_log=False), "log") == (Light.UNKNOWN, Code.LOG_NOT_CONFIGURED)


@pytest.mark.parametrize(
    ("state", "contact_s", "expected"),
    [
        (None, None, (Light.UNKNOWN, Code.BROKER_NOT_CONFIGURED)),
        (BrokerState(connected=False, trouble=Trouble.UNREACHABLE), NOW_S - 60, (Light.WARN, Trouble.UNREACHABLE)),
        (BrokerState(connected=False, trouble=Trouble.LOST), NOW_S - 90_000, (Light.FAIL, Trouble.LOST)),
    ],
    ids=["no broker", "a minute without", "a day without"],
)
def test_broker_light(
    tmp_path: Path, state: BrokerState | None, contact_s: float | None, expected: tuple[Light, str]
) -> None:
    """Offline is a warning, for a day a failure; without a broker nothing is known."""
    assert light(box(tmp_path, broker=state, last_contact_s=contact_s), "broker") == expected


def test_clock_light(tmp_path: Path) -> None:
    """NTP is good, a battery-backed clock a warning, an unset one a failure."""
    state = box(tmp_path)

    assert light(state, "clock", ClockQuality.RTC) == (Light.WARN, Code.CLOCK_NOT_KEPT)
    assert light(state, "clock", ClockQuality.NONE) == (Light.FAIL, Code.CLOCK_UNSET)


def test_a_pin_that_the_page_cannot_use(tmp_path: Path) -> None:
    """The venue's page goes on without it, so a light says it; a box without a PIN is well."""
    pin = tmp_path / "ops-pin"
    without = light(box(tmp_path, pin_file=pin), "storage")
    pin.write_text("rubbish")

    assert without == (Light.OK, "")
    assert light(box(tmp_path, pin_file=pin), "storage") == (Light.WARN, Code.PIN_UNUSABLE)


def test_a_full_audit_trail_is_a_light(tmp_path: Path) -> None:
    """The log goes on, and requests are answered no more."""
    assert light(box(tmp_path, trail_full=True), "log") == (Light.WARN, Code.LOG_TRAIL_FULL)


def test_storage_light(tmp_path: Path) -> None:
    """A failed commit is a failure until the next one succeeds."""
    assert light(box(tmp_path, storage=Code.STORAGE_FULL), "storage") == (Light.FAIL, Code.STORAGE_FULL)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (90, (Light.OK, "")),
        (5, (Light.WARN, Code.CERTIFICATE_ENDS_SOON)),
        (-1, (Light.FAIL, Code.CERTIFICATE_EXPIRED)),
        (None, (Light.FAIL, Code.CERTIFICATE_DAMAGED)),
    ],
)
def test_certificate_light(tmp_path: Path, days: int | None, expected: tuple[Light, str]) -> None:
    """Far from its end, close to it, past it, or unreadable."""
    file = tmp_path / "mqtt.crt"
    if days is None:
        file.write_text("no certificate")
    else:
        ca = certificates.new_ca("root", now_s=NOW_S - 10 * 86400, days=400)
        holder = certificates.new_client(ca, "K7MP2R9CX4", unit="device", now_s=NOW_S - 10 * 86400, days=days + 10)
        file.write_bytes(holder.certificate_pem)

    assert light(box(tmp_path, certificate=file), "certificate") == expected


def test_metrics_know_every_name_that_the_outbox_counts_under() -> None:
    """Whatever the broker answers, its counter has a name in the closed list of metrics."""
    deliveries = Deliveries()

    for code in range(256):
        deliveries.count(code, NOW_S)

    assert set(deliveries.pubacks) == set(PUBACKS)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault.NO_BUS, Code.RADIO_NO_BUS),
        (Fault.NO_BLUETOOTHD, Code.RADIO_NO_BLUETOOTHD),
        (Fault.DENIED, Code.RADIO_DENIED),
        (Fault.NO_ADAPTER, Code.RADIO_NO_ADAPTER),
        (Fault.BLOCKED, Code.RADIO_BLOCKED),
        (Fault.REFUSED, Code.RADIO_REFUSED),
        (Fault.STOPPED, Code.RADIO_STARTING),
        (Fault.REPLACED, Code.RADIO_STARTING),
    ],
)
def test_every_fault_of_the_radio_has_its_light(tmp_path: Path, fault: Fault, code: Code) -> None:
    """Also a box that never heard anything says what is wrong, not that it is starting."""
    assert light(box(tmp_path, source=Source(listening=False, fault=fault)), "radio") == (Light.FAIL, code)


def test_state_that_a_restart_loses_is_red(tmp_path: Path) -> None:
    """On a memory disk or an overlay the storage light is red, whatever room there is."""
    assert light(box(tmp_path, passing=True), "storage") == (Light.FAIL, Code.STORAGE_PASSING)


def test_messages_that_were_dropped_or_expired_are_counted_together(tmp_path: Path) -> None:
    """Neither reaches the centre, and both are shown."""
    assert examine(box(tmp_path, outbox_dropped=3, outbox_expired=4), clock()).outbox_dropped_total == 7


def test_a_clock_that_leapt_is_a_light(tmp_path: Path) -> None:
    """Doubted time is said, although NTP keeps the clock."""
    assert light(box(tmp_path, clock_doubted=True), "clock") == (Light.WARN, Code.CLOCK_LEAPT)


def test_radio_light_follows_the_adapter_alone(tmp_path: Path) -> None:
    """Once it has listened a fault is a fault and no longer a start; nothing of it depends on who was heard."""
    state = box(tmp_path)
    assert light(state, "radio") == (Light.OK, Code.WELL)
    state.source = Source(listening=False, fault="stopped")
    assert light(state, "radio") == (Light.FAIL, Code.RADIO_FAULT)


def test_counts_light_is_no_threshold(tmp_path: Path) -> None:
    """The light of a run that counts is green for an empty place and for ten phones alike."""
    counter = estimator.Counter(())
    empty = light(box(tmp_path, counter=counter), "counts")
    for number in range(10):
        data = AdvertisingData(service_data={}, manufacturer_data={})
        tag = number.to_bytes(8, "big")
        counter.add(Advert(data=data, address_tag=tag, first_s=NOW_S, last_s=NOW_S, rssi_sum=-60, rssi_max=-60), ())
    assert light(box(tmp_path, counter=counter), "counts") == empty == (Light.OK, Code.WELL)


def test_memory_and_lag_are_told_in_steps(tmp_path: Path) -> None:
    """A lag of 149 ms is told as 100 and memory in tens of megabytes: no crowd is read from them."""
    health = examine(box(tmp_path, loop_lag_ms=149.0), clock())
    assert health.loop_lag_ms == 100
    assert health.rss_mb % 10 == 0


def test_a_broker_that_refuses_is_not_green(tmp_path: Path) -> None:
    """Connected is not delivered: refused messages are red, and a connection with a trouble of its own is yellow."""
    old = BrokerState(connected=True, protocol="3.1.1", trouble=Trouble.OLD_VERSION)

    assert light(box(tmp_path, refusing=True), "broker") == (Light.FAIL, Code.BROKER_REFUSES_OURS)
    assert light(box(tmp_path, broker=old), "broker") == (Light.WARN, Trouble.OLD_VERSION)
    assert light(box(tmp_path, failing={"deliver"}), "broker") == (Light.FAIL, Code.TASK_FAILING)


def test_a_box_that_was_too_busy_to_listen_says_so_for_an_hour(tmp_path: Path) -> None:
    """The light tells of minutes that do not count as covered, as long as a published bin may hold them."""
    state = box(tmp_path)

    seen = []
    for late_at in (None, 1000.0, 1000.0 - 3599, 1000.0 - 3601):
        state.late_at = late_at
        seen.append(light(state, "counts")[1])

    assert seen == [Code.WELL, Code.COUNTS_LATE, Code.COUNTS_LATE, Code.WELL]
