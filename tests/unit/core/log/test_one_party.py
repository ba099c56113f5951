"""What one party can do alone, in any order and any number of times: it never opens a frame.

The party holds its root, its opening keys, as many further keys as it cares to make, every public document and the
whole log. It makes sets of any shape, signs them with whatever it holds, hands them to the box, which seals on, and
tries everything it has on everything that is stored. The control is the same with both parties.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge_scanner.core import signed
from edge_scanner.core.errors import LogError
from edge_scanner.core.log import hpke, opener, recipients
from edge_scanner.core.log.frames import Minute
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet
from tests.support.sealed_logs import Box, Seeded, keys_of, pinned, private_key, recipient, recipient_set, root

if TYPE_CHECKING:
    from edge_scanner.core.log.ratchet import PartKeys

SUITE = hpke.MLKEM768_X25519
BOTH = ("authority", "custodian")
OWN = [hpke.new_private_key(SUITE, Seeded(f"own {number}")) for number in range(2)]
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\5" * 32)
SHAPES: list[tuple[tuple[str, ...], ...]] = [
    (("authority",), ("custodian",)),
    (("authority",),),
    (("authority", "custodian"),),
    (("authority", "custodian"), ("authority",)),
    (("authority",), ("authority",)),
    (("custodian",), ("custodian",)),
]


def key_of(role: str, number: int) -> Recipient:
    """A public entry for a role: the honest one, or a key that the party made itself."""
    if number == 0:
        return recipient(role)
    return replace(recipient(role), public_key=hpke.public_key_of(SUITE, OWN[number - 1]))


def opened(box: Box, private: dict[bytes, bytes], known: dict[int, PartKeys] | None = None) -> list[Minute]:
    """Every minute that these private keys open, also when their parts are put into the places of other parts."""
    found: list[Minute] = []
    for row in box.stored.headers:
        own = {**(known or {}), **opener.part_keys(row.header, private)}
        places: list[dict[int, PartKeys]] = [own]
        if own:
            places += [dict(enumerate(pair)) for pair in product(own.values(), repeat=2)]
        for parts in places:
            try:
                contents = list(opener.open_frames(row.header, parts, box.stored.frames[row.seq]))
            except LogError:
                continue
            found += [content for content in contents if isinstance(content, Minute)]
    return found


class OneParty(RuleBasedStateMachine):
    """The party's whole life."""

    @initialize(role=st.sampled_from(BOTH))
    def begin(self, role: str) -> None:
        """A box that both enrolled, and one party of the two."""
        self.role = role
        self.box = Box(recipients=recipient_set()).minutes(2)
        self.current = self.box.recipients
        self.made: RecipientSet | None = None
        self.versions = 1
        self.private = {key.key_id: private_key(role) for key in [recipient(role)]}
        self.private |= {hpke.key_id(SUITE, hpke.public_key_of(SUITE, key)): key for key in OWN}
        self.hands = {"root": root(role), "stranger": STRANGER}

    @rule(
        shape=st.sampled_from([SHAPES[0]] * 5 + SHAPES),
        keys=st.sampled_from([(0, 1), (1, 0), (1, 2), (1, 1), (0, 0)]),
        roots=st.sampled_from([BOTH, BOTH, ("authority", "own"), ("own", "custodian"), ("custodian", "authority")]),
        signers=st.sampled_from([("root",), ("root", "stranger"), ("stranger",)]),
    )
    def hand_a_set_to_the_box(self, shape: Any, keys: Any, roots: Any, signers: Any) -> None:
        """Any set, signed by anything the party holds; the box takes it or not, as the product decides."""
        self.versions += 1
        names = {role: signed.key_name(root(role).public_key()) for role in BOTH}
        names["own"] = signed.key_name(STRANGER.public_key())
        wish = replace(
            self.current,
            version=self.versions,
            parties=tuple(
                Party(name=role, root=names[named], roles=(role,)) for role, named in zip(BOTH, roots, strict=True)
            ),
            parts=shape,
            recipients=tuple(key_of(role, number) for role, number in zip(BOTH, keys, strict=True)),
        )
        body = recipients._body(wish)
        document = signed.sign(body, label=recipients.LABEL, keys=[self.hands[name] for name in signers])
        try:
            found = recipients.supersede(self.current, recipients.verify(document, pinned()))
        except LogError:
            return
        self.current = self.box.recipients = found
        self.box.restart().minutes(1, encounters=1)

    @rule()
    def replay_the_old_set(self) -> None:
        """The set that both signed once, again: nothing changes."""
        document = recipients.sign(recipient_set(), [root(role) for role in BOTH])
        try:
            self.box.log.use(recipients.supersede(self.current, recipients.verify(document, pinned())))
        except LogError:
            return

    @rule(count=st.sampled_from([1, 59, 61]))
    def the_box_hears(self, count: int) -> None:
        """Minutes, over an hour's end too, so that a set in force is sealed to."""
        self.box.minutes(count, encounters=1)

    @rule()
    def the_box_restarts(self) -> None:
        """A new run, a new segment."""
        self.box.restart()

    @invariant()
    def nothing_is_open(self) -> None:
        """With all that the party holds and has made, no minute opens."""
        if hasattr(self, "box"):
            assert opened(self.box, self.private) == []


TestOneParty = OneParty.TestCase
TestOneParty.settings = settings(
    max_examples=20, stateful_step_count=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)


def test_both_together_open_what_the_box_sealed() -> None:
    """The control: the same attempt with the keys of both opens every minute."""
    box = Box(recipients=recipient_set()).minutes(62, encounters=1)
    assert len({minute.minute_s for minute in opened(box, keys_of(*BOTH))}) == 62


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_not_even_both_can_give_one_party_everything(shape: tuple[tuple[str, ...], ...]) -> None:
    """A set that one party alone could open is refused with every signature it could wish for."""
    body = recipients._body(replace(recipient_set(), parts=shape, version=2))
    document = signed.sign(body, label=recipients.LABEL, keys=[root(role) for role in BOTH])
    with pytest.raises(LogError):
        recipients.verify(document, pinned())
