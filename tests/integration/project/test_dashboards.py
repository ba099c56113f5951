"""What the centre is given (views, Grafana, Prometheus rules) names only what boxes really send.

Grafana is not in Debian: its queries run on PostgreSQL, over what the centre's own store kept of real messages.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_scanner.central.collect.judge import Judge
from edge_scanner.central.serve import metrics
from edge_scanner.central.store.model import Batch, Box, Release, SetAside, Site
from edge_scanner.central.store.model import State as BoxWord
from edge_scanner.central.store.store import BoxList, open_store
from edge_scanner.core import messages
from edge_scanner.core.counts.release import BROKER
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.core.health import Light, to_message
from edge_scanner.core.model import ClockQuality, ClockReading
from edge_scanner.device.health import BoxState, examine
from edge_scanner.device.kiosk.metrics import exposition
from edge_scanner.device.kiosk.watch import State, View
from provisioning import certificates
from provisioning.fleet import commands
from tests.support import serving, snapshots
from tests.support.fleet import workshop
from tests.support.installed import program
from tests.support.postgres import Postgres
from tests.support.publishing import heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.health import Health
    from edge_scanner.core.model import Message

ROOT = Path(__file__).parents[3]
DASHBOARDS = ROOT / "config" / "dashboards"
SCHEMAS = ROOT / "edge_scanner" / "schemas"
SQL = (DASHBOARDS / "grafana.sql").read_text()
GRAFANA = json.loads((DASHBOARDS / "grafana-fleet.json").read_text())
RULES = (DASHBOARDS / "prometheus-rules.yml").read_text()
CASES = (DASHBOARDS / "prometheus-tests.yml").read_text()
NOW_S = snapshots.TUESDAY_S
SENDER = messages.Sender(device="K7MP2R9CX4", site="ben-xe-mien-dong-3", boot=12)


def _health() -> Health:
    """As the daemon examines itself, on a box without keys; what such a box cannot know is added."""
    state = BoxState(log=None, recipients=None, retention_days=14, state_dir=Path("/"))
    seen = examine(state, ClockReading(utc_s=NOW_S, monotonic_s=60.0, quality=ClockQuality.NTP))
    return replace(snapshots.healthy(NOW_S), lights=seen.lights)


def test_prometheus_rules_fire_when_they_should() -> None:
    """The rules' own tests, by promtool."""
    done = subprocess.run(
        [program("promtool"), "test", "rules", "prometheus-tests.yml"],
        cwd=DASHBOARDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What a Prometheus finds, (name, labels) and value: the centre's metrics, a box's, the broker's textfile."""
    folder = tmp_path_factory.mktemp("centre")
    shop = workshop(folder)
    (folder / "acl").touch()
    (folder / "crl.pem").write_bytes(certificates.revocation_list(shop.fleet.issuing, [], number=1, now_s=time.time()))
    commands.status(shop.fleet.inventory, folder, folder / "edge.prom")
    with open_store(f"sqlite:///{folder}/central.db") as store:
        serving.fill(store)
        central = metrics.text(store.read, now_s=serving.NOW_S, silent_s=900, signed_set=lambda: 0).decode()
    view = View(state=State.FRESH, snapshot=snapshots.snapshot(health=_health()), age_s=1.0, now_s=NOW_S)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for text in (central, exposition(view, 1).decode(), (folder / "edge.prom").read_text())
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _asked(text: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """The series that a text names; `instance` is Prometheus' own label."""
    return {
        (name, frozenset(pair for pair in re.findall(r'(\w+)="([^"]*)"', labels) if pair[0] != "instance"))
        for name, labels in re.findall(r"\b(edge_\w+)(?:\{([^}]*)\})?", text)
    }


@pytest.mark.parametrize("text", [RULES, CASES], ids=["rules", "tests"])
def test_prometheus_asks_for_series_that_exist(
    exposed: dict[tuple[str, frozenset[tuple[str, str]]], float], text: str
) -> None:
    """Each series of the rules, and each of their tests, is one that centre, box or `fleet status` really exposes."""
    asked = _asked(text)

    assert any(labels for _, labels in asked)
    assert asked - set(exposed) == set()


def test_a_fault_is_the_figure_that_the_rules_compare_with(
    exposed: dict[tuple[str, frozenset[tuple[str, str]]], float],
) -> None:
    """The log light of a box without keys is a fault, and a fault is the rules' 2."""
    compared = re.findall(r'edge_scanner_light\{light="\w+"\} == (\d)', RULES)

    assert _health().lights["log"].light is Light.FAIL
    assert compared
    assert {float(figure) for figure in compared} == {exposed["edge_scanner_light", frozenset({("light", "log")})]}


def test_advice_of_the_rules_is_to_be_found() -> None:
    """Codes of an alarm's advice are codes that exist, and their kinds stand in the technician's table."""
    guide = (ROOT / "docs" / "technician.md").read_text()
    kinds = set(re.findall(r"\b([A-Z]{3}) codes in docs/technician\.md", RULES))
    codes = set(re.findall(r"\b[A-Z]{3}-\d\d\b", RULES))

    assert kinds
    assert {kind for kind in kinds if f"| `{kind}-" not in guide} == set()
    assert codes
    assert codes <= {*Code, *DoctorCode}


def test_words_that_the_queries_compare_with_are_those_of_boxes() -> None:
    """A light's state and a ledger's name in the SQL and in a panel's query are the product's."""
    queries = "\n".join([SQL, *_queries()])
    lights = set(re.findall(r"\blight_\w+ = '(\w+)'", queries))
    ledgers = set(re.findall(r"\bledger = '(\w+)'", queries))

    assert lights
    assert lights <= set(Light)
    assert ledgers == {BROKER}


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    """No rule is without a test: each is expected to fire in one, and to be silent in one."""
    rules = set(re.findall(r"alert: (\w+)", RULES))

    assert rules
    assert set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", CASES)) == rules
    assert set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", CASES)) == rules


def _queries() -> list[str]:
    return [target["rawSql"] for panel in GRAFANA["panels"] for target in panel["targets"]]


def _psql(url: str, *commands: str) -> str:
    arguments = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        ["psql", url, "-v", "ON_ERROR_STOP=1", "-qAt", "-c", "SET search_path = dashboard", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL with the centre's tables and the views, made twice."""
    with Postgres() as server:
        url = server.new_database()
        with open_store(url):
            pass
        for _ in range(2):
            _psql(url, SQL)
        yield url


def _judged(*given: Message, site: str) -> Batch:
    """What the collector makes of these messages of boxes at a site."""
    devices = {message.topic.split("/")[3] for message in given}
    boxes = [Box(device=device, site=site, room="", state="enrolled", identity=b"") for device in sorted(devices)]
    judge = Judge({box.device: box for box in boxes})
    rows = [judge.judge(heard(message)) for message in given]
    assert not [row for row in rows if isinstance(row, SetAside)]
    return Batch(
        releases=tuple(row for row in rows if isinstance(row, Release)),
        states=tuple(row for row in rows if isinstance(row, BoxWord)),
    )


def _fleet(*places: tuple[str, str]) -> BoxList:
    boxes = tuple(Box(device=one, site=site, room="", state="enrolled", identity=b"") for one, site in places)
    return BoxList(made=1, digest=b"1", boxes=boxes, sites=())


def test_tables_and_dashboard_on_postgresql(database: str) -> None:
    """Every panel's query runs on what the collector kept, and the figures come out right."""
    report = replace(
        snapshots.hourly(NOW_S - 3600, 40),
        figures={"nearby": 2442, "bluezone": 1843, "bluezone_presence": 611},
        tracing_scale=264.0,
    )
    counts = messages.counts(report, sender=SENDER, link=None, clock=ClockQuality.NTP, created_s=NOW_S)
    health = to_message(_health(), sender=SENDER, seq=7)
    with open_store(database) as store:
        for _ in range(2):
            store.keep(_judged(counts, health, site="ben-xe"), now_s=NOW_S)
        store.take_list(_fleet((SENDER.device, "ben-xe"), ("3N8QW0TZ5F", "ben-xe")))

    assert _psql(database, "SELECT count(*) FROM counts", "SELECT count(*) FROM health") == "1\n1\n"
    hour = _psql(
        database, "SELECT nearby, bluezone, minutes_covered, nearby_error, bluezone_error, total FROM site_hours"
    ).strip()
    # 2442 / 60 = 40.7; (1843 + 611) / 60 = 40.9; 2 * sqrt(2) * 264 / 60 = 12.4; two draws are sqrt(2) as wide.
    assert hour == "41|41|60|12.4|17.6|sum of 1"
    now = _psql(database, "SELECT device, silent, light_storage IS NULL FROM boxes_now ORDER BY device").split()
    assert now == ["3N8QW0TZ5F|t|t", f"{SENDER.device}|t|f"]
    for query in _queries():
        _psql(database, query.replace("$__timeFilter(time)", "TRUE").replace("($site)", "('ben-xe-mien-dong-3')"))


def test_boxes_of_a_site_are_added_up_or_the_largest_stands_for_all(database: str) -> None:
    """Two rooms add up, and so do their variances; in one hall the box with the fullest week counts. Each says so."""
    start_s = NOW_S // 3600 * 3600 - 3600 * 5
    with open_store(database) as store:
        store.take_list(replace(_fleet(), sites=(Site(site="hall", name="Hall", rule="same hall"),)))
        for site, devices in (("rooms", ("AAAAAAAAAA", "BBBBBBBBBB")), ("hall", ("CCCCCCCCCC", "DDDDDDDDDD"))):
            for device, phones in zip(devices, ((40, 4, None), (20, 44, 5)), strict=True):
                said = [
                    messages.counts(
                        replace(
                            snapshots.hourly(start_s + 3600 * hour, 40), figures={"nearby": 60 * (mean or 0)},
                            minutes_covered=0 if mean is None else 60, scale=60.0,
                        ),
                        sender=replace(SENDER, device=device), link=None, clock=ClockQuality.NTP, created_s=NOW_S,
                    )
                    for hour, mean in enumerate(phones)
                ]  # fmt: skip
                store.keep(_judged(*said, site=site), now_s=NOW_S)
    query = "SELECT nearby, nearby_error, total FROM site_hours WHERE site = '{}' ORDER BY time"

    rooms = _psql(database, query.format("rooms")).splitlines()
    hall = _psql(database, query.format("hall")).splitlines()

    # 2 * sqrt(2) = 2.8, of two boxes 4.
    assert rooms == ["60|4.0|sum of 2", "48|4.0|sum of 2", "5|2.8|sum of 1"]
    # D's week is 23 on average, C's 22.
    assert hall == ["20|2.8|largest of 2", "44|2.8|largest of 2", "5|2.8|largest of 1"]


def test_a_box_that_was_restarted_speaks_for_no_other_of_its_hall(database: str) -> None:
    """The second part of its hour has a start of its own, at which no other box has one."""
    start_s = NOW_S // 3600 * 3600 - 3600 * 5
    with open_store(database) as store:
        store.take_list(replace(_fleet(), sites=(Site(site="hall", name="Hall", rule="same hall"),)))
        for device, from_s, minutes, phones in (("C", 0, 60, 40), ("D", 0, 37, 20), ("D", 37 * 60, 23, 20)):
            hour = snapshots.hourly(start_s + from_s, 40)
            part = replace(hour, figures={"nearby": phones * minutes}, minutes_covered=minutes, scale=60.0)
            said = messages.counts(
                part, sender=replace(SENDER, device=device * 10), link=None, clock=ClockQuality.NTP, created_s=NOW_S
            )
            store.keep(_judged(said, site="hall"), now_s=NOW_S)

    assert _psql(database, "SELECT nearby, total FROM site_hours").splitlines() == ["40|largest of 2"]


def test_grafana_dashboard_is_whole() -> None:
    """Panels have different ids, lie beside each other and use the chosen source."""
    panels = GRAFANA["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
