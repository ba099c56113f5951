"""What the centre is given (Telegraf, tables, Grafana, Prometheus rules) names only what boxes really send.

Telegraf, Grafana and TimescaleDB are not in Debian: their files are held to the schemas and to PostgreSQL instead.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_scanner.core.codes import PUBACKS
from edge_scanner.device.kiosk.operator import LIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "config" / "dashboards"
SCHEMAS = ROOT / "edge_scanner" / "schemas"
TELEGRAF = tomllib.loads((DASHBOARDS / "telegraf.conf").read_text())
SQL = (DASHBOARDS / "timescale.sql").read_text()
GRAFANA = json.loads((DASHBOARDS / "grafana-fleet.json").read_text())
FIGURES = ("nearby", "bluezone", "bluezone_presence", "gaen")


def _example(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())["examples"][0]
    return document


def _known(kind: str) -> set[str]:
    """Every field that a message of this kind may carry, by its schema."""
    own = json.loads((SCHEMAS / f"{kind}.schema.json").read_text())["properties"]
    shared = json.loads((SCHEMAS / "envelope.schema.json").read_text())["properties"]
    return set(own) | set(shared)


def _parsers() -> list[tuple[str, dict[str, Any]]]:
    return [
        (parser["measurement_name"], parser)
        for reader in TELEGRAF["inputs"]["mqtt_consumer"]
        for parser in reader["json_v2"]
    ]


def _columns(table: str) -> set[str]:
    body = re.search(rf"CREATE TABLE IF NOT EXISTS {table} \((.*?)\n\);", SQL, re.DOTALL)
    assert body
    return set(re.findall(r"^    ([a-z_]+) [a-z]", body[1], re.MULTILINE))


@pytest.mark.parametrize(("kind", "parser"), _parsers(), ids=lambda value: value if isinstance(value, str) else "")
def test_telegraf_reads_fields_that_exist(kind: str, parser: dict[str, Any]) -> None:
    """Every path of a parser is a field of the message's schema, and every field has a column."""
    paths = [entry["path"] for part in ("tag", "field", "object") for entry in parser.get(part, [])]
    fields = {entry.get("rename", entry["path"]) for part in ("tag", "field") for entry in parser.get(part, [])}
    if parser.get("object"):
        fields |= {f"figures_{name}" for name in FIGURES}

    split = [path.split(".") for path in [*paths, parser["timestamp_path"]]]
    assert {path[0] for path in split} <= _known(kind)
    assert {tuple(path) for path in split if len(path) > 1} <= {("lights", light, "light") for light in LIGHTS}
    assert fields | {"time"} == _columns(kind)


def test_telegraf_asks_for_topics_that_its_names_may_read() -> None:
    """Each reader's client has a block in the ACL that lets it read its topics."""
    acl = (ROOT / "config" / "broker" / "acl").read_text()
    for reader in TELEGRAF["inputs"]["mqtt_consumer"]:
        block = acl.split(f"user {reader['client_id']}\n")[1].split("user ")[0]
        for topic in reader["topics"]:
            plain = topic.removeprefix("$share/telegraf/")
            allowed = re.findall(r"topic read (\S+)", block)
            assert any(plain == one or plain.startswith(one.removesuffix("#")) for one in allowed), topic


def test_figures_are_those_of_the_counts() -> None:
    """The tables' figures are the ones that the example counts message has."""
    assert set(_example("counts")["figures"]) == set(FIGURES)


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


def test_prometheus_rules_name_metrics_that_exist() -> None:
    """Every metric of the rules is one that the box or `edge-provision fleet status` exposes."""
    source = "".join(
        (ROOT / place).read_text()
        for place in ("edge_scanner/device/kiosk/metrics.py", "provisioning/headquarters/commands.py")
    )
    names = set(re.findall(r"\b(edge_[a-z_]+)", (DASHBOARDS / "prometheus-rules.yml").read_text()))

    assert names
    assert {name for name in names if f'"{name.removesuffix("_total")}"' not in source} == set()


def test_prometheus_rules_name_labels_that_exist() -> None:
    """A rule that asks for a light or a broker's answer names one that boxes have."""
    rules = (DASHBOARDS / "prometheus-rules.yml").read_text()
    asked = {label: set(re.findall(rf'\b{label}="([^"]+)"', rules)) for label in ("light", "code")}

    assert all(asked.values())
    assert asked["light"] <= set(LIGHTS)
    assert asked["code"] <= set(PUBACKS)


def test_every_alert_has_a_case_in_which_it_fires() -> None:
    """No rule is without a test: each is expected to fire in one, and to be silent in one."""
    rules = set(re.findall(r"alert: (\w+)", (DASHBOARDS / "prometheus-rules.yml").read_text()))
    cases = (DASHBOARDS / "prometheus-tests.yml").read_text()

    assert rules
    assert set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n +- exp_labels", cases)) == rules
    assert set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", cases)) == rules


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
    flat = {key: value for key, value in message.items() if key in _columns(table)}
    flat |= {f"figures_{name}": value for name, value in message.get("figures", {}).items()}
    flat |= {f"light_{name}": light["light"] for name, light in message.get("lights", {}).items()}
    flat = {key: value for key, value in flat.items() if key in _columns(table)}
    values = ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in flat.values())
    return f"INSERT INTO {table} (time, {', '.join(flat)}) VALUES (to_timestamp({moment}), {values})"


def test_tables_and_dashboard_on_postgresql(tmp_path: Path) -> None:
    """The DDL runs, twice; a repeated message is one row; every panel's query runs and the figures come out right."""
    counts, health = _example("counts"), _example("health")
    with _postgres(tmp_path) as server:
        for _ in range(2):
            _psql(server, SQL)
        for _ in range(2):
            _psql(server, _row("counts", counts, counts["bin_start"]), _row("health", health, health["at"]))

        assert _psql(server, "SELECT count(*) FROM counts", "SELECT count(*) FROM health") == "1\n1\n"
        hour = _psql(server, "SELECT nearby, bluezone, minutes_covered, nearby_error FROM site_hours").strip()
        # 2442 / 60 = 40.7; (1843 + 611) / 60 = 40.9; 2 * sqrt(2) * 264 / 60 = 12.4
        assert hour == "41|41|60|12.4"
        assert _psql(server, "SELECT silent, light_storage FROM boxes_now").strip() == "t|warn"
        for query in _queries():
            _psql(server, query.replace("$__timeFilter(time)", "TRUE").replace("($site)", "('ben-xe-mien-dong-3')"))


def test_grafana_dashboard_is_whole() -> None:
    """Panels have different ids, lie beside each other and use the chosen source."""
    panels = GRAFANA["panels"]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {"${datasource}"}
