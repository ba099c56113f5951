"""A real kiosk process beside a snapshot file that the test writes, and Debian's Chromium to look at it."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from edge_scanner.core import operator_pin as pin
from edge_scanner.core import snapshot
from edge_scanner.device.kiosk import certificate
from edge_scanner.device.kiosk.settings import KioskSettings, to_arguments
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_scanner.core.snapshot import Snapshot

PIN = "246810"
PIN_LINE = pin.hash_pin(PIN, bytes(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningKiosk:
    """A kiosk's address, its snapshot file and its process."""

    url: str
    folder: Path
    process: asyncio.subprocess.Process

    def write(self, content: Snapshot | bytes) -> None:
        """Replace the snapshot atomically, as the daemon does."""
        data = content if isinstance(content, bytes) else snapshot.to_json(content)
        fresh = self.folder / "snapshot.new"
        fresh.write_bytes(data)
        fresh.replace(self.folder / "snapshot.json")


@contextlib.asynccontextmanager
async def running_kiosk(
    folder: Path,
    first: Snapshot | bytes | None = None,
    *,
    with_pin: bool = True,
    host: str = "127.0.0.1",
    lan: bool = False,
    api_origin: str = "",
    config: Path | None = None,
    tls_port: int = 0,
    gates: tuple[str, ...] = (),
    gate_name: str = "",
    hall_rule: str = "separate",
) -> AsyncIterator[RunningKiosk]:
    """The program in a process of its own until the block ends; `first` is the snapshot it finds.

    With `config`, a settings file, the operator may set things, in the folder `operator`; with `tls_port` the page is
    served there by HTTPS, too. `gates` are lines of the
    setting `[gates] others`.
    """
    if with_pin:
        (folder / "ops-pin").write_text(PIN_LINE, encoding="ascii")
    port = free_port()
    if first is not None:
        data = first if isinstance(first, bytes) else snapshot.to_json(first)
        (folder / "snapshot.json").write_bytes(data)
    root = Path(__file__).parents[2]
    settings = KioskSettings(
        snapshot=folder / "snapshot.json",
        host=host,
        port=port,
        ops_pin_file=folder / "ops-pin",
        ops_on_lan=lan,
        api_origin=api_origin,
        config=config,
        operator_dir=folder / "operator" if config or tls_port else None,
        tls_port=tls_port,
        gates=gates,
        gate_name=gate_name,
        hall_rule=hall_rule,
    )
    if settings.operator_dir:
        _make(settings.operator_dir, with_certificate=bool(tls_port))
    with (folder / "journal").open("ab") as journal:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "edge_scanner.device.kiosk", *to_arguments(settings)),
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root), "MALLOC_ARENA_MAX": "2"},
            stderr=journal,
        )
    kiosk = RunningKiosk(url=f"http://127.0.0.1:{port}", folder=folder, process=process)
    try:
        await _answers(kiosk)
        yield kiosk
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _make(operator_dir: Path, *, with_certificate: bool) -> None:
    operator_dir.mkdir(exist_ok=True)
    if with_certificate:
        certificate.ensure(operator_dir, dt.datetime.now(dt.UTC))


async def _answers(kiosk: RunningKiosk) -> None:
    async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(kiosk.url + "/healthz") as answer:
                    if answer.status == 200:
                        return
            if kiosk.process.returncode is not None:
                raise AssertionError((kiosk.folder / "journal").read_text())
            await asyncio.sleep(0.05)
