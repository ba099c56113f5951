"""Benches and boxes on one switch, in network namespaces: who hears whom, who answers, and what both screens say."""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from edge_scanner.device import settings
from provisioning.inventory import State, open_inventory
from tests.support.provision_cli import BOX, ENVIRONMENT, PROVISION, bench, card_image, enrol, make_batch, run
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A fleet and a batch of four."""
    return make_batch(tmp_path)


Prefix = tuple[str, ...]
ASK = (sys.executable, "-c", "import sys, urllib.request as web; web.urlopen(sys.argv[1])")
"""Any program that asks for a page: it names another host than a box does."""


@contextmanager
def _machines(count: int) -> Iterator[tuple[Prefix, ...]]:
    """Command prefixes for machines on one switch, with link-local addresses and nothing else."""
    tag = secrets.token_hex(3)
    names = [f"{tag}{number}" for number in range(count)]
    switch = f"sw{tag}"
    try:
        for name in (switch, *names):
            subprocess.run(["ip", "netns", "add", name], check=True)
        inside = ["ip", "netns", "exec", switch, "ip", "link"]
        subprocess.run([*inside, "add", "name", "cable", "type", "bridge", "mcast_snooping", "0"], check=True)
        subprocess.run([*inside, "set", "cable", "up"], check=True)
        for name in names:
            subprocess.run(
                ["ip", "link", "add", f"l{name}", "netns", name, "type", "veth", "peer", f"p{name}", "netns", switch],
                check=True,
            )
            subprocess.run([*inside, "set", f"p{name}", "master", "cable", "up"], check=True)
            subprocess.run(["ip", "netns", "exec", name, "ip", "link", "set", f"l{name}", "up"], check=True)
        yield tuple(("ip", "netns", "exec", name) for name in names)
    finally:
        for name in (switch, *names):
            subprocess.run(["ip", "netns", "del", name], check=False)


@pytest.mark.system
def test_enrolment_without_any_internet(batch: Path, tmp_path: Path) -> None:
    """Laptop and box share one cable, without route, DHCP or DNS: the box hears the bench and is named, three times."""
    with _machines(2) as (laptop, box):
        for namespace in (laptop, box):
            assert run("ip", "-4", "route", prefix=namespace) == ""
            assert "default" not in run("ip", "-6", "route", prefix=namespace)
        card_image(batch, tmp_path / "box")
        with bench(batch, prefix=laptop):
            for _ in range(3):
                began = time.monotonic()
                text = enrol(tmp_path / "box", "--wait", "30", "--json", prefix=box)
                sys.stdout.write(f"found and enrolled in {time.monotonic() - began:.1f} s\n")
                assert json.loads(text)["exit"] == 0

    chosen = settings.load(tmp_path / "box" / "etc" / "scanner.toml")
    assert chosen.device.site == "ben-xe-mien-dong"
    with open_inventory(tmp_path / "laptop" / "inventory.db") as inventory:
        assert [row.state for row in inventory.boxes()].count(State.ENROLLED) == 1
        assert {step.verdict for step in inventory.reports("B-014")[chosen.device.id]} == {"PASS"}


def _until(file: Path, text: str) -> str:
    """What stands in a growing file once `text` does."""
    deadline = time.monotonic() + PATIENCE_S
    while text not in (found := file.read_text() if file.exists() else ""):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


@contextmanager
def _logged_bench(batch: Path, log: Path, *options: str, prefix: Prefix) -> Iterator[None]:
    """`bench start` without a screen; what it says goes into a file."""
    home = log.with_suffix(".home")
    with log.open("w") as out:
        command = [*prefix, *PROVISION, "bench", "start", str(batch), "--home", str(home), *options]
        process = subprocess.Popen(command, stdout=out, stderr=out, text=True, env=ENVIRONMENT)
    try:
        _until(log, " port ")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


@pytest.mark.system
def test_two_benches_on_one_switch(batch: Path, tmp_path: Path) -> None:
    """Ours and a stranger's: both say that there is another, and so does the box, which takes nothing from either."""
    ours, theirs = tmp_path / "ours.log", tmp_path / "theirs.log"
    with _machines(3) as (laptop, stranger, box):
        card_image(batch, tmp_path / "box")
        with _logged_bench(batch, ours, prefix=laptop), _logged_bench(batch, theirs, prefix=stranger):
            _until(ours, "PRV-07")
            _until(theirs, "PRV-07")
            places = ("--etc", tmp_path / "box/etc", "--state", tmp_path / "box/state")
            done = subprocess.run(
                [*box, *BOX, "enrol", *map(str, places), "--no-self-test", "--no-set-clock", "--wait", "30"],
                capture_output=True, text=True, check=False, env=ENVIRONMENT,
            )  # fmt: skip
        assert (done.returncode, "hai bàn" in done.stderr) == (77, True), done.stderr
        assert done.stderr.count("fe80::") == 2
        assert not (tmp_path / "box/state").exists()
        # Alone again, our bench names the box.
        with _logged_bench(batch, ours, prefix=laptop):
            enrol(tmp_path / "box", "--wait", "30", prefix=box)


@pytest.mark.system
def test_a_bench_answers_on_its_own_cable_only(batch: Path, tmp_path: Path) -> None:
    """An address that routers would carry is on the same laptop and cable, and nothing answers there."""
    with _machines(2) as (laptop, box):
        for machine, address in ((laptop, "192.0.2.1/24"), (box, "192.0.2.2/24")):
            interface = f"l{machine[-1]}"
            subprocess.run([*machine, "ip", "address", "add", address, "dev", interface], check=True)
        with _logged_bench(batch, tmp_path / "bench.log", prefix=laptop):
            listening = run("ss", "-Hltn", prefix=laptop)
            enrol(tmp_path / "box", "--bench", "http://192.0.2.1:47111", expect=20, prefix=box)
            (address,) = re.findall(r"\[(fe80::[0-9a-f:]+)\]", listening)
            page = f"http://[{address}%25l{box[-1]}]:47111/v1/manifest"
            asked = subprocess.run([*box, *ASK, page], capture_output=True, text=True, check=False)
            assert "403" in asked.stdout + asked.stderr
            assert "PRV-08 một yêu cầu không phải của hộp, từ fe80::" in _until(tmp_path / "bench.log", "PRV-08")
    assert listening.count("LISTEN") == 1
    assert re.search(r"\[fe80::[0-9a-f:]+\]%l\w+:47111", listening), listening


@pytest.mark.system
def test_a_box_without_the_secret_waits_for_the_technician(batch: Path, tmp_path: Path) -> None:
    """Box and bench show the same six words; typed at the laptop, the box goes on by itself. Others do nothing."""
    home, log = tmp_path / "bench.home", tmp_path / "bench.log"
    with _machines(2) as (laptop, box), _logged_bench(batch, log, prefix=laptop):
        enrol(tmp_path / "box", "--wait", "8", expect=69, prefix=box)
        console = (tmp_path / "box.txt").open("w+")
        places = ("--etc", tmp_path / "box/etc", "--state", tmp_path / "box/state")
        process = subprocess.Popen(
            [*box, *BOX, "enrol", *map(str, places), "--no-self-test", "--no-set-clock", "--wait", "300"],
            stdout=console, stderr=console, text=True, env=ENVIRONMENT,
        )  # fmt: skip
        shown = _until(tmp_path / "box.txt", "bench confirm")
        (words,) = set(re.findall(r"edge-scanner: ((?:[a-z]{5}-){5}[a-z]{5})\n", shown))
        assert f"PRV-06 {words}" in _until(log, words)
        run(*PROVISION, "bench", "confirm", "lusab-babad", "--home", home, expect=78)
        assert process.poll() is None
        run(*PROVISION, "bench", "confirm", *words.split("-"), "--home", home)
        assert process.wait(PATIENCE_S) == 0, _until(tmp_path / "box.txt", "")
        console.close()
    fleet = run(*PROVISION, "fleet", "key", "--fleet", tmp_path / "fleet").strip()
    assert fleet in shown
    assert fleet in log.read_text()
