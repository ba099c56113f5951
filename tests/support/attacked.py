"""A box whose stored log an attacker may change, and what the world saw of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_scanner.core.log import merkle, opener
from edge_scanner.core.log.verifier import Verifier
from tests.support.sealed_logs import Box, Stored, keys_of

if TYPE_CHECKING:
    from edge_scanner.core.model import Link

BOTH = keys_of("authority", "custodian")


@dataclass
class Case:
    """A box after three hours, a power cut and ten minutes more, and what the world saw of it."""

    box: Box
    links: list[Link]

    @property
    def stored(self) -> Stored:
        """The attacker's copy, to be changed."""
        return self.box.stored

    def verify(self) -> None:
        """Everything that can be checked without a secret."""
        stored = self.stored
        verifier = Verifier(
            device=self.box.device,
            identity=self.box.identity.public_key(),
            before=merkle.EMPTY,
            leaves=stored.digests(),
            recipients=[self.box.recipients],
            links=self.links,
        )
        for boot in stored.boots:
            verifier.boot(boot.record)
        for note in self.box.checkpoints:
            verifier.checkpoint(note)
        for row in stored.headers:
            verifier.segment(row, stored.frames.get(row.seq, []))
        verifier.finish()

    def open(self, seq: int, *, unclean: bool | None = False) -> int:
        """Open one segment with both parties' keys; how many frames it holds."""
        header = self.stored.headers[seq].header
        return len(
            list(opener.open_frames(header, opener.part_keys(header, BOTH), self.stored.frames[seq], unclean=unclean))
        )


def three_hours() -> Case:
    """Segments 0 and 1 closed, 2 cut by a power failure after 30 minutes, 3 open; links published on the way."""
    box = Box().minutes(150)
    links = [box.log.link()]
    box.restart().minutes(10)
    links.append(box.log.link())
    return Case(box, [link for link in links if link])
