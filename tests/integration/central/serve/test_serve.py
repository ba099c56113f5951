"""The centre's page and API over a real socket: who gets what, and what anybody else gets."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from edge_scanner.central.serve import access, export
from edge_scanner.central.serve.access import Proxy
from edge_scanner.central.store.store import BoxList
from tests.support.central import HOUR_S
from tests.support.serving import PASSWORD, SITES, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path


def edge_central(*words: str) -> subprocess.CompletedProcess[str]:
    """The program."""
    command = [sys.executable, "-m", "edge_scanner.central.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"LANG": "C.UTF-8"})


SPAN = f"from={HOUR_S - 86_400}&to={HOUR_S + 3600}"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A filled centre."""
    with serving(tmp_path_factory.mktemp("centre")) as running:
        yield running


class Answer:
    """Status, headers and body."""

    def __init__(self, response: HTTPResponse | urllib.error.HTTPError) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


def ask(served: Served, path: str, who: str | None = "lan", data: bytes | None = None, **headers: str) -> Answer:
    """One request; `who` signs in with a password of its own."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if who:
        sent["Authorization"] = "Basic " + base64.b64encode(f"{who}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(served.url + path, data=data, headers=sent)
    try:
        return Answer(urllib.request.build_opener(_Stay).open(request, timeout=60))
    except urllib.error.HTTPError as error:
        return Answer(error)


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/tree",
        "/api/v1/sites/ks-song-han",
        f"/api/v1/bins?{SPAN}",
        "/api/v1/alarms",
        "/api/v1/metrics",
        "/api/v1/openapi.json",
        "/api/v1/releases/stream",
        "/api/v1/nothing",
    ],
)
def test_a_stranger_gets_nothing_from_the_api(served: Served, path: str) -> None:
    """Not even the description, nor which paths there are."""
    assert [ask(served, path, who=who).status for who in (None, "nobody")] == [401, 401]


@pytest.mark.parametrize("path", ["/", "/sites/ks-song-han", "/docs", "/nothing"])
def test_a_strangers_browser_is_sent_to_sign_in(served: Served, path: str) -> None:
    """Whatever page it asks for."""
    answer = ask(served, path, who=None)

    assert (answer.status, answer.headers["Location"]) == (303, "/login")


def test_health_is_everybodys(served: Served) -> None:
    """It says that the database answers, and nothing else."""
    assert (ask(served, "/healthz", who=None).status, ask(served, "/healthz", who=None).body) == (200, b"ok\n")


def test_every_answer_forbids_a_page_to_misbehave(served: Served) -> None:
    """Also refusals."""
    for path, who in (("/", "lan"), ("/", None), ("/api/v1/tree", None), ("/www/central.js", None)):
        answer = ask(served, path, who=who)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_figures_come_with_their_interval_in_each_form(served: Served) -> None:
    """JSON, CSV and Parquet say the same."""
    rows = ask(served, f"/api/v1/bins?{SPAN}&site=ben-xe-mien-dong").json
    table = list(
        csv.DictReader(io.StringIO(ask(served, f"/api/v1/bins?{SPAN}&site=ben-xe-mien-dong&format=csv").body.decode()))
    )
    frame = pl.read_parquet(ask(served, f"/api/v1/bins?{SPAN}&site=ben-xe-mien-dong&format=parquet").body)

    assert len(rows) == 25
    assert rows[0] == {
        "site": "ben-xe-mien-dong", "start": HOUR_S - 86_400, "step_s": 3600, "boxes": 2, "rule": "separate",
        "minutes": 120, "phones": 80.0, "low": 71.3, "high": 88.7,
    }  # fmt: skip
    assert [float(row["phones"]) for row in table] == [row["phones"] for row in rows]
    assert frame.to_dicts() == rows


def test_every_total_says_what_it_is(tmp_path: Path) -> None:
    """Two boxes in one hall are the larger of them, in two rooms their sum; page and file say which."""
    with serving(tmp_path) as here:
        for rule, phones, words in (
            ("separate", "80.0", "sum of 2 boxes"),
            ("same hall", "40.0", "largest of 2 boxes"),
        ):
            sites = tuple(replace(site, rule=rule) for site in SITES)
            here.store.take_list(
                BoxList(made=1 << 40, digest=rule.encode(), boxes=here.store.read.boxes(), sites=sites)
            )
            line = ask(here, f"/api/v1/bins?{SPAN}&site=ben-xe-mien-dong&format=csv").body.decode().splitlines()[1]
            pages = [ask(here, path, Cookie="lang=en").body.decode() for path in ("/", "/sites/ben-xe-mien-dong")]

            assert f",2,{rule}," in line
            assert f",{phones}," in line
            assert all(words in page for page in pages)
            assert "sum of the places" in pages[0]


def test_a_centre_without_polars_says_so(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet is not implemented there, in one sentence; everything else answers."""
    monkeypatch.setitem(sys.modules, "polars", None)

    refused = ask(served, f"/api/v1/bins?{SPAN}&format=parquet")

    assert refused.status == 501
    assert refused.json == {"detail": export.NO_PARQUET}
    assert [ask(served, f"/api/v1/bins?{SPAN}&format={form}").status for form in ("json", "csv")] == [200, 200]


def test_an_empty_span_is_an_empty_table(served: Served) -> None:
    """With its columns and types."""
    frame = pl.read_parquet(ask(served, "/api/v1/bins?from=0&to=10&format=parquet").body)

    assert (frame.height, frame.schema["phones"].is_float()) == (0, True)


@pytest.mark.parametrize(
    "query",
    [
        "from=0&to=99999999999",
        f"from=0&to={HOUR_S}",
        "from=1",
        "from=-1&to=3",
        f"{SPAN}&step_s=7",
        f"{SPAN}&format=xls",
    ],
)
def test_a_wrong_question_is_refused(served: Served, query: str) -> None:
    """With what is wrong."""
    answer = ask(served, f"/api/v1/bins?{query}")

    assert answer.status == 422
    assert answer.json["detail"]


def test_a_box_is_the_same_wherever_it_is_shown(served: Served) -> None:
    """Its place, the country and the metrics compare it with the newest software of the fleet."""
    everywhere = ask(served, "/api/v1/tree").json["ill"]
    there = ask(served, "/api/v1/sites/ben-xe-mien-dong").json["boxes"]

    assert [box for box in there if box["troubles"]] == [box for box in everywhere if box["site"] == "ben-xe-mien-dong"]
    assert ["ill", "old-set", "outdated"] in [box["troubles"] for box in there]


def test_a_place_that_is_not_listed_is_not_there(served: Served) -> None:
    """The signed list decides, not who has written into the tables."""
    assert ask(served, "/api/v1/sites/nope").status == 404
    assert ask(served, "/sites/nope").status == 404


def test_foreign_text_is_shown_literally(served: Served) -> None:
    """A venue's name and an authority's are neither markup nor escapes."""
    page = ask(served, "/").body.decode()

    assert "<b>Nhà</b>" not in page
    assert "&lt;b&gt;Nhà&lt;/b&gt;" in page
    assert "\x1b" not in page
    assert "<script>" not in page


def test_openings_are_there_without_their_case(served: Served) -> None:
    """Everybody who signs in sees that a log was sent, and to whom."""
    found = ask(served, "/api/v1/sites/ben-xe-mien-dong").json["openings"]

    assert [(one["device"], one["action"], one["authority"]) for one in found] == [
        ("K7MP2R9CX4", "answer", "CDC <script>")
    ]
    times = re.findall(rb">(\d\d\.\d\d\.\d{4} [^<]*)<", ask(served, "/").body)
    assert times
    assert all(time.endswith(b" +07") for time in times)
    assert b"C-1" not in ask(served, "/api/v1/sites/ben-xe-mien-dong").body + ask(served, "/").body


def test_only_an_operator_clears_an_alarm(served: Served) -> None:
    """And the name is kept."""
    number = ask(served, "/api/v1/alarms").json[0]["number"]

    assert ask(served, f"/api/v1/alarms/{number}/clear", data=b"").status == 403
    assert ask(served, f"/api/v1/alarms/{number}/clear", who="minh", data=b"").json == {"cleared": number}
    assert ask(served, f"/api/v1/alarms/{number}/clear", who="minh", data=b"").status == 404
    assert ask(served, "/api/v1/alarms").json == []
    assert ask(served, "/api/v1/alarms?all=true").json[0]["cleared_by"] == "minh"


def _session(served: Served, who: str) -> str:
    form = urllib.parse.urlencode({"name": who, "password": PASSWORD}).encode()
    answer = ask(served, "/login", who=None, data=form, Origin=served.url)
    assert answer.status == 303
    cookie = answer.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
    return str(cookie.partition(";")[0])


def test_another_site_cannot_act_for_who_is_signed_in(served: Served) -> None:
    """A cookie alone changes nothing: the request must come from a page of ours."""
    cookie = _session(served, "minh")

    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert ask(served, "/alarms/1/clear", who=None, data=b"", Cookie=cookie, **origin).status == 403
    assert ask(served, "/alarms/1/clear", who=None, data=b"", Cookie=cookie, Origin=served.url).status == 303
    assert ask(served, "/", who=None, Cookie=cookie).status == 200
    assert ask(served, "/logout", who=None, data=b"", Cookie=cookie, Origin=served.url).status == 303
    assert ask(served, "/", who=None, Cookie=cookie).status == 303


def test_a_wrong_password_says_so(served: Served) -> None:
    """Without saying which of the two was wrong."""
    form = urllib.parse.urlencode({"name": "lan", "password": "not this one"}).encode()

    answer = ask(served, "/login", who=None, data=form, Origin=served.url)

    assert (answer.status, 'role="alert"' in answer.body.decode()) == (403, True)


def test_a_body_is_bounded(served: Served) -> None:
    """Nothing here takes more than a form."""
    assert ask(served, "/login", who=None, data=b"x" * 9000, Origin=served.url).status == 413


def test_the_language_is_remembered(served: Served) -> None:
    """Vietnamese first."""
    assert b'<html lang="vi">' in ask(served, "/").body
    assert "lang=en" in ask(served, "/language/en").headers["Set-Cookie"]
    assert b'<html lang="en">' in ask(served, "/", Cookie="lang=en").body


def test_a_stream_tells_the_newest_hour(served: Served) -> None:
    """At once, as an event of JSON."""
    request = urllib.request.Request(
        f"{served.url}/api/v1/releases/stream",
        headers={"Authorization": "Basic " + base64.b64encode(f"lan:{PASSWORD}".encode()).decode()},
    )
    with urllib.request.urlopen(request, timeout=60) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.readline() == b"event: bins\n"
        rows = json.loads(stream.readline().removeprefix(b"data: "))

    assert {row["site"] for row in rows} == {"ben-xe-mien-dong", "truong-an-phu"}


def test_the_fleet_for_prometheus(served: Served) -> None:
    """Boxes by trouble, alarms, messages of today."""
    text = ask(served, "/api/v1/metrics").body.decode()

    assert "edge_central_boxes 5.0" in text
    assert 'edge_central_boxes_in_trouble{trouble="silent"} 1.0' in text
    assert 'edge_central_boxes_in_trouble{trouble="never"} 1.0' in text
    assert 'edge_central_boxes_in_trouble{trouble="old-set"} 1.0' in text
    assert 'edge_central_boxes_in_trouble{trouble="outdated"} 1.0' in text
    assert 'edge_central_lights{colour="fail",light="radio"} 1.0' in text


def test_a_proxy_signs_people_in(tmp_path: Path) -> None:
    """With the secret that it shares with us; anybody else's headers are nothing."""
    with serving(tmp_path, proxy=Proxy(secret="s" * 32)) as served:
        groups = "edge-central-operators"

        def said(secret: str, path: str = "/", data: bytes | None = None) -> int | None:
            return ask(
                served, path, who=None, data=data, X_Edge_Central_Proxy=secret, X_Forwarded_User="an",
                X_Forwarded_Groups=groups,
            ).status  # fmt: skip

        assert [said("s" * 32), said("t" * 32), said("")] == [200, 303, 303]
        assert said("s" * 32, "/alarms/1/clear", b"") == 403, "a page elsewhere made the browser ask"


def test_an_empty_centre_says_that_it_knows_nothing(tmp_path: Path) -> None:
    """No figures is no quiet country."""
    with serving(tmp_path, filled=False) as served:
        page = ask(served, "/").body.decode()
        assert "Chưa có số liệu nào trong ngày qua." in page
        assert ask(served, "/api/v1/tree").json["root"]["level"] is None


def test_serving_beyond_this_machine_needs_tls(tmp_path: Path) -> None:
    """Passwords never cross a network in the clear, and a users' file must be there: one line, before it listens."""
    settings = tmp_path / "central.toml"
    text = f'[database]\nurl = "sqlite:///{tmp_path}/c.db"\n[serve]\nusers = "{tmp_path}/users.toml"\n'
    settings.write_text(text)
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    missing = edge_central("serve", "--config", str(settings))
    made = edge_central("user", "lan", "--role", "reader", "--password-file", str(secret), "--config", str(settings))
    settings.write_text(text + 'host = "0.0.0.0"\n')
    open_door = edge_central("serve", "--config", str(settings))

    assert (missing.returncode, "cannot read the users" in missing.stderr) == (74, True)
    assert (made.returncode, made.stdout) == (0, f"{tmp_path}/users.toml: lan, reader\n")
    assert (open_door.returncode, "passwords would cross the network in the clear" in open_door.stderr) == (78, True)


def test_where_it_cannot_listen_is_said_in_one_line(tmp_path: Path) -> None:
    """A port or a socket that somebody else has, a certificate that is none: one line and its exit code."""
    settings, users = tmp_path / "central.toml", tmp_path / "users.toml"
    text = f'[database]\nurl = "sqlite:///{tmp_path}/c.db"\n[serve]\nusers = "{users}"\n'
    access.write_user(users, "lan", access.Role.READER, access.hash_password(PASSWORD))
    with (
        socket.create_server(("127.0.0.1", 0)) as port,
        socket.socket(socket.AF_UNIX) as local,
    ):
        local.bind(f"{tmp_path}/taken")
        local.listen()
        number = port.getsockname()[1]
        for line, said, code in (
            (f"port = {number}", f"cannot listen: Address already in use (127.0.0.1:{number}); choose another", 69),
            (f'socket = "{tmp_path}/taken"', f"cannot listen: Address already in use ({tmp_path}/taken)", 69),
            (f'socket = "{tmp_path}/no/socket"', "cannot listen: No such file or directory", 69),
            (f'certificate = "{users}"\nkey = "{users}"', "certificate and key cannot be used", 78),
        ):
            settings.write_text(f"{text}{line}\n")
            found = edge_central("serve", "--config", str(settings))
            assert (found.returncode, found.stderr.count("\n"), said in found.stderr) == (code, 1, True), found.stderr


def test_a_proxys_socket_is_closed_to_others_and_sigterm_ends_in_order(tmp_path: Path) -> None:
    """User and group alone may connect; what a program that was killed left behind is replaced."""
    settings, users, path = tmp_path / "central.toml", tmp_path / "users.toml", tmp_path / "socket"
    access.write_user(users, "lan", access.Role.READER, access.hash_password(PASSWORD))
    settings.write_text(
        f'[database]\nurl = "sqlite:///{tmp_path}/c.db"\n[serve]\nusers = "{users}"\nsocket = "{path}"\n'
    )
    words = [sys.executable, "-m", "edge_scanner.central.cli", "serve", "--config", str(settings)]
    for end, code in ((signal.SIGKILL, -9), (signal.SIGTERM, 0)):
        with subprocess.Popen(words) as program:
            try:
                answer = b""
                while not answer.startswith(b"HTTP/1.1 200"):
                    assert program.poll() is None
                    with socket.socket(socket.AF_UNIX) as link, contextlib.suppress(OSError):
                        link.connect(str(path))
                        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                        answer = link.recv(100)
                assert path.stat().st_mode & 0o777 == 0o660
            finally:
                program.send_signal(end)
            assert program.wait() == code
