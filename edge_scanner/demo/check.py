"""`make demo DEMO_ARGS=--check`: the demo looks at itself for a simulated hour and says in one table what it found.

Every row waits for its fact and for nothing else; the clock of this machine decides only when to give up. All is seen
from outside, as a user sees it: messages by a subscriber at the broker, the log by `edge-scanner log`, pages by HTTP.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from rich.console import Console
from rich.table import Table

from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.messages import topic
from edge_scanner.core.model import MessageKind
from edge_scanner.core.wording import counted
from edge_scanner.demo.stage import CENTRE_USER, SITE, last_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.demo.stage import Stage

DEADLINE_S = 170.0
"""From the start of the command. An idle machine needs a quarter of it."""
PHONES, SPEED = 30, 120.0
"""Half an hour of the usual demo's work: a machine that does other things keeps up with it."""
MINUTES = 60
WEEK_HOURS = 7 * 24
DAY_BINS = 48
DAY_S = 86_400
_PAUSE_S = 1.0
_WIDTH = 110
"""Of the table in a pipe."""
_ANSWER_S = 20.0
_WRONG_PIN = "00000"
"""Too short for a PIN, so it never is the right one."""


class NotYetError(Exception):
    """What a row waits for, in a few words."""


@dataclass(slots=True, kw_only=True)
class Row:
    """One line of the table: what is looked at, how, and what was found in the end."""

    name: str
    look: Callable[[Stage], str]
    found: str = "not looked at"
    good: bool = False


@dataclass(slots=True, kw_only=True)
class Answer:
    """What the kiosk said."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


def run(here: Stage, *, deadline_s: float) -> None:
    """Look until every row is good or `deadline_s` (monotonic) has come, and print the table.

    Raises UnavailableError that names the rows that are not good.
    """
    rows = [Row(name=name, look=look) for name, look in CHECKS.items()]
    with Console(stderr=True).status("looking") as status:
        while not all(row.good for row in rows) and time.monotonic() < deadline_s and _all_run(here, rows[0]):
            for row in rows:
                if not row.good:
                    status.update(f"waiting for: {row.name}")
                    _look(row, here)
            time.sleep(_PAUSE_S)
    Console(width=None if sys.stdout.isatty() else _WIDTH).print(_table(rows))
    if bad := [row.name for row in rows if not row.good]:
        raise UnavailableError(f"not as it should be: {', '.join(bad)}", hint="the table says what was found")


def _all_run(here: Stage, first: Row) -> bool:
    """Whether every program lives; the first row says which one does not."""
    for name, program in here.programs.items():
        if program.poll() is not None:
            first.good, first.found = False, f"{name} has ended: {last_words(here, name)}"
            return False
    return True


def _look(row: Row, here: Stage) -> None:
    try:
        row.found = row.look(here)
        row.good = True
    except NotYetError as error:
        row.found = str(error)
    except (OSError, http.client.HTTPException, subprocess.SubprocessError, ValueError, KeyError) as error:
        row.found = f"{type(error).__name__}: {error}"


def _table(rows: list[Row]) -> Table:
    table = Table(title="make demo, checked by itself over a simulated hour")
    table.add_column("checked")
    table.add_column("found", overflow="fold")
    table.add_column("result")
    for row in rows:
        result = "[green]good[/]" if row.good else "[red]NOT GOOD[/]"
        table.add_row(row.name, row.found.replace("[", r"\["), result)
    return table


def _connected(here: Stage) -> str:
    if not any(body["state"] == "online" for body in _messages(here, MessageKind.STATUS)):
        raise NotYetError("the box has not said that it is online")
    return f"box {here.device_id} is online, by mutual TLS"


def _sealed(here: Stage) -> str:
    frames = int(_box(here, "log", "status", "--json")["frames"])
    if frames < MINUTES:
        raise NotYetError(f"{frames} of {MINUTES} minutes")
    return f"sealed: {counted(frames, 'minute')}"


def _intact(here: Stage) -> str:
    verdict = _box(here, "log", "verify", "--json")
    if verdict["holds"] is not True or verdict["frames"] < MINUTES:
        raise NotYetError(f"{verdict['frames']} of {MINUTES} minutes")
    return f"{verdict['frames']} frames are intact and in order, checked without any key"


def _counted(here: Stage) -> str:
    counts = [body for body in _messages(here, MessageKind.COUNTS) if body["bin_start"] >= here.begins_s]
    if not counts:
        raise NotYetError("no counts message yet")
    first = counts[0]
    minutes, figures = first["minutes_covered"], len(first["figures"])
    return f"one hour ({minutes} of {MINUTES} minutes counted), {figures} figures, noise of scale {first['scale']:.0f}"


def _published_head(here: Stage) -> str:
    heads = _messages(here, MessageKind.CHECKPOINT)
    if not heads:
        raise NotYetError("no checkpoint message yet")
    return f"{heads[-1]['segments']} finished hour(s), the signed tree head is out"


def _centre(here: Stage) -> str:
    rows = json.loads(_ask_centre(here, f"/api/v1/bins?from={here.begins_s}&to={here.begins_s + DAY_S}").text)
    if not rows:
        raise NotYetError("no hour in the API yet")
    start, phones, low, high = (rows[0][name] for name in ("start", "phones", "low", "high"))
    if rows[0]["site"] != SITE or phones is None:
        raise NotYetError(f"the API's first hour has no figure of {SITE}")
    page = _ask_centre(here, f"/sites/{SITE}?days=1")
    if page.status != http.HTTPStatus.OK or f"[{start}, {phones}, {low}, {high}]" not in page.text:
        raise NotYetError(f"the page ({page.status}) does not show the API's {phones} phones")
    if alarms := json.loads(_ask_centre(here, "/api/v1/alarms").text):
        raise NotYetError(f"the witness raised an alarm: {alarms[0]['what']}")
    return f"the first hour in the API and on the page: {phones:.0f} phones ({low:.0f} to {high:.0f})"


def _page(here: Stage) -> str:
    document = _document(here)
    words = document["word"]
    if document["level"] == "unknown":
        raise NotYetError(f"the page says: {words['en']}")
    html = _ask(here, "/").text
    if any(f'data-text="word.{language}">{words[language]}<' not in html for language in ("vi", "en")):
        raise NotYetError(f"the page does not show the word {words['en']}")
    return f"{words['vi']} · {words['en']}, in both languages"


def _curves(here: Stage) -> str:
    document = _document(here)
    today, usual = len(document["today"]), len(document["usual"])
    if usual < DAY_BINS or not today:
        raise NotYetError(f"{today} bins of today, {usual} of a usual day")
    return f"{counted(today, 'bin')} of today, {usual} of {document['chart_usual']['en']}"


def _locked(here: Stage) -> str:
    bare, wrong = _ask(here, "/ops").status, _enter(here, _WRONG_PIN).status
    if (bare, wrong) != (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.UNAUTHORIZED):
        raise NotYetError(f"it answered {bare} without a PIN and {wrong} to a wrong one")
    return "refuses no PIN and a wrong PIN"


def _opened(here: Stage) -> str:
    entered = _enter(here, here.pin)
    cookie = entered.headers.get("set-cookie", "").partition(";")[0]
    if entered.status != http.HTTPStatus.SEE_OTHER or not cookie:
        raise NotYetError(f"the PIN was answered with {entered.status}")
    page, sheet = _ask(here, "/ops", cookie=cookie), _ask(here, "/ops.csv", cookie=cookie)
    hours = sheet.text.count("\n") - 1
    if page.status != http.HTTPStatus.OK or here.device_id[:4] not in page.text or hours < WEEK_HOURS - 1:
        raise NotYetError(f"page {page.status}, {hours} hours of the week")
    return f"opens with the printed PIN; {counted(hours, 'hour')} of the week to download"


CHECKS: dict[str, Callable[[Stage], str]] = {
    "programs and broker": _connected,
    "sealed log": _sealed,
    "sealed log, verified": _intact,
    "counts at the broker": _counted,
    "log's head at the broker": _published_head,
    "centre's page": _centre,
    "venue's page": _page,
    "three weeks of history": _curves,
    "operator's page, locked": _locked,
    "operator's page": _opened,
}


def _messages(here: Stage, kind: MessageKind) -> list[dict[str, Any]]:
    """The whole messages of a kind that the subscriber at the broker has written so far."""
    found, wanted = [], topic(here.device_id, kind)
    for line in here.log("tail").read_text(errors="replace").split("\n")[:-1]:
        spoken_on, _, payload = line.partition(" ")
        if spoken_on == wanted:
            found.append(json.loads(payload))
    return found


def _box(here: Stage, *words: str) -> Any:
    command = here.box(*words)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_ANSWER_S * 2)  # noqa: S603 (our own program)
    if not done.stdout:
        raise NotYetError(done.stderr.strip() or "no answer")
    return json.loads(done.stdout)


def _ask(here: Stage, path: str, *, cookie: str = "", form: dict[str, str] | None = None) -> Answer:
    headers = {"Cookie": cookie} if cookie else {}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    return _request(here.kiosk_port, path, headers, form)


def _ask_centre(here: Stage, path: str) -> Answer:
    word = b64encode(f"{CENTRE_USER}:{here.centre_password}".encode()).decode()
    return _request(here.centre_port, path, {"Authorization": f"Basic {word}"})


def _request(port: int, path: str, headers: dict[str, str], form: dict[str, str] | None = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET" if form is None else "POST", path, urlencode(form or {}), headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(status=answer.status, text=answer.read().decode(errors="replace"), headers=found)
    finally:
        connection.close()


def _enter(here: Stage, pin: str) -> Answer:
    return _ask(here, "/ops/login", form={"pin": pin})


def _document(here: Stage) -> Any:
    """The first document of the page's event stream: what the page's script is given."""
    connection = http.client.HTTPConnection("127.0.0.1", here.kiosk_port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/events")
        answer = connection.getresponse()
        event = ""
        while line := answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "data" and event == "document":
                return json.loads(value)
            event = value if name == "event" else event
    finally:
        connection.close()
    raise NotYetError("the page's stream has no document")
