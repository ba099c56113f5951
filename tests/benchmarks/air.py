"""How many phones of a crowd can be heard in a minute at all: three advertising channels, collisions, one receiver.

Half of the phones are Exposure Notification (a packet every 250 ms, all the time), half Bluezone Androids (every 100 ms
for 15 s, then 15 s of silence), as in `device/simulation/phones.py`; each event has a packet of 376 us (31 bytes of
data, Core 5.4 Vol 6 Part B 2.1) on each channel, and up to 10 ms more until the next (4.4.2.2.1). One phone in fifteen
changes its identifier within the minute. BlueZ scans actively with window and interval of 11.25 ms, so the receiver
always listens, on one channel after the other. Phones stand in a hall around the box; path loss of 30 dB a decade,
bodies by 8 dB from phone to phone, fading by 4 dB from packet to packet.

A packet is received if it lies wholly within a window, is stronger than the receiver needs, and stronger by the capture
ratio than all that overlaps it together. This flatters the air: a receiver that follows a weaker packet misses a
stronger one, answers to its own scan requests take air, and other people's devices are not in it.

An identifier is heard if at least one of its packets came through within the minute.

Run: `python -m tests.benchmarks.air --write`; `--radii-m` for other halls.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from edge_scanner.core.log.encounters import MAX_PER_MINUTE
from tests.benchmarks import document

CROWDS = (200, 1_000, 1_500, 2_000, 2_500, 3_000, 5_000)
MINUTE_S = 60.0
PACKET_S = 376e-6
APART_S = 500e-6
"""From a packet on one channel to the same on the next."""
DELAY_S = 0.01
LIFE_S = 900.0
WINDOW_S = 0.01125
RADII_M = (10.0, 20.0, 40.0)
"""Of 2,000 people in the smallest each has 0.16 square metres, which is more than a crush."""
AT_A_METRE_DBM, DECADE_DB, BODIES_DB, FADING_DB = -55.0, 30.0, 8.0, 4.0
SENSITIVITY_DBM = -95.0
CAPTURES_DB = (6.0, 10.0)
"""From what good receivers do to what most do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One crowd: packets a second on each channel and received whole, identifiers heard, for each capture ratio."""

    phones: int
    sent: float
    received: tuple[float, ...]
    heard: tuple[int, ...]


def events(rng: np.random.Generator, phones: int) -> tuple[np.ndarray, np.ndarray]:
    """Times of a minute's advertising events and whose they are."""
    times, whose = [], []
    for interval_s, on_s, first in ((0.25, MINUTE_S, 0), (0.1, 15.0, 1)):
        ids = np.arange(first, phones, 2)
        many = int(MINUTE_S / interval_s) + 1
        at = rng.random((len(ids), 1)) * interval_s + np.cumsum(
            interval_s + rng.random((len(ids), many)) * DELAY_S, axis=1
        )
        speaks = (at < MINUTE_S) & ((at + rng.random((len(ids), 1)) * 2 * on_s) % (2 * on_s) < on_s)
        if on_s == MINUTE_S:
            speaks = at < MINUTE_S
        times.append(at[speaks])
        whose.append(np.repeat(ids, many).reshape(len(ids), many)[speaks])
    return np.concatenate(times), np.concatenate(whose)


def minute(rng: np.random.Generator, phones: int, radius_m: float) -> Figure:
    """One minute of a crowd."""
    at, whose = events(rng, phones)
    changes_s = rng.random(phones) * LIFE_S
    distance = np.maximum(radius_m * np.sqrt(rng.random(phones)), 1.0)
    mean = AT_A_METRE_DBM - DECADE_DB * np.log10(distance) + rng.normal(0, BODIES_DB, phones)
    heard = [np.zeros(2 * phones, bool) for _ in CAPTURES_DB]
    received = [0] * len(CAPTURES_DB)
    for channel in range(3):
        start = at + channel * APART_S
        order = np.argsort(start)
        start, who = start[order], whose[order]
        dbm = mean[who] + rng.normal(0, FADING_DB, len(who))
        power = 10 ** (dbm / 10)
        total = np.concatenate(([0.0], np.cumsum(power)))
        overlap = (
            total[np.searchsorted(start, start + PACKET_S)]
            - total[np.searchsorted(start, start - PACKET_S, side="right")]
        )
        others = np.maximum(overlap - power, 1e-30)
        window, within = np.divmod(start, WINDOW_S)
        listened = (window % 3 == channel) & (within + PACKET_S <= WINDOW_S) & (dbm >= SENSITIVITY_DBM)
        for number, capture_db in enumerate(CAPTURES_DB):
            whole = listened & (dbm - 10 * np.log10(others) >= capture_db)
            heard[number][who[whole] + phones * (start[whole] > changes_s[who[whole]])] = True
            received[number] += int(whole.sum())
    return Figure(
        phones=phones,
        sent=len(at) / MINUTE_S,
        received=tuple(count / MINUTE_S for count in received),
        heard=tuple(int(one.sum()) for one in heard),
    )


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--phones", type=int, nargs="+", default=CROWDS)
    parser.add_argument("--radii-m", type=float, nargs="+", default=RADII_M)
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    heads = ["hall, m", "phones", "packets/s on each channel", "air taken"]
    for capture_db in CAPTURES_DB:
        heads += [f"received/s, capture {capture_db:.0f} dB", "identifiers heard in a minute"]
    rows = []
    for radius_m in options.radii_m:
        for phones in options.phones:
            one = minute(rng, phones, radius_m)
            row = [f"{radius_m:.0f}", f"{phones:,}", f"{one.sent:,.0f}", f"{one.sent * PACKET_S:.2f}"]
            for received, heard in zip(one.received, one.heard, strict=True):
                row += [f"{received:,.0f}", f"{heard:,} ({heard / phones / (1 + MINUTE_S / LIFE_S):.0%})"]
            rows.append(row)
    text = document.table(heads, rows)
    text += f"\n\nThe log has room for {MAX_PER_MINUTE:,} a minute."
    document.report("air", "python -m tests.benchmarks.air --write", text, keep=options.write)


if __name__ == "__main__":
    main()
