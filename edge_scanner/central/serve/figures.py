"""What a reader sees of a noised sum: a mean with its 95 % interval, never a negative, none where noise hides it.

Pure. A site's hour adds up boxes, or has the largest of one hall; boxes draw their noises apart, so variances add up.
One box's bins one after the other do not: each holds a share of the noise before it (docs/counting.md). By how much
that widens a step of several bins, its row says.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from edge_scanner.core.counts import adoption
from edge_scanner.core.counts.intervals import DEVIATIONS, around, of_successive

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_scanner.central.store.site_bins import SiteBin
    from edge_scanner.core.counts.intervals import Present


def level(bins: Iterable[SiteBin]) -> Present | None:
    """The sum of the sites' means in their bins of one step of time; None where none listened."""
    mean = variance = 0.0
    heard = False
    for one in bins:
        if one.mean is not None:
            mean += one.mean
            variance += one.shared * one.mean_variance
            heard = True
    if not heard:
        return None
    return around(mean, DEVIATIONS * sqrt(variance))


def share(bins: Iterable[SiteBin], protocol: str = "bluezone") -> adoption.Share | None:
    """Which share of the phones nearby runs a protocol, over bins of any sites; None where noise hides the answer."""
    inside = nearby = inside_variance = 0.0
    sites: dict[str, list[SiteBin]] = {}
    for one in bins:
        ours = [value for name, value in one.figures.items() if name in {protocol, f"{protocol}_presence"}]
        if one.nearby is None or not ours:
            continue
        inside += sum(ours)
        nearby += one.nearby
        sites.setdefault(one.site, []).append(one)
        inside_variance += len(ours) * one.tracing_variance
    nearby_variance = sum(map(_variance, sites.values()))
    return adoption.share(inside, nearby, inside_variance=inside_variance, nearby_variance=nearby_variance)


def _variance(bins: Sequence[SiteBin]) -> float:
    """Of one site's sum. Where bins are missing between them they share less: then this is a little much."""
    parts = max(one.parts for one in bins)
    return sum(one.variance for one in bins) * of_successive(sum(one.bins for one in bins), parts)
