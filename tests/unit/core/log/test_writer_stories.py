"""Any life of a box: whatever it heard, however its clock jumped and its power failed, its log verifies and opens."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_scanner.core.log import frames, merkle, opener
from edge_scanner.core.log.verifier import Verifier
from edge_scanner.core.model import ClockQuality, Encounter, Link
from tests.support.sealed_logs import HOUR_S, Box, clock, encounter, keys_of

BOTH = keys_of("authority", "custodian")


class LifeOfABox(RuleBasedStateMachine):
    """The model is a list of (minute, encounters) that were committed; the log must say the same."""

    @initialize()
    def install(self) -> None:
        """A new box."""
        self.box = Box()
        self.monotonic_s = 86400.0
        self.quality = ClockQuality.NTP
        self.heard: list[tuple[int, list[Encounter]]] = []
        self.links: list[Link] = []
        self.count = 0

    @rule(sizes=st.lists(st.sampled_from([0, 1, 3, 153, 154, 400]), min_size=1, max_size=40), commit=st.booleans())
    def minutes_pass(self, sizes: list[int], commit: bool) -> None:
        """Some minutes, committed one by one or late, all at once."""
        for size in sizes:
            found = [encounter(n, self.count) for n in range(size)]
            self.count += 1
            self.monotonic_s += 60
            reading = clock(self.box.now_s + 60, self.monotonic_s, self.quality)
            self.box.log.seal(self.box.now_s, found, clock=reading)
            self.heard.append((self.box.now_s, found))
            self.box.now_s += 60
            if commit:
                self.box.commit()
        self.box.commit()
        link = self.box.log.link()
        assert link
        self.links.append(link)

    @rule(step_s=st.sampled_from([-7200, -60, -1, 1, 60, 3600, 86400 * 3]))
    def the_clock_is_stepped(self, step_s: int) -> None:
        """NTP corrects it, or somebody does."""
        self.box.now_s = max(HOUR_S - 86400, self.box.now_s + step_s * (60 if abs(step_s) == 1 else 1))

    @rule(quality=st.sampled_from(ClockQuality))
    def what_the_clock_rests_on_changes(self, quality: ClockQuality) -> None:
        """NTP comes and goes."""
        self.quality = quality

    @rule()
    def the_power_fails(self) -> None:
        """What was committed stays."""
        self.box.restart()

    @rule()
    def it_is_stopped_and_started(self) -> None:
        """An update."""
        self.box.stop().restart()

    @invariant()
    def the_log_verifies_and_opens_to_what_was_heard(self) -> None:
        """Against every checkpoint and link ever published."""
        stored, found = self.box.stored, []
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
        assert all(verifier.checkpoint(note) for note in self.box.checkpoints)
        for row in stored.headers:
            segment = verifier.segment(row, stored.frames[row.seq])
            keys = opener.part_keys(row.header, BOTH)
            for content in opener.open_frames(row.header, keys, segment.frames, unclean=segment.unclean):
                if isinstance(content, frames.Minute):
                    found += [(content.minute_s, each.payload[:12]) for each in content.encounters]
        verifier.finish()
        assert found == [(minute_s, each.payload) for minute_s, heard in self.heard for each in heard]


TestLifeOfABox = LifeOfABox.TestCase
TestLifeOfABox.settings = settings(max_examples=15, stateful_step_count=8, deadline=None)
