"""`edge-scanner setup` as people meet it: on a terminal, again, wrongly answered, by a program; then the box runs."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from edge_scanner.core import operator_pin as pin
from edge_scanner.core.errors import RefusedError
from edge_scanner.device import settings
from edge_scanner.device.commands.setup import Options, Places, run_setup
from tests.support.dialogue import Dialogue
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = [sys.executable, "-m", "edge_scanner.device.cli"]
ENGLISH = {"LANG": "en_US.UTF-8"}


def setup(folder: Path, *words: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal."""
    return subprocess.run(
        [*PROGRAM, "setup", "--folder", str(folder), "--lang", "en", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
        input=options.get("typed", ""),
    )


def test_a_person_answers_and_the_file_is_right(tmp_path: Path) -> None:
    """Wrong answers get one line and are asked again, Enter takes the default, the PIN is never shown."""
    folder = tmp_path / "box"
    with Dialogue([*PROGRAM, "setup", "--folder", str(folder)], ENGLISH) as terminal:
        terminal.answer("name in Vietnamese", text="Bến xe Mỹ Đình")
        terminal.answer("[Bến xe Mỹ Đình]: ", text="My Dinh Bus Station")
        terminal.answer("Time zone", text="Asia/Ho_Chi_Min")
        terminal.answer("did you mean Asia/Ho_Chi_Minh?", "Time zone", text="Asia/Ho_Chi_Minh")
        terminal.answer('"Moderate" [20]: ', text="many")
        terminal.answer("a whole number, e.g. 20", '"Moderate" [20]: ', text="30")
        terminal.answer('"Busy" [60]: ', text="30")
        terminal.answer("from which the screen says moderate", '"Busy" [60]: ', text="")
        terminal.answer("(y/n) [n]: ", text="")
        terminal.answer("MQTT broker", text="")
        # A terminal forgets what was typed before the program asked for a PIN: the prompt is waited for.
        terminal.answer("PIN for /ops", "]: ", text="12")
        terminal.answer("not six to twelve digits", "PIN for /ops", "]: ", text="48151623")
        terminal.answer("Repeat: ", text="48151624")
        terminal.answer("are not the same", "PIN for /ops", "]: ", text="48151623")
        terminal.answer("Repeat: ", text="48151623")
        code = terminal.end()

    chosen = settings.load(folder / "scanner.toml")
    assert code == 0
    assert (chosen.device.name_vi, chosen.device.name_en) == ("Bến xe Mỹ Đình", "My Dinh Bus Station")
    assert (chosen.kiosk.moderate_from, chosen.kiosk.busy_from, chosen.kiosk.lan) == (30, 60, False)
    assert (chosen.mqtt.host, chosen.log.kept, chosen.kiosk.app_url) == ("", False, "")
    assert pin.matches("48151623", (folder / "ops-pin").read_text())
    assert "4815162" not in terminal.shown
    assert "keeps no log" in terminal.shown


def test_prompts_are_vietnamese_where_the_terminal_is(tmp_path: Path) -> None:
    """With a Vietnamese locale the questions and the result are Vietnamese."""
    with Dialogue([*PROGRAM, "setup", "--folder", str(tmp_path / "box")], {"LANG": "vi_VN.UTF-8"}) as terminal:
        for phrase in ("tiếng Việt", "tiếng Anh", "Múi giờ", '"Vừa phải"', '"Đông"', "(c/k)", "MQTT", "PIN"):
            terminal.answer(phrase, "]: ", text="")
        code = terminal.end()

    assert code == 0
    assert "Còn thiếu:" in terminal.shown
    assert re.search(r"Mã PIN cho /ops: \d{6}", terminal.shown)


def test_second_run_changes_nothing_unasked(tmp_path: Path) -> None:
    """Settings that exist are kept when nobody agrees; when somebody does, they are the defaults, and the old stay."""
    folder = tmp_path / "box"
    made = json.loads(setup(folder, "--yes", "--json", "--name-vi", "Chợ", "--busy-from", "90").stdout)
    first = (folder / "scanner.toml").read_bytes()

    refused = setup(folder, "--yes", "--name-vi", "Khác")
    declined = setup(folder, typed="\n")
    assert (refused.returncode, declined.returncode) == (77, 77)
    assert refused.stderr.count("\n") == 1
    assert (folder / "scanner.toml").read_bytes() == first
    (folder / "scanner.toml").write_bytes(first + b"\n[radio]\nread_iphones = true\n")

    again = json.loads(setup(folder, "--yes", "--replace", "--json", "--name-en", "Market").stdout)

    chosen = settings.load(folder / "scanner.toml")
    assert again["device"] == made["device"] == chosen.device.id
    assert (made["pin"] is None, again["pin"]) == (False, None)
    assert (chosen.device.name_vi, chosen.device.name_en, chosen.kiosk.busy_from) == ("Chợ", "Market", 90)
    assert chosen.radio.read_iphones
    assert (folder / "scanner.toml.before-setup").read_bytes().startswith(first)
    assert pin.matches(made["pin"], (folder / "ops-pin").read_text())


def test_what_the_operator_set_is_the_default_and_then_stands_in_the_settings(tmp_path: Path) -> None:
    """Nothing of the page's settings is lost, and they no longer go before what was answered."""
    folder = tmp_path / "box"
    assert setup(folder, "--yes", "--name-en", "Market").returncode == 0
    operators = folder / "operator" / "operator.toml"
    operators.write_text('[device]\nname_en = "Old Market"\n[kiosk]\ntheme = "night"\n')
    assert setup(folder, "--yes", "--replace", "--busy-from", "99").returncode == 0

    chosen = settings.load(folder / "scanner.toml")
    assert (chosen.device.name_en, chosen.kiosk.theme, chosen.kiosk.busy_from) == ("Old Market", "night", 99)
    assert not operators.exists()


def test_broken_settings_are_begun_anew_and_kept_beside(tmp_path: Path) -> None:
    """A file that cannot be read is said to be wrong; the new one stands in its place and the old beside it."""
    (tmp_path / "scanner.toml").write_text("[devise]\n")

    done = setup(tmp_path, "--yes", "--replace")

    assert done.returncode == 0
    assert "beginning anew" in done.stderr
    assert (tmp_path / "scanner.toml.before-setup").read_text() == "[devise]\n"
    settings.load(tmp_path / "scanner.toml")


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--yes", "--busy-from", "3"), 78, "--busy-from"),
        (("--yes", "--time-zone", "Mars/Olympus"), 78, "--time-zone"),
        (("--yes", "--pin-file", "short"), 78, "six to twelve digits"),
        ((), 69, "nothing was written"),
    ],
)
def test_wrong_option_writes_nothing(tmp_path: Path, words: tuple[str, ...], code: int, reason: str) -> None:
    """An option that cannot be, or answers that end: one line, its exit code, and not a file."""
    (tmp_path / "short").write_text("12\n")
    done = setup(tmp_path / "box", *(str(tmp_path / word) if word == "short" else word for word in words))

    assert done.returncode == code
    assert reason in done.stderr.splitlines()[-1]
    assert not (tmp_path / "box").exists()


def test_box_of_a_fleet_is_left_alone(tmp_path: Path) -> None:
    """A box that was enrolled keeps what the bench gave it."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "assignment.json").write_text("{}")

    done = setup(tmp_path, "--yes")

    assert (done.returncode, done.stderr.count("\n")) == (77, 1)
    assert "belongs to a fleet" in done.stderr


def test_user_who_may_not_write_is_told_before_any_question(tmp_path: Path) -> None:
    """An ordinary user at the system's folders gets one line with sudo and the way without it."""
    if os.geteuid() == 0:
        # May read what root's own home has, which nobody else may; may write nothing.
        reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *reads, *PROGRAM, "setup"]
    else:
        command = [*PROGRAM, "setup"]

    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=PATIENCE_S)

    assert (done.returncode, done.stderr.count("\n")) == (77, 1)
    assert "sudo edge-scanner setup" in done.stderr
    assert "--folder" in done.stderr


def test_pin_and_keys_are_private(tmp_path: Path) -> None:
    """Settings may be read by all, the PIN's hash and the identity by their owner."""
    setup(tmp_path / "box", "--yes")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "box").rglob("*")}

    assert modes["scanner.toml"] == 0o644
    assert modes["ops-pin"] == 0o600
    assert (modes["state"], modes["identity.key"], modes["device-id"]) == (0o700, 0o600, 0o600)


@pytest.mark.system
def test_root_leaves_the_files_to_the_services_users(tmp_path: Path) -> None:
    """Run by root, folders, settings, keys and the PIN's hash are the scanner's user's."""
    places = Places(etc=tmp_path / "etc", state=tmp_path / "var" / "state", runtime=tmp_path / "run", user="daemon")

    run_setup(Options(yes=True), language="en", places=places)

    owner = pwd.getpwnam("daemon")
    owners = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.rglob("*")}
    mine = ("etc", "state", "scanner.toml", "device-id", "identity.key", "ops-pin")
    assert {owners[name] for name in mine} == {(owner.pw_uid, owner.pw_gid)}


def test_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    """A planted link at the temporary file's name does not lead root's writing elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / ".scanner.toml.new").symlink_to(victim)

    done = setup(tmp_path / "box", "--yes")

    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "mine"
    assert not (tmp_path / "box" / "scanner.toml").is_symlink()


def test_box_set_up_alone_runs_and_its_page_opens_with_the_pin(tmp_path: Path) -> None:
    """The printed commands work: the daemon counts, the page says that nothing is kept, /ops opens with the PIN."""
    folder = tmp_path / "box"
    made = json.loads(setup(folder, "--yes", "--json", "--name-vi", "Chợ Bến Thành").stdout)
    port = free_port()
    chosen = (folder / "scanner.toml").read_text()
    (folder / "scanner.toml").write_text(chosen.replace("[kiosk]\n", f"[kiosk]\nport = {port}\n"))
    assert made["next"] == [f"edge-scanner {word} --config {folder / 'scanner.toml'}" for word in ("run", "kiosk")]
    words = [step.split()[1:] for step in made["next"]]
    programs = [
        subprocess.Popen([*PROGRAM, *words[0], "--simulate", "20", "--speed", "120"], stderr=subprocess.DEVNULL),
        subprocess.Popen([*PROGRAM, *words[1]], stderr=subprocess.DEVNULL),
    ]
    try:
        page = _eventually(port, "Không lưu gì về bất kỳ ai.")
        entered = _ask(port, "/ops/login", urlencode({"pin": made["pin"]}))
    finally:
        for program in programs:
            program.terminate()
        codes = [program.wait(PATIENCE_S) for program in programs]

    assert "Chợ Bến Thành" in page
    assert entered[0] == 303
    assert codes == [0, 0]


def _ask(port: int, path: str, form: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request("POST" if form else "GET", path, form, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _eventually(port: int, phrase: str) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            status, text = _ask(port, "/")
        except OSError:
            status, text = 0, ""
        if status == 200 and phrase in text:
            return text
        time.sleep(0.1)
    raise AssertionError(f"no {phrase!r} on the page")


def test_refusal_names_the_folder_it_is_about(tmp_path: Path) -> None:
    """In the program, too, a refusal is an error with its place and its reason."""
    (tmp_path / "scanner.toml").write_text("")

    with pytest.raises(RefusedError) as caught:
        run_setup(Options(yes=True, folder=tmp_path))

    assert (caught.value.code, caught.value.where) == ("exists", str(tmp_path / "scanner.toml"))
