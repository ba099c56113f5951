"""What the centre is given (Telegraf, tables, Grafana, Prometheus rules) names only what boxes really send.

Telegraf, Grafana and TimescaleDB are not in Debian: their files are held to messages as the code makes them and to
PostgreSQL.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge_scanner import protocols
from edge_scanner.core import messages
from edge_scanner.core.counts.estimator import Counter
from edge_scanner.core.counts.release import BROKER, NEARBY
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.core.model import ClockQuality, ClockReading, Light
from edge_scanner.device.health import BoxState, examine
from edge_scanner.device.kiosk.metrics import exposition
from edge_scanner.device.kiosk.watch import State, View
from edge_scanner.device.settings import Radio
from provisioning import certificates
from provisioning.fleet import commands
from tests.support import snapshots
from tests.support.fleet import workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.model import Health

ROOT = Path(__file__).parents[3]
DASHBOARDS = ROOT / "config" / "dashboards"
SCHEMAS = ROOT / "edge_scanner" / "schemas"
TELEGRAF = tomllib.loads((DASHBOARDS / "telegraf.conf").read_text())
SQL = (DASHBOARDS / "timescale.sql").read_text()
GRAFANA = json.loads((DASHBOARDS / "grafana-fleet.json").read_text())
RULES = (DASHBOARDS / "prometheus-rules.yml").read_text()
CASES = (DASHBOARDS / "prometheus-tests.yml").read_text()
NOW_S = snapshots.TUESDAY_S
SENDER = messages.Sender(device="K7MP2R9CX4", site="ben-xe-mien-dong-3", boot=12)
JSON_TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "int": int, "float": (int, float)}
"""What Telegraf's types are in a message."""


def _example(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())["examples"][0]
    return document


def _health() -> Health:
    """As the daemon examines itself, on a box without keys; what such a box cannot know is added."""
    state = BoxState(log=None, recipients=None, retention_days=14, state_dir=Path("/"))
    seen = examine(state, ClockReading(utc_s=NOW_S, monotonic_s=60.0, quality=ClockQuality.NTP))
    return replace(snapshots.healthy(NOW_S), lights=seen.lights)


def _sent(kind: str) -> dict[str, Any]:
    """A message of this kind, made by the daemon's own code."""
    if kind == "health":
        message = messages.health(_health(), sender=SENDER, seq=7)
    else:
        cells = Counter(protocols.load(Radio().protocols)).figures
        hour = snapshots.hourly(NOW_S - 3600, 40)
        report = replace(hour, tracing_scale=264.0, figures=dict.fromkeys((NEARBY, *cells), 60))
        message = messages.counts(report, sender=SENDER, link=None, clock=ClockQuality.NTP, created_s=NOW_S)
    document: dict[str, Any] = json.loads(message.payload)
    return document


def _at(document: dict[str, Any], path: str) -> object:
    """What stands at a dotted path, None where nothing does."""
    found: Any = document
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _parsers() -> list[tuple[str, dict[str, Any]]]:
    return [
        (parser["measurement_name"], parser)
        for reader in TELEGRAF["inputs"]["mqtt_consumer"]
        for parser in reader["json_v2"]
    ]


def _named(parser: dict[str, Any]) -> dict[str, str]:
    """The path of each tag and field by the name that Telegraf gives it: the path's last word, or `rename`."""
    return {
        entry.get("rename", entry["path"].rsplit(".", 1)[-1]): entry["path"]
        for part in ("tag", "field")
        for entry in parser[part]
    }


def _columns(table: str) -> set[str]:
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\);", SQL, re.DOTALL)
    assert body
    return set(re.findall(r"^    ([a-z_]+) [a-z]", body[1], re.MULTILINE))


@pytest.mark.parametrize(("kind", "parser"), _parsers(), ids=lambda value: value if isinstance(value, str) else "")
def test_telegraf_reads_fields_that_exist(kind: str, parser: dict[str, Any]) -> None:
    """Every whole path of a parser leads to a value of its type in a message, and every field has a column."""
    sent = _sent(kind)
    read = [(entry["path"], JSON_TYPES[entry["type"]]) for entry in parser["field"]]
    read += [(entry["path"], str) for entry in parser["tag"]] + [(parser["timestamp_path"], int)]

    assert [path for path, kind_of in read if not isinstance(_at(sent, path), kind_of)] == []
    assert {*_named(parser), "time"} == _columns(kind)


def test_telegraf_asks_for_topics_that_its_names_may_read() -> None:
    """Each reader's client has a block in the ACL that lets it read its topics."""
    acl = (ROOT / "config" / "broker" / "acl").read_text()
    for reader in TELEGRAF["inputs"]["mqtt_consumer"]:
        block = acl.split(f"user {reader['client_id']}\n")[1].split("user ")[0]
        for topic in reader["topics"]:
            plain = topic.removeprefix("$share/telegraf/")
            allowed = re.findall(r"topic read (\S+)", block)
            assert any(plain == one or plain.startswith(one.removesuffix("#")) for one in allowed), topic


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: make test installs it")
def test_prometheus_rules_fire_when_they_should() -> None:
    """The rules' own tests, by promtool."""
    done = subprocess.run(
        ["promtool", "test", "rules", "prometheus-tests.yml"],
        cwd=DASHBOARDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All that a Prometheus finds: a box's /metrics and the centre's textfile, as (name, labels) and value."""
    folder = tmp_path_factory.mktemp("centre")
    shop = workshop(folder)
    (folder / "acl").touch()
    (folder / "crl.pem").write_bytes(certificates.revocation_list(shop.fleet.issuing, [], number=1, now_s=time.time()))
    commands.status(shop.fleet.inventory, folder, folder / "edge.prom")
    view = View(state=State.FRESH, snapshot=snapshots.snapshot(health=_health()), age_s=1.0, now_s=NOW_S)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for text in (exposition(view, 1).decode(), (folder / "edge.prom").read_text())
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
    """Each series of the rules, and each of their tests, is one that a box or `fleet status` really exposes."""
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


@contextmanager
def _postgres(folder: Path) -> Iterator[Path]:
    """A PostgreSQL of our own on a socket; the folder of that socket."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("postgresql is not installed: make test installs it")
    programs = found[-1].parent
    data = folder / "data"
    # PostgreSQL refuses to run as root; its package brings the user.
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if prefix:
        for path in (folder, *list(folder.parents)[:3]):
            path.chmod(path.stat().st_mode | 0o755)
        shutil.chown(folder, "postgres")
    subprocess.run(
        [*prefix, str(programs / "initdb"), "-D", str(data), "-U", "edge", "--auth=trust", "--no-sync"],
        check=True, capture_output=True, cwd=folder,
    )  # fmt: skip
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    start = [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w"]
    subprocess.run([*start, "start"], check=True, capture_output=True, cwd=folder)
    try:
        yield folder
    finally:
        subprocess.run(
            [*prefix, str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "stop"],
            check=False, capture_output=True, cwd=folder,
        )  # fmt: skip


def _psql(folder: Path, *commands: str) -> str:
    arguments = [part for command in commands for part in ("-c", command)]
    done = subprocess.run(
        ["psql", "-h", str(folder), "-U", "edge", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _row(table: str, message: dict[str, Any], moment: int) -> str:
    """An INSERT as Telegraf makes it of a message."""
    read = {name: _at(message, path) for name, path in _named(dict(_parsers())[table]).items()}
    row = {name: value for name, value in read.items() if value is not None}
    values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in row.values())
    return f"INSERT INTO {table} (time, {', '.join(row)}) VALUES (to_timestamp({moment}), {values})"


def test_tables_and_dashboard_on_postgresql(tmp_path: Path) -> None:
    """The DDL runs, twice; a repeated message is one row; every panel's query runs and the figures come out right."""
    counts, health = _example("counts"), _example("health")
    with _postgres(tmp_path) as server:
        for _ in range(2):
            _psql(server, SQL)
        for _ in range(2):
            _psql(server, _row("counts", counts, counts["bin_start"]), _row("health", health, health["at"]))

        assert _psql(server, "SELECT count(*) FROM counts", "SELECT count(*) FROM health") == "1\n1\n"
        hour = _psql(
            server, "SELECT nearby, bluezone, minutes_covered, nearby_error, bluezone_error, total FROM site_hours"
        ).strip()
        # 2442 / 60 = 40.7; (1843 + 611) / 60 = 40.9; 2 * sqrt(2) * 264 / 60 = 12.4; two draws are sqrt(2) as wide.
        assert hour == "41|41|60|12.4|17.6|sum of 1"
        assert _psql(server, "SELECT silent, light_storage FROM boxes_now").strip() == "t|warn"
        for query in _queries():
            _psql(server, query.replace("$__timeFilter(time)", "TRUE").replace("($site)", "('ben-xe-mien-dong-3')"))


def test_boxes_of_a_site_are_added_up_or_the_largest_stands_for_all(tmp_path: Path) -> None:
    """Two rooms add up, and so do their variances; in one hall the box with the fullest week counts. Each says so."""
    message = _example("counts")
    with _postgres(tmp_path) as server:
        _psql(server, SQL, "INSERT INTO sites VALUES ('hall', 'same hall')")
        for site in ("rooms", "hall"):
            for device, phones in (("A", (40, 4, None)), ("B", (20, 44, 5))):
                for hour, mean in enumerate(phones):
                    figures = {"figures": {"nearby": 60 * (mean or 0)}, "minutes_covered": 0 if mean is None else 60}
                    key = {"key": f"{site}/{device}/{hour}", "site": site, "device": device, "scale": 60.0}
                    _psql(server, _row("counts", {**message, **figures, **key}, 1_790_000_000 + 3600 * hour))
        query = "SELECT nearby, nearby_error, total FROM site_hours WHERE site = '{}' ORDER BY time"

        rooms = _psql(server, query.format("rooms")).splitlines()
        hall = _psql(server, query.format("hall")).splitlines()

    # 2 * sqrt(2) = 2.8, of two boxes 4.
    assert rooms == ["60|4.0|sum of 2", "48|4.0|sum of 2", "5|2.8|sum of 1"]
    # B's week is 23 on average, A's 22.
    assert hall == ["20|2.8|largest of 2", "44|2.8|largest of 2", "5|2.8|largest of 1"]


def test_grafana_dashboard_is_whole() -> None:
    """Panels have different ids, lie beside each other and use the chosen source."""
    panels = GRAFANA["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
