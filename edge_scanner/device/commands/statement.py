"""What a site's settings mean for privacy: the statement that the command prints and the notice hangs on the wall."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_scanner import protocols as registry
from edge_scanner.core.counts.estimator import CONTINUOUS_GRACE_S, Counter
from edge_scanner.core.counts.privacy_budget import BUDGET, Budget, LedgerPrice, price
from edge_scanner.core.counts.release import NEARBY, tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """What of a box's settings decides about privacy; `notice_url` is what the QR code opens.

    `retention_days` is 0 on a box that keeps no log.
    """

    protocols: tuple[str, ...]
    budget: Budget = BUDGET
    grace_s: float = CONTINUOUS_GRACE_S
    retention_days: int = 14
    name_vi: str = ""
    name_en: str = ""
    notice_url: str = ""
    contact: str = ""
    reads_iphones: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`epsilons` are for unbroken stays of half an hour, two and eight hours, for whoever sees all that is released.

    `again` is what a further coming and going adds, `hour` the most that an hour of presence costs in any pattern.
    `figures` are what is released; `sensitivity` is in device-minutes per device-hour.
    """

    figures: tuple[str, ...]
    sensitivity: int
    ledgers: tuple[LedgerPrice, ...]
    epsilons: tuple[float, ...]
    again: float
    hour: float
    retention_days: int
    unit: str = field(default="one device under one identity; a phone that runs two apps is two", init=False)


def state(settings: PrivacySettings) -> Statement:
    """The statement that follows from the settings; raises ConfigurationError for an unknown protocol."""
    counter = Counter(registry.load(settings.protocols), grace_s=settings.grace_s)
    cost = price(settings.budget, sensitivity=counter.sensitivity)
    return Statement(
        figures=(NEARBY, *(tracing(counter.figures) if settings.budget.tracing_figures else ())),
        sensitivity=counter.sensitivity,
        ledgers=cost.ledgers,
        epsilons=cost.epsilons,
        again=cost.again,
        hour=cost.hour,
        retention_days=settings.retention_days,
    )
