"""A collector's file: what boxes published, a topic and its payload in hex a line.

`mosquitto_sub -F '%t %x' -t 'edge-scanner/v1/d/+/up/#' >> published.txt` writes it, or `edge-central evidence`. The
broker lets only the box itself speak on its topics: the topic says whose word a line is, the payload does not. Hex,
because a payload as it came may hold the end of a line, and after it another box's topic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge_scanner.core import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_scanner.core.model import MessageKind

TOPICS = b"edge-scanner/v1/d/"
"""What every line begins with."""


class Line(NamedTuple):
    """One message; `payload` is None where the line is none, such as one with a payload as it came."""

    topic: str
    payload: bytes | None

    def of(self, device: str, *kinds: MessageKind) -> bool:
        """Whether it came on this box's topic of one of these kinds."""
        return self.topic in {messages.topic(device, kind) for kind in kinds}


def lines(content: bytes, about: str = "") -> Iterator[Line]:
    """Every line of a collector's file, or those alone that name the box `about` in topic or payload."""
    plain = about.encode()
    in_hex = plain.hex().encode()
    for line in content.splitlines():
        if plain in line or in_hex in line:
            topic, _, payload = line.partition(b" ")
            yield Line(topic.decode("ascii", "replace"), _payload(topic, payload))


def _payload(topic: bytes, digits: bytes) -> bytes | None:
    try:
        return bytes.fromhex(digits.decode("ascii")) if topic.startswith(TOPICS) else None
    except ValueError:
        return None
