"""Which iPhone to read next: a Bluezone iPhone tells its identifier only over GATT, one connection at a time.

Pure: the time (UTC seconds) is an argument; `radio.py` connects. Opt-in (`radio.read_iphones`), because a connection
is an act towards somebody's phone, while listening is not.

Decision: one read per address and 15-minute UTC slot, the identifier's life; what was read is attached to every later
advert of that address within the slot, so that the log shows how long the phone stayed and not only that it was read.
It beat one extra advert per read, which would count the phone twice, once as presence and once as identified.
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
"""Addresses remembered per slot; reads take seconds each, so more could not be read anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """One connection to make: the device's address and the characteristic to read there."""

    address: str
    characteristic: str


@dataclass(slots=True, kw_only=True)
class _Candidate:
    characteristic: str
    due_s: float
    tries: int = 0
    value: bytes | None = None


class ReadPlan:
    """The candidates of the current slot."""

    def __init__(self) -> None:
        self._slot = -1
        self._candidates: dict[str, _Candidate] = {}

    def wish(self, address: str, characteristic: str, now_s: float) -> None:
        """Note a phone that shows no identifier; forgotten when too many are noted."""
        self._enter(now_s)
        if address not in self._candidates and len(self._candidates) < MAX_CANDIDATES:
            self._candidates[address] = _Candidate(characteristic=characteristic, due_s=now_s)

    def next_read(self, now_s: float) -> Read | None:
        """The read that has been due longest, or None."""
        self._enter(now_s)
        due = [
            (candidate.due_s, address)
            for address, candidate in self._candidates.items()
            if candidate.value is None and candidate.tries < TRIES and candidate.due_s <= now_s
        ]
        if not due:
            return None
        address = min(due)[1]
        return Read(address=address, characteristic=self._candidates[address].characteristic)

    def done(self, read: Read, value: bytes | None, now_s: float) -> None:
        """Note what a read brought, None for a failure; a read that ended in another slot than it began in is void."""
        self._enter(now_s)
        candidate = self._candidates.get(read.address)
        if candidate is None:
            return
        candidate.value = value
        candidate.due_s = now_s + BACK_OFF_S * 2**candidate.tries
        candidate.tries += 1

    def known(self, address: str, now_s: float) -> tuple[str, bytes] | None:
        """(characteristic, value) read from this address in this slot."""
        self._enter(now_s)
        candidate = self._candidates.get(address)
        if candidate is None or candidate.value is None:
            return None
        return candidate.characteristic, candidate.value

    def _enter(self, now_s: float) -> None:
        slot = int(now_s // SLOT_S)
        if slot != self._slot:
            self._slot = slot
            self._candidates.clear()
