"""Who tries to get more of the centre's page than is theirs: other people's pages, guessers, half requests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.serve import connections, stream
from edge_scanner.central.serve.access import FREE_GUESSES
from tests.support.serving import PASSWORD, Served, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASIC = "Basic " + base64.b64encode(f"minh:{PASSWORD}".encode()).decode()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A filled centre whose clock for guesses stands still."""
    with serving(tmp_path, clock=lambda: 0.0) as running:
        yield running


def host(served: Served) -> str:
    """Name and port."""
    return served.url.removeprefix("http://")


def ask(served: Served, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> http.client.HTTPResponse:
    """One request with exactly these headers."""
    link = http.client.HTTPConnection(host(served), timeout=60)
    link.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in ({"Host": host(served)} | headers).items():
        link.putheader(name, value)
    link.endheaders(body)
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer


def sign_in(served: Served, name: str, password: str, **headers: str) -> http.client.HTTPResponse:
    """The form, sent from our own page."""
    form = urllib.parse.urlencode({"name": name, "password": password}).encode()
    own = {
        "Origin": served.url, "Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(form)),
    }  # fmt: skip
    return ask(served, "POST", "/login", own | headers, form)


@pytest.mark.parametrize("name", ["x/www/", "x:1/www/", "x/www/?", "x/healthz#", "x\\www\\", "/www/", "x/login?", ""])
def test_no_name_of_ours_opens_a_door(served: Served, name: str) -> None:
    """The path decides who may in, whatever the Host header makes of it."""
    assert ask(served, "GET", "/api/v1/tree", {"Host": name}).status in {400, 401}


@pytest.mark.parametrize("path", ["//www/../api/v1/tree", "/www/../api/v1/tree", "/www/..%2fapi%2fv1%2ftree", "/www/x"])
def test_no_path_leads_out_of_the_open_folder(served: Served, path: str) -> None:
    """What begins like a style sheet is a style sheet."""
    assert ask(served, "GET", path, {}).status in {303, 404}


def test_a_password_that_a_browser_knows_acts_for_no_other_page(served: Served) -> None:
    """A browser sends it along from any page; a program says no origin."""
    for origin in ("https://evil.example", "null"):
        refused = ask(served, "POST", "/api/v1/alarms/1/clear", {"Authorization": BASIC, "Origin": origin})
        assert refused.status == 403
    assert len(served.store.read.alarms()) == 1
    assert ask(served, "POST", "/api/v1/alarms/1/clear", {"Authorization": BASIC}).status == 200


def test_nobody_is_signed_in_by_another_page(served: Served) -> None:
    """Not even as somebody whose password that page's owner knows."""
    assert sign_in(served, "minh", PASSWORD, Origin="https://evil.example").status == 403


def test_guesses_at_once_are_counted_one_by_one(served: Served) -> None:
    """Thirty together are no more than the free ones and one."""
    with ThreadPoolExecutor(30) as crowd:
        answers = list(crowd.map(lambda number: sign_in(served, "minh", f"wrong password {number}").status, range(30)))

    assert set(answers) == {403}
    assert served.access._guesses["minh"][0] == FREE_GUESSES + 1
    assert sign_in(served, "minh", PASSWORD).status == 403, "the pause has begun"
    assert sign_in(served, "lan", PASSWORD).status == 303, "nobody else's"


@pytest.mark.parametrize("coding", ["chunked", "Chunked"])
def test_a_body_without_a_length_is_refused(served: Served, coding: str) -> None:
    """However it is written."""
    assert ask(served, "POST", "/login", {"Origin": served.url, "Transfer-Encoding": coding}).status == 413


def test_a_stranger_chooses_a_language(served: Served) -> None:
    """The page to sign in has the link, so it works there."""
    answer = ask(served, "GET", "/language/en", {})

    assert (answer.status, "lang=en" in (answer.headers["Set-Cookie"] or "")) == (303, True)


def test_behind_a_proxy_with_tls_the_cookie_never_goes_in_the_clear(served: Served) -> None:
    """The browser's origin says that it speaks TLS; without TLS the cookie comes back all the same."""
    there = {"Host": "central.example.vn", "Origin": "https://central.example.vn"}

    assert "; Secure" in sign_in(served, "lan", PASSWORD, **there).headers["Set-Cookie"]
    assert "; Secure" not in sign_in(served, "lan", PASSWORD).headers["Set-Cookie"]


def test_signing_in_ends_the_session_before(served: Served) -> None:
    """A browser has one session."""
    cookie = sign_in(served, "lan", PASSWORD).headers["Set-Cookie"].partition(";")[0]
    assert ask(served, "GET", "/", {"Cookie": cookie}).status == 200

    sign_in(served, "minh", PASSWORD, Cookie=cookie)

    assert ask(served, "GET", "/", {"Cookie": cookie}).status == 303


FORM = b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\nname="


@pytest.mark.parametrize(
    "half",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", b"POST /login HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\n" + FORM],
    ids=["nothing", "half a head", "half a body"],
)
def test_who_asks_for_nothing_whole_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: bytes) -> None:
    """Places are few, and everybody may connect; a stream that is open stays."""
    monkeypatch.setattr(connections, "REQUEST_S", 0.3)
    with serving(tmp_path) as served, contextlib.closing(http.client.HTTPConnection(host(served), timeout=60)) as link:
        link.request("GET", "/api/v1/releases/stream", headers={"Authorization": BASIC})
        events = link.getresponse()
        name, _, port = host(served).partition(":")
        with socket.create_connection((name, int(port)), timeout=60) as idle:
            idle.sendall(half)
            with contextlib.suppress(ConnectionResetError):
                assert idle.recv(1) == b""
        assert events.readline() == b"event: bins\n"
        assert ask(served, "GET", "/healthz", {}).status == 200


async def test_streams_share_one_question_and_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten readers are one question to the database; after its time a stream ends, so that its reader is asked anew."""
    monkeypatch.setattr(stream, "LONGEST_S", 1.0)
    with serving(tmp_path) as served:
        here, asked = served.here, []

        async def gone() -> bool:
            return False

        def row(one: object, _step_s: int) -> object:
            asked.append(one)
            return one

        async def listen() -> list[str]:
            return [event async for event in stream.events(here, row, ended=gone, look_s=3.0)]  # type: ignore[arg-type]

        async with asyncio.timeout(60):
            heard = await asyncio.gather(*(listen() for _ in range(10)))

        assert {tuple(events) for events in heard} == {tuple(heard[0])}
        assert len(asked) < len(heard), "two sites with figures, hardly more than once"
        assert here.streams.open == 0
