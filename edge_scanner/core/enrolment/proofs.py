"""What tells a box of ours from a stranger's board: a secret that lies on the card image of its batch.

The box shows that it has the secret with a code over its request (HMAC-SHA256, RFC 2104), so the secret is never on the
cable, and the code fits no other keys and no other board. A box takes the secret off its card once it has a name.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_scanner.core.enrolment.documents import Request

SECRET_BYTES = 32
FILE = "enrol.secret"
"""Its name beside the settings; the content is the secret in hex."""
_LABEL = "edge-scanner enrolment proof v1"


def prove(secret: bytes, *, serial: str, identity: str, csr: str) -> str:
    """The code for a request with these marks, hex."""
    message = f"{_LABEL}\0{serial}\0{identity}\0{csr}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def proven(secret: bytes, request: Request) -> bool:
    """Whether whoever wrote this request has the secret."""
    wanted = prove(secret, serial=request.serial, identity=request.identity, csr=request.csr)
    return hmac.compare_digest(wanted.encode(), request.proof.encode())


def read(text: str) -> bytes:
    """The secret in the file's text; b"" where it is none."""
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        return b""
    return secret if len(secret) == SECRET_BYTES else b""
