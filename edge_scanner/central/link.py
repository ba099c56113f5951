"""How the centre's programs reach the central broker: MQTT 5, mutual TLS, the certificate's name as client id."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from edge_scanner.core.errors import ConfigurationError
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
        found = x509.load_pem_x509_certificate(certificate.read_bytes()).subject.get_attributes_for_oid(
            NameOID.COMMON_NAME
        )
        return str(found[0].value)
    except (OSError, ValueError, IndexError) as error:
        raise ConfigurationError("cannot read our certificate", where=str(certificate)) from error
