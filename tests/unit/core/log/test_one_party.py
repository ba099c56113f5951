"""What one party can do alone, in any order and any number of times: it never opens a frame.

The party holds its root, its opening keys, as many further keys as it cares to make, every public document and the
whole log. It makes sets of any shape, signs them with whatever it holds, hands them to the box, which seals on, and
tries everything it has on everything that is stored. The control is the same with both parties.

Each single set that it can make is tried, so that nothing rests on luck; the search at random is for sequences. Each
rule has a set that breaks it alone and is taken once that rule is switched off: no rule is there in name only.
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


KEYS = [(0, 1), (1, 0), (1, 2), (1, 1), (0, 0)]
ROOTS = [BOTH, ("authority", "own"), ("own", "custodian"), ("custodian", "authority"), ("own", "own")]
SIGNERS = [("root",), ("root", "stranger"), ("stranger",)]


def wished(before: RecipientSet, version: int, shape: Any, numbers: Any, roots: Any) -> RecipientSet:
    """A set with these parts, keys and roots of its parties, whether it is good or not."""
    names = {role: signed.key_name(root(role).public_key()) for role in BOTH}
    names["own"] = signed.key_name(STRANGER.public_key())
    return replace(
        before,
        version=version,
        parties=tuple(
            Party(name=role, root=names[named], roles=(role,)) for role, named in zip(BOTH, roots, strict=True)
        ),
        parts=shape,
        recipients=tuple(key_of(role, number) for role, number in zip(BOTH, numbers, strict=True)),
    )


def document_of(wish: RecipientSet, *keys: Ed25519PrivateKey) -> bytes:
    """The set as these keys sign it, without the product's own look at it."""
    return signed.sign(recipients._body(wish), label=recipients.LABEL, keys=keys)


def held_by(role: str) -> dict[bytes, bytes]:
    """A party's opening keys by id: its own and those that it made."""
    own = {hpke.key_id(SUITE, hpke.public_key_of(SUITE, key)): key for key in OWN}
    return {recipient(role).key_id: private_key(role), **own}


def taken_and_opened(role: str, document: bytes) -> bool | None:
    """Whether the party opens what the box seals after this set came; None when the box does not take it."""
    box = Box(recipients=recipient_set()).minutes(2)
    try:
        found = recipients.supersede(box.recipients, recipients.verify(document, pinned()))
    except LogError:
        return None
    box.recipients = found
    box.restart().minutes(1, encounters=1)
    return opened(box, held_by(role)) != []


@pytest.mark.parametrize("role", BOTH)
def test_no_set_that_one_party_can_sign_is_taken(role: str) -> None:
    """Every shape, every choice of keys and roots, every signature that it can make: 450 sets, none in force."""
    hands = {"root": root(role), "stranger": STRANGER}
    for shape, numbers, roots, signers in product(SHAPES, KEYS, ROOTS, SIGNERS):
        document = document_of(wished(recipient_set(), 2, shape, numbers, roots), *(hands[name] for name in signers))
        assert taken_and_opened(role, document) is None, (shape, numbers, roots, signers)


@pytest.mark.parametrize("role", BOTH)
def test_a_party_that_signs_its_own_key_s_place_gives_nothing_away(role: str) -> None:
    """The other party signs anything that names its true key for its role: what is taken does not open to one."""
    other = BOTH.index(role) ^ 1
    taken = 0
    for shape, numbers, roots in product(SHAPES, KEYS, ROOTS):
        if numbers[other] == 0:
            wish = wished(recipient_set(), 2, shape, numbers, roots)
            verdict = taken_and_opened(role, document_of(wish, *(root(one) for one in BOTH)))
            assert verdict is not True, (shape, numbers, roots)
            taken += verdict is False
    assert taken > 0


def broken(**changes: Any) -> bytes:
    """A set that both signed, with something wrong in its body."""
    body = recipients._body(replace(recipient_set(), version=2))
    keys = [root(one) for one in BOTH]
    return signed.sign({**body, **changes}, label=recipients.LABEL, keys=keys)


def parties_with(*roles: list[str], roots: tuple[str, ...] = BOTH) -> list[dict[str, Any]]:
    """Two parties with these roles and roots."""
    return [
        {"name": name, "root": signed.key_name(root(one).public_key()), "roles": own}
        for name, one, own in zip(BOTH, roots, roles, strict=True)
    ]


def entries(*numbers: int) -> list[dict[str, Any]]:
    """The keys of both roles, as a set's body has them."""
    wish = replace(recipient_set(), recipients=tuple(key_of(role, n) for role, n in zip(BOTH, numbers, strict=True)))
    found: list[dict[str, Any]] = recipients._body(wish)["recipients"]
    return found


SECOND = replace(
    wished(recipient_set(), 2, SHAPES[0], (0, 0), BOTH), recipients=(replace(key_of("authority", 1), role="second"),)
)

RULES = {
    "a party has one role": broken(
        parties=parties_with(["authority", "second"], ["custodian"]),
        parts=[["authority"], ["second"], ["custodian"]],
        recipients=[*entries(0, 0), *recipients._body(SECOND)["recipients"]],
    ),
    "one key is in two roles": broken(recipients=entries(1, 1)),
    "a part names an unknown role": broken(parts=[["authority"], ["custodian"], ["nobody"]]),
    "a part must be a list of roles": broken(parts=[["authority"], ["custodian"], []]),
    "a part names a role twice": broken(parts=[["authority", "authority"], ["custodian"]]),
    "Authority alone holds every part": broken(parts=[["authority", "custodian"], ["authority"]]),
    "Custodian alone holds every part": broken(parts=[["custodian"], ["custodian", "authority"]]),
    "every role must belong to one party": broken(parties=parties_with(["authority"], ["authority"])),
    "version must be at least 1": broken(version=0),
    "not_before must precede not_after": broken(not_before=10, not_after=10),
}
"""A set that both signed and that breaks this rule alone, by the sentence with which it is refused."""


@pytest.mark.parametrize("rule_broken", RULES)
def test_each_rule_is_needed(rule_broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The set is refused with that sentence, and is taken by a box on which that one rule is switched off."""
    with pytest.raises(LogError, match=rule_broken):
        recipients.verify(RULES[rule_broken], pinned())
    require = recipients._require

    def lenient(holds: bool, sentence: str) -> None:
        require(holds or sentence == rule_broken, sentence)

    monkeypatch.setattr(recipients, "_require", lenient)
    assert recipients.verify(RULES[rule_broken], pinned()).parts


@pytest.mark.parametrize("missing", BOTH)
def test_each_signature_is_needed(missing: str) -> None:
    """The honest next set without one party's signature is none; with both it is."""
    body = replace(recipient_set(), version=2)
    with pytest.raises(LogError, match="no valid signature"):
        recipients.verify(document_of(body, *(root(one) for one in BOTH if one != missing)), pinned())
    assert recipients.verify(document_of(body, *(root(one) for one in BOTH)), pinned()).version == 2


@pytest.mark.parametrize("roots", ROOTS[1:])
def test_the_parties_are_those_whose_roots_are_pinned(roots: tuple[str, str]) -> None:
    """Both signed a set that calls another key a party's root, or changes the two: it is none."""
    document = document_of(wished(recipient_set(), 2, SHAPES[0], (0, 0), roots), *(root(one) for one in BOTH))
    with pytest.raises(LogError, match=r"not those whose roots are pinned|one root is that of two parties"):
        recipients.verify(document, pinned())


def test_the_older_set_that_both_signed_does_not_come_back() -> None:
    """A party that has come by the other's old key hands the box the set of then: it seals to the set of now."""
    now = replace(recipient_set(), version=2, recipients=tuple(key_of(role, 1 + n) for n, role in enumerate(BOTH)))
    box = Box(recipients=now).minutes(1)
    old = recipients.verify(document_of(recipient_set(), *(root(role) for role in BOTH)), pinned())
    with pytest.raises(LogError, match="cannot replace version 2"):
        recipients.supersede(box.recipients, old)
    same = replace(recipient_set(), version=2)
    with pytest.raises(LogError, match="cannot replace version 2"):
        recipients.supersede(box.recipients, same)


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
        self.private = held_by(role)
        self.hands = {"root": root(role), "stranger": STRANGER}

    @rule(
        shape=st.sampled_from([SHAPES[0]] * 5 + SHAPES),
        keys=st.sampled_from(KEYS),
        roots=st.sampled_from([BOTH, *ROOTS]),
        signers=st.sampled_from(SIGNERS),
    )
    def hand_a_set_to_the_box(self, shape: Any, keys: Any, roots: Any, signers: Any) -> None:
        """Any set, signed by anything the party holds; the box takes it or not, as the product decides."""
        self.versions += 1
        wish = wished(self.current, self.versions, shape, keys, roots)
        document = document_of(wish, *(self.hands[name] for name in signers))
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
