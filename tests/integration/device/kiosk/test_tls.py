"""The page by HTTPS for the venue's network: a certificate of the box, and in the clear for the box alone."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from cryptography import x509

from edge_scanner.core import snapshot
from edge_scanner.core.errors import BadDataError, ConfigurationError, StorageError
from edge_scanner.device import settings
from edge_scanner.device.kiosk import certificate, tls_page
from edge_scanner.device.kiosk.settings import KioskSettings, from_arguments, to_arguments
from tests.support import snapshots
from tests.support.disks import without_end
from tests.support.kiosk import PIN, PIN_LINE
from tests.support.ports import free_port
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[4]
NETWORK = "127.0.0.2"
"""What stands for the venue's network: another address than the one that the box's own screen asks."""
NOW = dt.datetime(2026, 11, 28, tzinfo=dt.UTC)


class Box:
    """A box whose page is served by HTTPS; the folders and ports."""

    def __init__(self, folder: Path) -> None:
        self.page, self.config = folder / "page", folder / "scanner.toml"
        self.port, self.tls_port = free_port(), free_port()
        self.page.mkdir(mode=0o755)
        (folder / "pin").write_text(f"{PIN_LINE}\n")
        (folder / "snapshot.json").write_bytes(snapshot.to_json(snapshots.snapshot()))
        self.config.write_text(
            f'[device]\nruntime_dir = "{folder}"\n[kiosk]\nhost = "{NETWORK}"\nport = {self.port}\nlan = true\n'
            f'tls_port = {self.tls_port}\noperator_dir = "{self.page}"\nops_pin_file = "{folder}/pin"\n'
        )

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """What systemd starts, until it answers."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "edge_scanner.device.unit", "kiosk", str(self.config)),
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            await eventually(lambda: process.returncode is not None or _open(NETWORK, self.tls_port))
            assert process.returncode is None
            yield
        finally:
            process.terminate()
            await process.wait()


def _open(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def trusting(folder: Path) -> ssl.SSLContext:
    """A browser that was told that this certificate is the box's."""
    context = ssl.create_default_context(cafile=str(folder / tls_page.CERTIFICATE))
    context.check_hostname = False
    return context


async def test_the_network_gets_https_and_the_box_itself_plain_http(tmp_path: Path) -> None:
    """The fingerprint of the command is the browser's; the operator's form and its cookie work and stay encrypted."""
    box = Box(tmp_path)
    async with box.serving(), aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        there = f"https://{NETWORK}:{box.tls_port}"
        seen = ssl.get_server_certificate((NETWORK, box.tls_port))
        async with browser.get(f"{there}/", ssl=trusting(box.page)) as public:
            assert public.status == 200
        async with browser.post(
            f"{there}/ops/login", data={"pin": PIN}, headers={"Origin": there}, ssl=trusting(box.page),
            allow_redirects=False,
        ) as entered:  # fmt: skip
            assert entered.status == 303
            (cookie,) = entered.cookies.values()
            assert cookie["secure"] is True
        async with browser.post(
            f"{there}/ops/login", data={"pin": PIN}, headers={"Origin": there.replace("https", "http")},
            ssl=trusting(box.page),
        ) as foreign:  # fmt: skip
            assert foreign.status == 403
        async with browser.get(f"http://127.0.0.1:{box.port}/healthz") as own:
            assert own.status == 200
        assert not _open(NETWORK, box.port)

    command = [sys.executable, "-m", "edge_scanner.device.cli", "page-certificate", "--config", str(box.config)]
    told = await asyncio.to_thread(
        subprocess.run,
        [*command, "--json"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(seen)).hexdigest()
    assert json.loads(told.stdout)["sha256"].replace(":", "").lower() == digest
    assert (box.page / tls_page.KEY).stat().st_mode & 0o777 == 0o600


async def test_who_does_not_finish_a_handshake_keeps_nobody_out(tmp_path: Path) -> None:
    """A hundred connections that say nothing are there while the page is asked; so is plain HTTP at the wrong port."""
    box = Box(tmp_path)
    async with box.serving(), aiohttp.ClientSession() as browser, contextlib.AsyncExitStack() as stack:
        for _ in range(100):
            _, writer = await asyncio.open_connection(NETWORK, box.tls_port)
            stack.callback(writer.close)
        with pytest.raises(aiohttp.ClientError):
            await browser.get(f"http://{NETWORK}:{box.tls_port}/")
        async with browser.get(f"https://{NETWORK}:{box.tls_port}/healthz", ssl=trusting(box.page)) as answer:
            assert answer.status == 200


def test_a_certificate_is_kept_until_its_last_month(tmp_path: Path) -> None:
    """No browser asks again at each start; the next one comes in time, and no telephone's clock is too slow for it."""
    certificate.ensure(tmp_path, NOW)
    first = certificate.shown(tmp_path)
    certificate.ensure(tmp_path, first.until - dt.timedelta(days=31))
    assert certificate.shown(tmp_path) == first
    certificate.ensure(tmp_path, first.until - dt.timedelta(days=29))
    assert certificate.shown(tmp_path).fingerprint != first.fingerprint

    made = x509.load_pem_x509_certificate((tmp_path / tls_page.CERTIFICATE).read_bytes())
    assert made.not_valid_after_utc - made.not_valid_before_utc <= dt.timedelta(days=825)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert f"{socket.gethostname().partition('.')[0]}.local" in names.get_values_for_type(x509.DNSName)


def test_a_venue_s_own_certificate_is_never_replaced(tmp_path: Path) -> None:
    """Not even when it has ended."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/O=Ben xe/CN=box", "-days", "1", "-keyout", str(tmp_path / tls_page.KEY)),
            *("-out", str(tmp_path / tls_page.CERTIFICATE)),
        ],
        check=True,
        capture_output=True,
    )
    before = certificate.shown(tmp_path)

    certificate.ensure(tmp_path, before.until + dt.timedelta(days=400))

    assert certificate.shown(tmp_path) == before


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """The same port twice, no folder, no certificate, half of one, one that nobody writes."""
    with pytest.raises(ConfigurationError, match="tls_port"):
        settings.parse(b"[kiosk]\ntls_port = 8080\n", name="s.toml")
    with pytest.raises(ConfigurationError, match="no folder"):
        tls_page.places(KioskSettings(snapshot=tmp_path, tls_port=8443))
    with pytest.raises(StorageError, match="no certificate yet"):
        certificate.shown(tmp_path)
    certificate.ensure(tmp_path, NOW)
    (tmp_path / tls_page.KEY).write_text("")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        tls_page.places(KioskSettings(snapshot=tmp_path, tls_port=8443, operator_dir=tmp_path))
    without_end(tmp_path / tls_page.CERTIFICATE, "pipe")
    with pytest.raises(BadDataError, match="not a certificate"):
        certificate.shown(tmp_path)


def test_the_port_survives_the_way_to_the_process(tmp_path: Path) -> None:
    """As every setting of the page does."""
    told = KioskSettings(snapshot=tmp_path, operator_dir=tmp_path, tls_port=8443)
    assert from_arguments(to_arguments(told)) == told
