"""Where box and bench meet on the local switch: one multicast group, one beacon text, the paths of the bench's pages.

The bench calls every two seconds over IPv6 link-local multicast, which works on a dumb switch: no router, no DHCP, no
name service, no address to type. It beat mDNS (a daemon and a library on both sides for one word) and a fixed IPv4
address (which a laptop with another network in use does not have). The beacon only says where to ask; whom to believe
is decided by signatures (core/enrolment/documents.py).
"""

from __future__ import annotations

import re

GROUP = "ff12::6564:6765"
"""A transient link-local group (RFC 4291): `edge` in its last four bytes."""
BEACON_PORT = 47110
HTTP_PORT = 47111
BEACON_S = 2.0

HOST = "bench"
"""The Host header of every question. A page in somebody's browser cannot say it without an Origin."""
CONTENT_TYPE = "application/vnd.edge-scanner"
"""Of every POST. A foreign page may send none but a few types without asking first, and this is not one of them."""

SIGNER = "/v1/signer"
"""The fleet's public key, for a box whose image pins none: it believes its first bench."""
MANIFEST = "/v1/manifest"
TIME = "/v1/time"
ENROL = "/v1/enrol"
REPORT = "/v1/report"
SOFTWARE = "/v1/software/"

BOOT_PREFIX = "boot-"
"""A bootstrap certificate is named `boot-<id>`: it may ask for a real one, and nothing else."""
ENROL_TOPIC = "edge-scanner/v1/enrol/{name}/{word}"
"""`csr` is what a box asks, `cert` what the enrolment desk answers; `name` is that of the box's certificate."""

BENCH_PREFIX = "bench-"
"""A laptop's certificate for the evening is named `bench-<batch>` and comes from its own batch CA."""
SYNC_TOPIC = "edge-scanner/v1/bench/{name}/{word}"
"""`sync` is what a bench says in the evening, `result` what headquarters' desk answers; `name` is the certificate's."""

_BEACON = re.compile(rb"edge-scanner bench 1 ([0-9]{1,5})\n")
_MAX_PORT = 65535


def beacon(port: int) -> bytes:
    """What the bench calls: its HTTP port."""
    return f"edge-scanner bench 1 {port}\n".encode()


def read_beacon(datagram: bytes) -> int | None:
    """The HTTP port of a beacon, None for anything else."""
    match = _BEACON.fullmatch(datagram)
    port = int(match[1]) if match else 0
    return port if 0 < port <= _MAX_PORT else None
