"""How the centre's programs reach the central broker: MQTT 5, mutual TLS, the certificate's name as client id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_scanner import small_files
from edge_scanner.core import certificates
from edge_scanner.core.errors import BadDataError, ConfigurationError
from edge_scanner.mqtt.broker import BrokerSettings

if TYPE_CHECKING:
    from edge_scanner.central.settings import Mqtt, Time


def broker_settings(mqtt: Mqtt, own: Time | None = None) -> BrokerSettings:
    """The broker of `[mqtt]`, with another certificate where one is given; 3.1.1 has no receive maximum."""
    files = own or mqtt
    return BrokerSettings(
        host=mqtt.host,
        port=mqtt.port,
        ca=Path(mqtt.ca),
        certificate=Path(files.certificate),
        key=Path(files.key),
        protocol="5",
    )


def client_name(certificate: Path) -> str:
    """The common name of our certificate, which the broker makes our client id; raises ConfigurationError."""
    try:
        name = certificates.common_name(certificates.read(small_files.content(certificate)))
    except (OSError, BadDataError) as error:
        raise ConfigurationError("cannot read our certificate", where=str(certificate)) from error
    if not name:
        raise ConfigurationError("cannot read our certificate", where=str(certificate))
    return name
