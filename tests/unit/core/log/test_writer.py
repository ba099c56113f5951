"""The writer of the sealed log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_scanner.core.errors import MalformedError
from edge_scanner.core.log import format as layout
from edge_scanner.core.log import frames, merkle, opener, writer
from edge_scanner.core.log.errors import SegmentMissingError, SharesMissingError
from edge_scanner.core.log.recipients import GRACE_S
from edge_scanner.core.model import ClockQuality, LogRows
from tests.support import second_reader
from tests.support.sealed_logs import DEVICE, HOUR_S, Box, Seeded, clock, encounter, keys_of, recipient_set

BOTH = keys_of("authority", "custodian")


def contents(box: Box, seq: int) -> list[frames.Content]:
    """A stored segment, opened by both parties."""
    header = box.stored.headers[seq].header
    return list(opener.open_frames(header, opener.part_keys(header, BOTH), box.stored.frames[seq]))


def minutes(box: Box, seq: int) -> list[frames.Minute]:
    """The minutes of a stored segment."""
    return [content for content in contents(box, seq) if isinstance(content, frames.Minute)]


def test_an_hour_is_a_segment_and_a_minute_a_frame() -> None:
    """Ninety minutes make a closed segment of sixty frames and END, and an open one of thirty."""
    box = Box().minutes(90)
    assert [row.seq for row in box.stored.headers] == [0, 1]
    assert [len(rows) for rows in box.stored.frames.values()] == [61, 30]
    assert [leaf.seq for leaf in box.stored.leaves] == [0]
    assert [minute.minute_s for minute in minutes(box, 0)] == list(range(HOUR_S, HOUR_S + 3600, 60))
    assert contents(box, 0)[-1] == frames.End(
        monotonic_ms=86400_000 + 3660_000, reason=frames.EndReason.HOUR, frames=60, utc_ms=(HOUR_S + 3660) * 1000
    )


def test_a_segment_says_the_hour_it_was_begun_in() -> None:
    """Retention goes by it: UTC seconds of the full hour."""
    assert [row.opened_s for row in Box().minutes(130).stored.headers] == [HOUR_S, HOUR_S + 3600, HOUR_S + 7200]


def test_encounters_come_back_as_they_went_in() -> None:
    """Every field survives; the payload comes back 20 bytes wide."""
    box = Box().minutes(1, encounters=5)
    [minute] = minutes(box, 0)
    expected = [encounter(n, HOUR_S) for n in range(5)]
    assert [replace(found, payload=found.payload[:12]) for found in minute.encounters] == expected
    assert all(found.payload[12:] == bytes(8) for found in minute.encounters)
    assert (minute.listened_s, minute.dropped, minute.monotonic_ms) == (60, 0, 86460_000)


def test_every_frame_has_one_size_whatever_was_heard() -> None:
    """An empty minute and one of 153 encounters look alike from outside."""
    box = Box().minutes(1, encounters=0).minutes(1, encounters=153)
    assert [len(frame.ciphertext) for frame in box.stored.frames[0]] == [4032, 4032]
    assert [len(minute.encounters) for minute in minutes(box, 0)] == [0, 153]


def test_a_full_minute_overflows_and_then_counts_what_it_drops() -> None:
    """1,683 encounters fit into eleven frames; the rest is counted in the last."""
    box = Box().minutes(1, encounters=154).minutes(1, encounters=1800)
    found = minutes(box, 0)
    assert [len(minute.encounters) for minute in found] == [153, 1] + [153] * 11
    assert [minute.dropped for minute in found] == [0] * 12 + [117]
    assert {minute.minute_s for minute in found[2:]} == {HOUR_S + 60}


def test_listening_time_and_drops_are_sealed_within_their_fields() -> None:
    """Out-of-range figures saturate."""
    box = Box()
    box.log.seal(HOUR_S, [], dropped=70_000, listened_s=61.2, clock=clock(HOUR_S + 60))
    box.log.seal(HOUR_S + 60, [], listened_s=-1, clock=clock(HOUR_S + 120))
    box.commit()
    assert [(minute.dropped, minute.listened_s) for minute in minutes(box, 0)] == [(65535, 60), (0, 0)]


def test_rows_stay_until_the_store_has_them() -> None:
    """Peek gives the same rows again; forget lets go of exactly those."""
    box = Box()
    box.log.seal(HOUR_S, [encounter(1)], clock=clock(HOUR_S + 60))
    first = box.log.peek()
    assert box.log.peek() == first
    box.log.seal(HOUR_S + 60, [], clock=clock(HOUR_S + 120))
    box.log.forget(first)
    left = box.log.peek()
    assert [frame.number for frame in left.frames] == [1]
    assert (left.boots, left.headers, left.leaves) == ((), (), ())
    box.log.forget(first)
    assert box.log.peek() == left


def test_a_checkpoint_goes_with_the_rows_that_finish_a_segment() -> None:
    """None before and after; with the leaf, the signed head of one leaf, the same at every peek."""
    box = Box().minutes(60)
    assert box.checkpoints == []
    box.log.seal(box.now_s, [], clock=clock(box.now_s + 60))
    note = box.log.checkpoint()
    assert note is not None
    assert note == box.log.checkpoint()
    box.commit()
    assert box.log.checkpoint() is None
    boot = second_reader.read_boot(box.stored.boots[0].record, box.identity.public_key().public_bytes_raw())
    device, size, root = second_reader.read_checkpoint(note, bytes.fromhex(boot["key"]))
    assert (device, size, root) == (DEVICE, 1, box.stored.leaves[0].digest)


def test_the_link_follows_the_open_segment() -> None:
    """No link before the first minute; then the segment and the chain of its frames so far, without their number."""
    box = Box()
    assert box.log.link() is None
    box.minutes(2)
    link = box.log.link()
    assert link is not None
    header, rows = box.stored.headers[0].header, box.stored.frames[0]
    assert link.seq == 0
    assert link.digest == second_reader.links(header, [frame.ciphertext for frame in rows])[2]
    box.stop()
    assert box.log.link() is None


def test_closing_twice_or_before_the_first_minute_writes_nothing() -> None:
    """Close is harmless when nothing is open."""
    box = Box()
    box.log.close(frames.EndReason.STOP, clock(HOUR_S))
    assert box.log.peek() == LogRows(boots=box.log.peek().boots)
    box.minutes(1).stop()
    rows = len(box.stored.frames[0])
    box.stop()
    assert len(box.stored.frames[0]) == rows
    end = contents(box, 0)[-1]
    assert isinstance(end, frames.End)
    assert end.reason is frames.EndReason.STOP


def test_a_clock_step_becomes_an_event_and_slewing_none() -> None:
    """Thirty seconds forward are noted with both times; half a second is what NTP does anyway."""
    box = Box()
    box.log.seal(HOUR_S, [], clock=clock(HOUR_S + 60))
    box.log.seal(HOUR_S + 60, [], clock=clock(HOUR_S + 120.5, monotonic_s=86520))
    box.log.seal(HOUR_S + 120, [], clock=clock(HOUR_S + 180, monotonic_s=86550))
    box.commit()
    event = contents(box, 0)[2]
    assert event == frames.ClockEvent(
        monotonic_ms=86550_000,
        before=ClockQuality.NTP,
        after=ClockQuality.NTP,
        expected_ms=(HOUR_S + 150) * 1000 + 500,
        utc_ms=(HOUR_S + 180) * 1000,
    )
    assert len(box.stored.frames[0]) == 4


def test_a_step_of_exactly_a_second_is_a_step() -> None:
    """The limit belongs to the steps."""
    box = Box().minutes(1)
    box.log.seal(HOUR_S + 60, [], clock=clock(HOUR_S + 121, monotonic_s=86520))
    box.commit()
    assert isinstance(contents(box, 0)[1], frames.ClockEvent)


class Remembering:
    """Entropy that keeps hold of every buffer it filled."""

    def __init__(self) -> None:
        self.buffers: list[bytearray] = []

    def __call__(self, buffer: bytearray) -> None:
        """Fill the buffer with something that is not zero."""
        buffer[:] = bytes([len(self.buffers) + 1]) * len(buffer)
        self.buffers.append(buffer)


def test_every_secret_is_wiped_as_soon_as_it_is_spent() -> None:
    """Boot seed and the seeds of both parts are zeros after the first minute; the keys of a segment after its end."""
    entropy = Remembering()
    box = Box(entropy=entropy).minutes(1)
    seed, boot_id, *secrets = entropy.buffers
    assert len(secrets) == 2
    assert not any(b"".join([seed, *secrets]))
    assert any(boot_id)
    assert not any(box.log._plaintext)
    opened = box.log._open
    assert opened
    assert not any(opened.ratchet.minute)
    assert not any(box.log._key)
    assert all(any(chain) for chain in opened.ratchet._chains)
    box.stop()
    assert not any(b"".join([opened.ratchet.events, *opened.ratchet._chains]))


def test_a_minute_that_comes_again_is_sealed_in_another_segment() -> None:
    """The clock is put back within the hour: the old minute's key is gone, so a new segment begins, and all open."""
    box = Box().minutes(3)
    box.log.seal(HOUR_S + 120, [encounter(1)], clock=clock(HOUR_S + 180))
    box.log.seal(HOUR_S, [encounter(2)], clock=clock(HOUR_S + 60, monotonic_s=86580))
    box.commit()

    assert [len(minutes(box, seq)) for seq in range(3)] == [3, 1, 1]
    assert [minutes(box, seq)[0].minute_s for seq in range(3)] == [HOUR_S, HOUR_S + 120, HOUR_S]


def test_a_change_of_what_the_clock_rests_on_is_an_event() -> None:
    """NTP lost is in the log, once."""
    box = Box().minutes(1)
    for minute in (1, 2):
        now_s = HOUR_S + 60 * minute
        box.log.seal(now_s, [], clock=clock(now_s + 60, quality=ClockQuality.NONE))
    box.commit()
    events = [content for content in contents(box, 0) if isinstance(content, frames.ClockEvent)]
    assert [(event.before, event.after) for event in events] == [(ClockQuality.NTP, ClockQuality.NONE)]


def test_a_step_into_another_hour_begins_another_segment() -> None:
    """The event stands in the segment it ended; a clock before 1970 counts as 1970."""
    box = Box().minutes(1)
    box.log.seal(0, [], clock=clock(-5.0, monotonic_s=86520))
    box.commit()
    assert [type(content).__name__ for content in contents(box, 0)] == ["Minute", "ClockEvent", "End"]
    event = contents(box, 0)[1]
    assert isinstance(event, frames.ClockEvent)
    assert event.utc_ms == 0
    assert minutes(box, 1)[0].minute_s == 0


def test_nothing_is_sealed_outside_the_recipients_validity() -> None:
    """Past the grace the segment ends with its reason and sealing stops, says so, and resumes with a new set."""
    box = Box().minutes(1)
    late_s = box.recipients.not_after_s + GRACE_S + 60
    box.log.seal(late_s, [encounter(1)], clock=clock(late_s))
    assert box.log.stopped == "recipients-expired"
    box.commit()
    assert len(box.stored.headers) == len(box.stored.leaves) == 1
    assert contents(box, 0)[-1].reason is frames.EndReason.HOUR  # type: ignore[union-attr]
    box.log.use(replace(box.recipients, version=2, not_after_s=late_s + 86400))
    box.log.seal(late_s + 60, [], clock=clock(late_s + 120))
    assert box.log.stopped == ""


def test_a_box_that_wakes_in_the_past_still_logs() -> None:
    """A clock before the set's beginning seals to its first key: a Pi without RTC loses nothing."""
    box = Box(start_s=HOUR_S - 30 * 86400).minutes(1)
    assert box.log.stopped == ""
    assert minutes(box, 0)[0].minute_s == HOUR_S - 30 * 86400


def test_expiry_within_an_hour_names_its_reason() -> None:
    """When the set ends in the middle of an hour, END says recipients."""
    box = Box(recipients=replace(recipient_set(), not_after_s=HOUR_S + 60 - GRACE_S)).minutes(3)
    assert box.log.stopped == "recipients-expired"
    end = contents(box, 0)[-1]
    assert isinstance(end, frames.End)
    assert (end.reason, end.frames) == (frames.EndReason.RECIPIENTS, 2)


def test_a_failing_store_bounds_the_backlog_and_counts_what_it_costs() -> None:
    """After four hours without a commit encounters are dropped; the first frame after it says how many."""
    box = Box()
    for minute in range(300):
        now_s = HOUR_S + 60 * minute
        box.log.seal(now_s, [encounter(minute)], dropped=1, clock=clock(now_s + 60))
    assert box.log.stopped == "backlog-full"
    assert len(box.log.peek().frames) == writer.MAX_PENDING_FRAMES
    box.commit()
    now_s = HOUR_S + 60 * 300
    box.log.seal(now_s, [], clock=clock(now_s + 60))
    box.commit()
    assert box.log.stopped == ""
    box.log.seal(now_s + 60, [], clock=clock(now_s + 120))
    box.commit()
    missed = 2 * sum(1 for minute in range(300) if minute >= writer.MAX_PENDING_FRAMES - 3)
    assert [minute.dropped for minute in minutes(box, max(box.stored.frames))] == [missed, 0]


def test_a_clock_that_keeps_going_back_ends_segments_within_the_readers_limit() -> None:
    """The same minute again and again makes a second segment, never one too long to read."""
    box = Box()
    for turn in range(650):
        box.log.seal(HOUR_S, [], clock=clock(HOUR_S + 60, monotonic_s=86400.0 + turn))
        box.commit()
    assert len(box.stored.headers) > 1
    assert all(len(rows) <= layout.MAX_FRAMES for rows in box.stored.frames.values())
    assert isinstance(contents(box, 0)[-1], frames.End)


def test_restart_after_a_clean_stop_goes_on_numbering() -> None:
    """The next run's first segment follows the tree and names the last leaf."""
    box = Box().minutes(2).stop().restart().minutes(1)
    header = layout.parse_header(box.stored.headers[1].header)
    assert (header.seq, header.boot_number, header.previous_unclean) == (1, 2, False)
    assert header.previous_leaf == box.stored.leaves[0].digest
    boot = layout.parse_boot(box.stored.boots[1].record)
    assert (boot.tree_size, boot.tree_root) == (1, box.stored.leaves[0].digest)


def test_restart_after_a_power_cut_chains_what_the_box_cannot_read() -> None:
    """The open segment gets a leaf flagged unclean, published at once; the next header says so, once."""
    box = Box().minutes(2).restart()
    assert len(box.checkpoints) == 1
    box.minutes(61)
    rows = [frame.ciphertext for frame in box.stored.frames[0]]
    assert box.stored.leaves[0].digest == second_reader.leaf(box.stored.headers[0].header, rows, unclean=True)
    flags = [layout.parse_header(row.header).previous_unclean for row in box.stored.headers]
    assert flags == [False, True, False]


def test_an_open_segment_must_follow_the_last_leaf() -> None:
    """A database with a hole between leaves and segments is not resumed silently."""
    box = Box().minutes(61)
    with pytest.raises(SegmentMissingError):
        writer.resume([], box.stored.headers[1], [])


def test_the_first_state_is_empty() -> None:
    """No leaves, no open segment: the tree of nothing."""
    assert writer.resume([]) == writer.LogState()
    assert writer.LogState().tree == merkle.EMPTY


def test_a_device_id_that_is_none_is_refused() -> None:
    """Ten characters of Crockford's base 32."""
    with pytest.raises(MalformedError):
        Box(device="not a box!")


def test_either_cipher_opens_by_its_number() -> None:
    """AES-256-GCM frames open as well, in both readers."""
    box = Box()
    box.log = writer.SealedLog(
        device=DEVICE,
        identity=box.identity,
        boot_number=1,
        recipients=box.recipients,
        state=writer.LogState(),
        clock=clock(HOUR_S),
        entropy=Seeded("aes"),
        cipher=layout.FrameCipher.AES_256_GCM,
    )
    box.minutes(2)
    assert len(minutes(box, 0)) == 2
    header = box.stored.headers[0].header
    rows = [frame.ciphertext for frame in box.stored.frames[0]]
    assert (
        len(
            second_reader.open_frames(
                header, second_reader.combine(header, second_reader.open_seeds(header, BOTH)), rows
            )
        )
        == 2
    )


TWO_OF_THREE = (("custodian", "ministry"), ("authority", "ministry"), ("authority", "custodian"))


@pytest.mark.parametrize(
    ("parts", "alone", "enough"),
    [
        ((("authority",), ("custodian",)), ["authority"], ["authority", "custodian"]),
        ((("authority",), ("custodian", "ministry")), ["custodian", "ministry"], ["authority", "ministry"]),
        (TWO_OF_THREE, ["custodian"], ["custodian", "ministry"]),
    ],
)
def test_all_parts_open_and_one_party_opens_nothing(
    parts: tuple[tuple[str, ...], ...], alone: list[str], enough: list[str]
) -> None:
    """Parts for "A and B", "A and one of two" and "2 of 3" do what they say, in both readers."""
    box = Box(recipients=recipient_set(*parts)).minutes(1)
    header = box.stored.headers[0].header
    with pytest.raises(SharesMissingError):
        list(opener.open_frames(header, opener.part_keys(header, keys_of(*alone)), box.stored.frames[0]))
    keys = opener.part_keys(header, keys_of(*enough))
    assert len(list(opener.open_frames(header, keys, box.stored.frames[0]))) == 1
    rows = [frame.ciphertext for frame in box.stored.frames[0]]
    by_hand = second_reader.combine(header, second_reader.open_seeds(header, keys_of(*enough)))
    assert len(second_reader.open_frames(header, by_hand, rows)) == 1


def test_a_run_that_opened_nothing_does_not_hide_the_power_cut() -> None:
    """A recovered leaf that is already stored still makes the next header say that its predecessor was cut."""
    box = Box().minutes(61)
    closed = [leaf.digest for leaf in box.stored.leaves]
    header, rows = box.stored.headers[1], box.stored.frames[1]
    first = writer.resume(closed, header, rows)
    assert first.recovered is not None
    stored = [*closed, first.recovered.digest]
    again = writer.resume(stored, header, rows)
    assert (again.unclean, again.recovered, again.last_leaf) == (True, None, first.last_leaf)
    assert writer.resume(closed, box.stored.headers[0], box.stored.frames[0]).unclean is False
    assert writer.resume([*stored, layout.ZERO_HASH], header, rows).unclean is False
