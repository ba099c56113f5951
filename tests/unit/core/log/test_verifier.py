"""Checking a log without secrets: the cases beside the attack suite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import errors, merkle, writer
from edge_scanner.core.log import format as layout
from edge_scanner.core.log.recipients import Recipient, RecipientSet
from edge_scanner.core.log.verifier import Verifier
from edge_scanner.core.model import Frame, SegmentHeader
from tests.support.sealed_logs import Box, Seeded, clock, recipient, recipient_set


def verifier(box: Box, leaves: list[bytes] | None = None, first: int = 0, *, sets: bool = True) -> Verifier:
    """A verifier of the box's log from leaf `first` on that knows its boot records."""
    known = box.stored.digests() if leaves is None else leaves
    checker = Verifier(
        device=box.device,
        identity=box.identity.public_key(),
        before=merkle.tree_of(known[:first]),
        leaves=known[first:],
        recipients=[box.recipients] if sets else [],
    )
    for boot in box.stored.boots:
        checker.boot(boot.record)
    return checker


def test_an_empty_log_is_a_valid_log() -> None:
    """A box that has not sealed anything yet has nothing to hide."""
    verifier(Box()).finish()


def test_recipient_sets_are_compared_only_where_known() -> None:
    """Without a set at hand the keys are not judged."""
    box = Box(recipients=recipient_set(("thief",), ("custodian",))).minutes(1)
    checker = verifier(box, sets=False)
    assert checker.segment(box.stored.headers[0], box.stored.frames[0]).unclean is None


def test_a_part_of_the_log_is_checked_against_the_whole_tree() -> None:
    """Starting at segment 1, older statements are passed over, newer ones hold, older segments are outside."""
    box = Box().minutes(200)
    checker = verifier(box, first=2)
    assert [checker.checkpoint(note) for note in box.checkpoints] == [False, True, True]
    assert checker.segment(box.stored.headers[2], box.stored.frames[2]).unclean is False
    with pytest.raises(errors.SegmentMissingError):
        verifier(box, first=2).segment(box.stored.headers[1], box.stored.frames[1])


def test_a_header_that_names_another_past_is_a_fork() -> None:
    """The box went on from a tree that is not this one."""
    box = Box().minutes(60).stop()
    genuine = box.stored.digests()
    box.start(writer.resume([b"\7" * 32]))
    box.stored.boots.clear()
    box.minutes(1)
    checker = Verifier(device=box.device, identity=box.identity.public_key(), before=merkle.EMPTY, leaves=genuine)
    with pytest.raises(errors.HistoryForkedError, match="another root"):
        checker.boot(box.stored.boots[0].record)
    statement = layout.pack_boot(
        replace(layout.parse_boot(box.stored.boots[0].record), tree_root=merkle.tree_of(genuine).root)
    )
    checker = Verifier(device=box.device, identity=box.identity.public_key(), before=merkle.EMPTY, leaves=genuine)
    checker.boot(statement + box.identity.sign(layout.BOOT_LABEL + statement))
    with pytest.raises(errors.HistoryForkedError, match="predecessor"):
        checker.segment(box.stored.headers[1], box.stored.frames[1])


class LyingSet(RecipientSet):
    """A set whose parts of the moment are not those that were signed."""

    def at(self, now_s: float) -> tuple[tuple[Recipient, ...], ...]:
        """Each part without its last holder."""
        return tuple(part[:1] for part in super().at(now_s))


def test_a_box_that_leaves_a_party_out_is_caught() -> None:
    """Shares that do not follow the signed parts are a mismatch."""
    honest = recipient_set(("authority",), ("custodian", "ministry"))
    lying = LyingSet(
        version=honest.version,
        not_before_s=honest.not_before_s,
        not_after_s=honest.not_after_s,
        parties=honest.parties,
        parts=honest.parts,
        recipients=honest.recipients,
    )
    box = Box(recipients=lying).minutes(1)
    box.recipients = honest
    with pytest.raises(errors.RecipientsMismatchError, match="parts"):
        verifier(box).segment(box.stored.headers[0], box.stored.frames[0])


def test_weekly_keys_of_one_role_are_all_its_keys() -> None:
    """A header sealed to any of a role's keys is fine."""
    honest = recipient_set()
    later = replace(recipient("ministry"), role="authority", not_before_s=honest.not_before_s + 3600)
    box = Box(recipients=replace(honest, recipients=(*honest.recipients, later))).minutes(1)
    verifier(box).segment(box.stored.headers[0], box.stored.frames[0])


def test_a_header_that_lies_about_its_predecessors_end_is_a_fork() -> None:
    """After a power cut the next header must say so."""
    box = Box().minutes(2).restart()
    leaf = box.stored.leaves[0]
    box.log = writer.SealedLog(
        device=box.device,
        identity=box.identity,
        boot_number=3,
        recipients=box.recipients,
        state=writer.LogState(tree=merkle.tree_of([leaf.digest]), last_leaf=leaf.digest),
        clock=clock(box.now_s),
        entropy=Seeded("third"),
    )
    box.minutes(1)
    checker = verifier(box)
    checker.segment(box.stored.headers[0], box.stored.frames[0])
    with pytest.raises(errors.HistoryForkedError, match="ended"):
        checker.segment(box.stored.headers[1], box.stored.frames[1])


@pytest.mark.parametrize("numbers", [[0, 1, 1], [1, 0, 2]])
def test_frames_out_of_order_are_not_accepted(numbers: list[int]) -> None:
    """A number twice and numbers out of order have their names."""
    box = Box().minutes(3)
    rows = [replace(frame, number=number) for frame, number in zip(box.stored.frames[0], numbers, strict=True)]
    with pytest.raises((errors.FrameDuplicatedError, errors.FrameMissingError)):
        verifier(box).segment(box.stored.headers[0], rows)


def test_more_frames_than_a_segment_can_have_are_malformed() -> None:
    """The reader's work per segment is bounded."""
    box = Box().minutes(1)
    rows = [Frame(seq=0, number=n, ciphertext=b"") for n in range(layout.MAX_FRAMES + 1)]
    with pytest.raises(MalformedError):
        verifier(box).segment(box.stored.headers[0], rows)


def test_a_row_that_is_no_header_is_malformed() -> None:
    """Whatever stands in the database."""
    with pytest.raises(MalformedError):
        verifier(Box()).segment(SegmentHeader(seq=0, opened_s=0.0, header=b"junk"), [])
