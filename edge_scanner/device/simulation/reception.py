"""How a radio hears a simulated transmitter: what is lost, how strong the rest is, what becomes one burst.

Drawn per burst, not per packet: how many of the packets sent came through (binomial, by its normal approximation) and
their mean RSSI. That beat one event per packet by about forty times and makes a crowd of thousands cheap.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_scanner.core.model import Advert

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from edge_scanner.core.address_tags import Tagger
    from edge_scanner.device.simulation.phones import OnAir, Transmitter

SPREAD_DB = 4.0
"""Standard deviation of one packet's RSSI around its phone's mean: fading, and bodies in between."""
WEAKEST, STRONGEST = -100, -25


class Ear:
    """A receiver with its randomness and the keys of its address tags; `packets` gives every packet by itself."""

    def __init__(self, rng: random.Random, tagger: Tagger, *, packets: bool) -> None:
        self._rng = rng
        self._tagger = tagger
        self._packets = packets

    def hear(
        self, transmitter: Transmitter, begin: float, end: float, *, rssi: float, share: float
    ) -> Iterator[Advert]:
        """What comes through of [begin, end), a part of one cell, when `share` of all packets does.

        `rssi` is the mean, dBm. One burst at most, or its packets in order of time.
        """
        first, last, window = transmitter.window(begin, end)
        if last <= first:
            return
        rng = self._rng
        sent = (last - first) / transmitter.interval_s
        expected = sent * share
        count = min(round(rng.gauss(expected, math.sqrt(expected * (1 - share)))), math.ceil(sent))
        if count < 1:
            return
        shown, mean = transmitter.at(window), rssi + transmitter.gain_db
        if self._packets:
            for at_s in sorted(rng.uniform(first, last) for _ in range(count)):
                yield self._advert(shown, at_s, at_s, count=1, mean=mean)
        else:
            # The first and last of `count` packets lie about one mean gap from the ends.
            gap = (last - first) / (count + 1)
            since = first + gap * rng.random()
            until = last - gap * rng.random() if count > 1 else since
            yield self._advert(shown, since, until, count=count, mean=mean)

    def _advert(self, shown: OnAir, first_s: float, last_s: float, *, count: int, mean: float) -> Advert:
        average = _audible(self._rng.gauss(mean, SPREAD_DB / math.sqrt(count)))
        # The greatest of n normal numbers lies about sqrt(2 ln n) deviations above their mean.
        rssi_max = round(_audible(average + SPREAD_DB * math.sqrt(2 * math.log(count))))
        return Advert(
            data=shown.data,
            address_tag=self._tagger.tag(shown.address, last_s),
            address_type=shown.address_type,
            first_s=first_s,
            last_s=last_s,
            count=count,
            rssi_count=count,
            rssi_sum=min(round(average * count), rssi_max * count),
            rssi_max=rssi_max,
        )


def _audible(rssi: float) -> float:
    return min(max(rssi, WEAKEST), STRONGEST)
