"""What can be wrong with a sealed log, each by its own name.

A reader raises nothing else, whatever bytes it is given. `code` is stable: it stands in `--json` output, in the audit
trail and in the authority's verdict, so a code is never renamed or reused. Specification: docs/log-format.md, "Errors".
"""

from __future__ import annotations

from edge_scanner.core.errors import LogError


class UnknownSuiteError(LogError):
    """An algorithm number is not in the tables: refused, never guessed."""

    code = "unknown-suite"


class WrongDeviceError(LogError):
    """The statement is another box's."""

    code = "wrong-device"


class BootForgedError(LogError):
    """The box's identity key did not sign this boot record."""

    code = "boot-forged"


class UnknownBootError(LogError):
    """No boot record vouches for the key that should have signed."""

    code = "unknown-boot"


class HeaderForgedError(LogError):
    """The boot key did not sign this header: it was edited, or made by somebody else."""

    code = "header-forged"


class HeaderMisplacedError(LogError):
    """A genuine header stands where another one belongs."""

    code = "header-misplaced"


class RecipientsMismatchError(LogError):
    """The header is sealed to other keys than its recipient set names."""

    code = "recipients-mismatch"


class RecipientsUnknownError(LogError):
    """The header names a recipient set that is not at hand: nothing is said against the box."""

    code = "recipients-unknown"


class SegmentMissingError(LogError):
    """A segment's place in the sequence is empty."""

    code = "segment-missing"


class SegmentAlteredError(LogError):
    """Header and frames do not add up to the segment's leaf."""

    code = "segment-altered"


class SegmentTruncatedError(LogError):
    """Frames are missing at the end of a segment that was closed."""

    code = "segment-truncated"


class FrameMissingError(LogError):
    """A frame's number is absent between its neighbours."""

    code = "frame-missing"


class FrameAlteredError(LogError):
    """A frame was not sealed for this place: its bits were changed, or it comes from elsewhere."""

    code = "frame-altered"


class FrameRenumberedError(LogError):
    """A genuine frame stands under an earlier or later frame's number."""

    code = "frame-renumbered"


class FramesSwappedError(LogError):
    """Two genuine frames changed places."""

    code = "frames-swapped"


class FrameDuplicatedError(LogError):
    """One ciphertext stands twice in a segment."""

    code = "frame-duplicated"


class FrameReplayedError(LogError):
    """One ciphertext stands in two segments."""

    code = "frame-replayed"


class CommitmentError(LogError):
    """The opened secret is not the one the header commits to: a share was wrong, or the box showed two faces."""

    code = "commitment"


class ShareRefusedError(LogError):
    """A share does not open: wrong key, or the share was made for another place."""

    code = "share-refused"


class SharesMissingError(LogError):
    """No group of recipients is complete: one share alone opens nothing."""

    code = "shares-missing"


class CheckpointForgedError(LogError):
    """A checkpoint carries no valid signature of a vouched boot key."""

    code = "checkpoint-forged"


class RolledBackError(LogError):
    """The log is shorter than a checkpoint that was published."""

    code = "rolled-back"


class HistoryForkedError(LogError):
    """Two signed statements about the same log contradict each other."""

    code = "history-forked"


class TailCutError(LogError):
    """A segment that a published count message saw is gone."""

    code = "tail-cut"


class LinkMismatchError(LogError):
    """No place in the segment has the published link: frames were cut off at its end, or others stand there."""

    code = "link-mismatch"


class ProofError(LogError):
    """An inclusion or consistency proof does not lead to the root."""

    code = "proof"


class RecipientsRolledBackError(LogError):
    """A recipient set is older than the one in force, or a different one of the same version."""

    code = "recipients-rolled-back"


class BodyAlteredError(LogError):
    """A bundle's body is not the one its manifest describes."""

    code = "body-altered"


class EmptyError(LogError):
    """A bundle without a single segment: nothing can be said from it, and nothing about absence either."""

    code = "empty"


class MadeError(LogError):
    """A bundle's own time contradicts the hours it is for, the order it answers, or the receiver's clock."""

    code = "made-implausible"
