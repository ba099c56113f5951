"""X.509 certificates of others: the one place where PEM becomes a certificate.

`cryptography` parses a certificate's names and key only when they are asked for, and what is wrong with them then comes
out as one of many exceptions. Here everything that we ever ask for is read at once, and whatever is wrong is one error.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from edge_scanner.core.errors import BadDataError

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What reading a key, a certificate or a request for one may raise: wrong bytes, a curve or version nobody knows."""


def read(pem: bytes) -> x509.Certificate:
    """The first certificate of a PEM text, with names, dates and a key that can be read; raises BadDataError."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        _ = found.subject, found.issuer, found.public_key(), found.not_valid_before_utc, found.not_valid_after_utc
    except UNREADABLE as error:
        raise BadDataError("not a certificate in PEM form") from error
    return found


def common_name(certificate: x509.Certificate) -> str:
    """The name that mosquitto makes the user name, empty where there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
