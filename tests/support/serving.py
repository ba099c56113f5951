"""The centre's page and API on a real socket, before a store that the test fills."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.central.serve import access, server
from edge_scanner.central.serve.access import Role
from edge_scanner.central.serve.state import Centre
from edge_scanner.central.store.model import Alarm, Batch, Box, Site
from edge_scanner.central.store.store import BoxList, open_store
from tests.support.central import HOUR_S, release, state, statement
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge_scanner.central.store.store import Store

NOW_S = HOUR_S + 4000.0
PASSWORD = "bốn từ dễ nhớ thôi"
PEOPLE = {"lan": Role.READER, "minh": Role.OPERATOR}
SAIGON = {"province": "TP. Hồ Chí Minh", "district": "Thủ Đức"}
SITES = (
    Site(site="ben-xe-mien-dong", name="Bến xe Miền Đông", kind="station", **SAIGON),
    Site(site="truong-an-phu", name="Trường THCS An Phú", kind="school", **SAIGON),
    Site(site="ks-song-han", name="Khách sạn Sông Hàn", province="Đà Nẵng", district="Hải Châu", kind="hotel"),
    Site(site="khong-tinh", name="<b>Nhà</b> \x1b[31m", province="", district="", kind=""),
)
BOXES = {
    "K7MP2R9CX4": ("ben-xe-mien-dong", "Cửa 1"),
    "A1B2C3D4E5": ("ben-xe-mien-dong", "Cửa 2"),
    "ZYXWVTSRQP": ("truong-an-phu", "Cổng"),
    "M9NRZ10G7C": ("ks-song-han", "Sảnh"),
    "E3NMHRFZ68": ("khong-tinh", ""),
}


def fill(store: Store, now_s: float = NOW_S, hours: int = 30) -> None:
    """Two provinces and a place of none; one box ill, one silent, one never heard, one out of date."""
    store.take_list(
        BoxList(
            made=int(now_s),
            digest=b"list",
            boxes=tuple(
                Box(device=device, site=site, room=room, state="enrolled", identity=bytes(32))
                for device, (site, room) in BOXES.items()
            ),
            sites=SITES,
        )
    )
    last = int(now_s) // 3600 * 3600 - 3600
    figures = {"nearby": 2400, "bluezone": 900, "bluezone_presence": 120}
    releases = tuple(
        release(device, last - 3600 * back, site=BOXES[device][0], figures=figures, scale=130.0, tracing_scale=20.0)
        for device in ("K7MP2R9CX4", "A1B2C3D4E5", "ZYXWVTSRQP")
        for back in range(hours)
    )
    well = {"light": "ok", "code": ""}
    states = []
    for device, heard_s, software, radio in (
        ("K7MP2R9CX4", now_s - 60, "1.10.0", well),
        ("A1B2C3D4E5", now_s - 60, "1.9.0", {"light": "fail", "code": "RAD-03"}),
        ("ZYXWVTSRQP", now_s - 7200, "1.10.0", well),
        ("M9NRZ10G7C", now_s - 60, "1.10.0", well),
    ):
        about = {"software": software, "state": "online", "recipients_version": 1 if radio is not well else 2}
        health = {"lights": {"radio": radio, "log": well}, "certificate_expires": int(now_s + 90 * 86_400)}
        for kind, body in (("status", about), ("health", health)):
            at = int(heard_s)
            states.append(state(device, kind, at=at, received=at, body={"boot": 12, "seq": 1, **body}))
    entry = {"action": "answer", "authority": "CDC <script>", "case": "C-1", "code": "", "number": 1}
    opened = statement(payload=json.dumps(entry).encode(), at=int(now_s) - 600, received=int(now_s) - 599)
    alarm = Alarm(
        device="A1B2C3D4E5", kind="fork", mark="3", raised=int(now_s) - 300, what="two logs of one size",
        evidence={"message": "bQ=="},
    )  # fmt: skip
    batch = Batch(releases=releases, states=tuple(states), statements=(opened,), alarms=(alarm,))
    store.keep(batch, now_s=now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server."""

    url: str
    store: Store
    access: access.Access
    here: Centre


@contextlib.contextmanager
def serving(
    folder: Path,
    *,
    proxy: access.Proxy | None = None,
    filled: bool = True,
    now_s: float = NOW_S,
    clock: Callable[[], float] = time.monotonic,
    url: str = "",
) -> Iterator[Served]:
    """The server in a thread of its own, on a port of its own; `url` is another database than one in `folder`."""
    kept = {name: (role, access.hash_password(PASSWORD)) for name, role in PEOPLE.items()}
    with open_store(url or f"sqlite:///{folder}/central.db") as store:
        if filled:
            fill(store, now_s)
        here = Centre(
            store=store,
            access=access.Access(users=lambda: kept, now=clock, proxy=proxy),
            now=lambda: now_s,
            silent_s=900,
            time_zone="Asia/Ho_Chi_Minh",
        )
        running, listening = server.over_http(server.make(here)), socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not running.started and time.monotonic() < deadline:
            time.sleep(0.01)
        port = listening.getsockname()[1]
        try:
            yield Served(url=f"http://127.0.0.1:{port}", store=store, access=here.access, here=here)
        finally:
            running.should_exit = True
            thread.join(PATIENCE_S)
