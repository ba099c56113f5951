"""A stranger's bench that answers a byte now and then."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from edge_scanner.core.errors import RefusedError, UnavailableError
from edge_scanner.device.enrolment import bench_client
from edge_scanner.device.enrolment.bench_client import BenchLink

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 60000\r\n\r\n"


@pytest.mark.parametrize("at_once", [b"", HEAD, LAST], ids=["head", "body", "body of a line's last answer"])
def test_a_bench_that_never_comes_to_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch, at_once: bytes) -> None:
    """Each byte comes in time, the answer does not: one error, and soon."""
    monkeypatch.setattr(bench_client, "WHOLE_S", 1.0)
    monkeypatch.setattr(bench_client, "TRIES", 1)
    stop = threading.Event()

    def drip(ear: socket.socket) -> None:
        link, _ = ear.accept()
        with link, contextlib.suppress(OSError):
            link.sendall(at_once)
            for byte in b"x" * 600 if at_once else HEAD + b"x" * 600:
                if stop.wait(0.1):
                    return
                link.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as ear:
        thread = threading.Thread(target=drip, args=(ear,))
        thread.start()
        began = time.monotonic()
        with pytest.raises(UnavailableError, match="does not answer"):
            BenchLink("127.0.0.1", ear.getsockname()[1]).manifest()
        took = time.monotonic() - began
        stop.set()
        thread.join()
    assert took < 60, "sixty seconds would be the whole drip"


def test_a_refusal_that_is_nested_without_end_is_a_refusal() -> None:
    """A stranger's bench may answer anything."""

    def refuse(ear: socket.socket) -> None:
        link, _ = ear.accept()
        with link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n" + b"[" * 50_000)

    with socket.create_server(("127.0.0.1", 0)) as ear:
        thread = threading.Thread(target=refuse, args=(ear,))
        thread.start()
        with pytest.raises(RefusedError, match="without a reason"):
            BenchLink("127.0.0.1", ear.getsockname()[1]).manifest()
        thread.join()
