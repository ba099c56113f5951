"""Which iPhone to read next: a Bluezone iPhone tells its identifier only over GATT, one connection at a time.

Pure: the time (UTC seconds) is an argument; `radio.py` connects. Opt-in (`radio.read_iphones`), because a connection
is an act towards somebody's phone, while listening is not.

Decision: one read per address and 15-minute UTC slot, the identifier's life; what was read is attached to every later
advert of that address within the slot, so that the log shows how long the phone stayed and not only that it was read.
It beat one extra advert per read, which would count the phone twice, once as presence and once as identified.

Who is not heard for a minute is forgotten, address and value. Only a hash under the process's own key stays to the end
of the slot, with the number of tries: a phone that comes back and refused three times is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOT_S = 900
"""A Bluezone identifier's life: 96 a UTC day."""

TRIES = 3
"""Per address and slot: a phone that refused three times is out of reach or not Bluezone (the hint is 1 in 128)."""

BACK_OFF_S = 30.0
"""After a failure, doubling: the phone may have walked nearer."""

MAX_CANDIDATES = 500
"""Phones remembered per slot; reads take seconds each, so more could not be read anyway."""

FORGET_S = 60.0
"""An address that was not heard for so long is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One connection to make: the device's address and the characteristic to read there."""

    address: str
    characteristic: str


@dataclass(slots=True, kw_only=True)
class _Candidate:
    characteristic: str
    heard_s: float
    value: bytes | None = None


@dataclass(slots=True, kw_only=True)
class _Tries:
    due_s: float
    made: int = 0


class ReadPlan:
    """The candidates of the current slot."""

    def __init__(self) -> None:
        self._slot = -1
        self._candidates: dict[str, _Candidate] = {}
        self._tries: dict[int, _Tries] = {}

    def wish(self, address: str, characteristic: str, now_s: float) -> None:
        """Note a phone that shows no identifier; forgotten when too many are noted."""
        self._enter(now_s)
        if address in self._candidates:
            return
        if hash(address) not in self._tries:
            if len(self._tries) >= MAX_CANDIDATES:
                return
            self._tries[hash(address)] = _Tries(due_s=now_s)
        self._candidates[address] = _Candidate(characteristic=characteristic, heard_s=now_s)

    def next_read(self, now_s: float) -> Read | None:
        """The read that has been due longest, or None; forgets who was not heard for a while."""
        self._enter(now_s)
        for address in [a for a, candidate in self._candidates.items() if candidate.heard_s < now_s - FORGET_S]:
            del self._candidates[address]
        due = [
            (tries.due_s, address)
            for address, candidate in self._candidates.items()
            if candidate.value is None and (tries := self._tries[hash(address)]).made < TRIES and tries.due_s <= now_s
        ]
        if not due:
            return None
        address = min(due)[1]
        return Read(address=address, characteristic=self._candidates[address].characteristic)

    def done(self, read: Read, value: bytes | None, now_s: float) -> None:
        """Note what a read brought, None for a failure; a read that ended in another slot than it began in is void."""
        self._enter(now_s)
        tries = self._tries.get(hash(read.address))
        if tries is None:
            return
        tries.due_s = now_s + BACK_OFF_S * 2**tries.made
        tries.made += value is None
        if (candidate := self._candidates.get(read.address)) is not None:
            candidate.value = value

    def known(self, address: str, now_s: float) -> tuple[str, bytes] | None:
        """(characteristic, value) read from this address in this slot; it is being heard."""
        self._enter(now_s)
        candidate = self._candidates.get(address)
        if candidate is None:
            return None
        candidate.heard_s = now_s
        return None if candidate.value is None else (candidate.characteristic, candidate.value)

    def _enter(self, now_s: float) -> None:
        slot = int(now_s // SLOT_S)
        if slot != self._slot:
            self._slot = slot
            self._candidates.clear()
            self._tries.clear()
