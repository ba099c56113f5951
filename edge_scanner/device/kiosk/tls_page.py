"""Where the page listens: in the clear, or by HTTPS for the venue's network and in the clear for the box alone."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_scanner.device.kiosk.settings import KioskSettings

CERTIFICATE, KEY = "page-cert.pem", "page-key.pem"
"""In `operator_dir`."""
LOOPBACK = "127.0.0.1"
_HANDSHAKE_S = 5.0
"""For a connection that has not proved yet that it speaks TLS."""


def places(settings: KioskSettings) -> list[tuple[str, int, ssl.SSLContext | None]]:
    """Host, port and TLS of each listener; raises ConfigurationError for a certificate that cannot be used."""
    if not settings.tls_port:
        return [(settings.host, settings.port, None)]
    return [(LOOPBACK, settings.port, None), (settings.host, settings.tls_port, _context(settings))]


async def listen(
    protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int, tls: ssl.SSLContext | None
) -> asyncio.Server:
    """A listener; raises OSError."""
    loop = asyncio.get_running_loop()
    if tls is None:
        return await loop.create_server(protocol, host, port)
    return await loop.create_server(protocol, host, port, ssl=tls, ssl_handshake_timeout=_HANDSHAKE_S)


def _context(settings: KioskSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    folder = settings.operator_dir
    if folder is None:
        raise ConfigurationError(
            "tls_port has no folder for its certificate", where="[kiosk] operator_dir", hint="name one"
        )
    try:
        small_files.check(folder / CERTIFICATE, folder / KEY)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            "the page's certificate and key cannot be used",
            where=str(folder / CERTIFICATE),
            hint="delete both: the box makes new ones",
        ) from error
    return context
