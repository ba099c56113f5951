"""What an attacker can do to a log's segments, boots and checkpoints, and the name of the error that shows it.

The attacker has the box's storage and the recipients' public keys, not the identity key and no boot key that is gone.
No check here needs a secret; frames and shares stand in test_attacks_frames.py.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import errors as core_errors
from edge_scanner.core.errors import LogError, MalformedError
from edge_scanner.core.log import errors, hpke, merkle, writer
from edge_scanner.core.log import format as layout
from edge_scanner.core.model import BootRecord, Leaf
from tests.support.attacked import Case, three_hours
from tests.support.sealed_logs import HOUR_S, Box, Seeded, clock, encounter, recipient_set

if TYPE_CHECKING:
    from collections.abc import Callable

case = pytest.fixture(three_hours)


def truncate_the_end_as_if_by_a_power_cut(case: Case) -> None:
    """The open segment loses its last frames, which looks like a power cut."""
    del case.stored.frames[3][-3:]


def truncate_a_recovered_tail(case: Case) -> None:
    """Before the restart the thief shortens the open segment; the box then chains what is left."""
    box = Box().minutes(30)
    link = box.log.link()
    assert link is not None
    del box.stored.frames[0][-5:]
    box.restart().minutes(1)
    case.box, case.links = box, [link]


def rewrite_the_open_tail(case: Case) -> None:
    """The newest frame is replaced by noise."""
    rows = case.stored.frames[3]
    rows[9] = replace(rows[9], ciphertext=bytes(layout.CIPHERTEXT_BYTES))


def remove_the_open_segment(case: Case) -> None:
    """The newest segment goes altogether."""
    del case.stored.headers[3]


def remove_a_segment(case: Case) -> None:
    """A segment in the middle goes, its leaf stays."""
    del case.stored.headers[1]


def remove_the_newest_finished_segment(case: Case) -> None:
    """Header and frames of the last two segments go, the leaves stay."""
    del case.stored.headers[2:]
    case.links.clear()


def remove_a_leaf(case: Case) -> None:
    """The leaf of a segment that has a successor goes; published statements are unknown here."""
    del case.stored.leaves[1:]
    del case.stored.boots[1:]
    case.box.checkpoints.clear()
    case.links.clear()
    del case.stored.headers[3:]


def roll_back(case: Case) -> None:
    """The whole storage is replaced by a copy from two hours ago."""
    del case.stored.leaves[1:]
    del case.stored.headers[2:]
    del case.stored.boots[1:]
    case.stored.frames[1] = case.stored.frames[1][:20]
    case.links.clear()


def roll_back_unseen_by_checkpoints(case: Case) -> None:
    """The same, and the world kept only the count messages' links."""
    links = list(case.links)
    roll_back(case)
    case.box.checkpoints.clear()
    case.links = links


def swap_headers(case: Case) -> None:
    """Two genuine headers change places."""
    first, second = case.stored.headers[0], case.stored.headers[1]
    case.stored.headers[0] = replace(first, header=second.header)
    case.stored.headers[1] = replace(second, header=first.header)


def edit_header(case: Case) -> None:
    """The opening time is changed."""
    row = case.stored.headers[1]
    case.stored.headers[1] = replace(row, header=row.header[:55] + b"\0" + row.header[56:])


def swap_recipient(case: Case) -> None:
    """The first share is replaced by one sealed to the attacker."""
    row = case.stored.headers[1]
    suite = hpke.MLKEM768_X25519
    public = hpke.public_key_of(suite, hpke.new_private_key(suite, Seeded("thief")))
    mine = layout.Share(
        part=0,
        index=0,
        suite=suite.number,
        key_id=hpke.key_id(suite, public),
        sealed=hpke.seal_share(suite, bytearray(32), public, b""),
    )
    start = layout.PREFIX_BYTES
    entry = layout.pack_share(mine)
    case.stored.headers[1] = replace(row, header=row.header[:start] + entry + row.header[start + len(entry) :])


def swap_recipient_set(case: Case) -> None:
    """The box was made to seal to a set that the authority never signed."""
    box = Box(recipients=recipient_set(("thief",), ("custodian",))).minutes(1)
    box.recipients = case.box.recipients
    case.box, case.links = box, []


def forge_a_segment(case: Case) -> None:
    """An outsider with the recipients' public keys makes a whole segment of his own."""
    outsider = Ed25519PrivateKey.generate()
    log = writer.SealedLog(
        device=case.box.device,
        identity=outsider,
        boot_number=2,
        recipients=case.box.recipients,
        state=writer.resume(case.stored.digests()),
        clock=clock(HOUR_S),
        entropy=Seeded("outsider"),
    )
    log.seal(HOUR_S, [encounter(1)], clock=clock(HOUR_S + 60))
    rows = log.peek()
    case.stored.headers[3] = rows.headers[0]
    case.stored.frames[3] = list(rows.frames)
    case.links.clear()
    case.stored.boots.append(rows.boots[0])


def forge_without_a_boot_record(case: Case) -> None:
    """The same, and the outsider does not even try to be vouched for."""
    forge_a_segment(case)
    case.stored.boots.pop()


def another_boxs_segment(case: Case) -> None:
    """A genuine segment of another venue stands in."""
    other = Box(device="0000000001").minutes(130)
    case.stored.headers[1] = other.stored.headers[1]
    case.stored.frames[1] = other.stored.frames[1]


def another_boxs_boot_record(case: Case) -> None:
    """A boot record of another venue is added."""
    case.stored.boots.append(Box(device="0000000001").minutes(1).stored.boots[0])


def another_boxs_checkpoint(case: Case) -> None:
    """A checkpoint of another venue is held against this one."""
    case.box.checkpoints.append(Box(device="0000000001").minutes(61).checkpoints[0])


def unknown_wrap_suite(case: Case) -> None:
    """A share's suite number is set to one that does not exist."""
    patch_header(case, layout.PREFIX_BYTES + 2, 9)


def known_other_wrap_suite(case: Case) -> None:
    """A share's suite number is set to the other one."""
    patch_header(case, layout.PREFIX_BYTES + 2, 2)


def frame_cipher_downgrade(case: Case) -> None:
    """The frame cipher's number is set to the other one."""
    patch_header(case, 5, 2)


def unknown_frame_cipher(case: Case) -> None:
    """The frame cipher's number is set to one that does not exist."""
    patch_header(case, 5, 0)


def unknown_signature_suite(case: Case) -> None:
    """The signature's number is set to one that does not exist."""
    patch_header(case, 7, 0)


def patch_header(case: Case, offset: int, value: int) -> None:
    """Set one byte of segment 1's header."""
    row = case.stored.headers[1]
    changed = row.header[:offset] + bytes([value]) + row.header[offset + 1 :]
    case.stored.headers[1] = replace(row, header=changed)


def rewrite_history(case: Case) -> None:
    """The leaf of the first hour is exchanged, tree and all."""
    case.stored.leaves[0] = Leaf(seq=0, digest=hashlib.sha256(b"another past").digest())


def forge_checkpoint(case: Case) -> None:
    """The thief signs a head with a key of his own."""
    boot = layout.parse_boot(case.stored.boots[0].record)
    thief = Ed25519PrivateKey.from_private_bytes(bytes(32))
    case.box.checkpoints.append(merkle.checkpoint(case.box.device, boot.boot_id, thief, merkle.EMPTY))


def second_boot_record_for_one_run(case: Case) -> None:
    """The thief of the identity key makes another record for a run that was published."""
    boot = layout.parse_boot(case.stored.boots[0].record)
    statement = layout.pack_boot(replace(boot, public_key=case.box.identity.public_key().public_bytes_raw()))
    record = statement + case.box.identity.sign(layout.BOOT_LABEL + statement)
    case.stored.boots.append(BootRecord(number=9, record=record))


@pytest.mark.parametrize(
    ("attack", "error"),
    [
        (truncate_the_end_as_if_by_a_power_cut, errors.LinkMismatchError),
        (truncate_a_recovered_tail, errors.LinkMismatchError),
        (rewrite_the_open_tail, errors.LinkMismatchError),
        (remove_the_open_segment, errors.TailCutError),
        (remove_a_segment, errors.SegmentMissingError),
        (remove_the_newest_finished_segment, errors.SegmentMissingError),
        (remove_a_leaf, errors.SegmentMissingError),
        (roll_back, errors.RolledBackError),
        (roll_back_unseen_by_checkpoints, errors.RolledBackError),
        (swap_headers, errors.HeaderMisplacedError),
        (edit_header, errors.HeaderForgedError),
        (swap_recipient, errors.RecipientsMismatchError),
        (swap_recipient_set, errors.RecipientsMismatchError),
        (forge_a_segment, errors.BootForgedError),
        (forge_without_a_boot_record, errors.UnknownBootError),
        (another_boxs_segment, errors.WrongDeviceError),
        (another_boxs_boot_record, errors.WrongDeviceError),
        (another_boxs_checkpoint, errors.WrongDeviceError),
        (unknown_wrap_suite, errors.UnknownSuiteError),
        (known_other_wrap_suite, MalformedError),
        (frame_cipher_downgrade, errors.HeaderForgedError),
        (unknown_frame_cipher, errors.UnknownSuiteError),
        (unknown_signature_suite, errors.UnknownSuiteError),
        (rewrite_history, errors.HistoryForkedError),
        (forge_checkpoint, errors.CheckpointForgedError),
        (second_boot_record_for_one_run, errors.HistoryForkedError),
    ],
)
def test_tampering_with_segments_and_statements_is_found_without_any_secret(
    case: Case, attack: Callable[[Case], None], error: type[LogError]
) -> None:
    """Each attack on headers, leaves, boot records, checkpoints and the tail has its name."""
    attack(case)
    with pytest.raises(error):
        case.verify()


def test_every_code_is_distinct_and_in_the_specification() -> None:
    """The codes of the specification are those of the program, no two alike."""
    specification = (Path(__file__).parents[4] / "docs" / "log-format.md").read_text()
    named = (vars(errors) | vars(core_errors)).values()
    classes = [each for each in named if isinstance(each, type) and issubclass(each, LogError)]
    codes = {each.code for each in classes} - {LogError.code}
    assert len(codes) == len(classes) - 1
    section = specification.partition("## Errors")[2]
    assert set(re.findall(r"`([a-z-]+)`", section)) == codes
