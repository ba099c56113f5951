"""What a site's settings mean for privacy: the statement that the command prints and the notice hangs on the wall."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_scanner import protocols as registry
from edge_scanner.core.counts.estimator import CONTINUOUS_GRACE_S, Counter
from edge_scanner.core.counts.privacy_budget import LedgerPrice, price
from edge_scanner.core.counts.release import BROKER, DISPLAY, NEARBY, tracing

if TYPE_CHECKING:
    from edge_scanner.core.counts.release import Budget


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacySettings:
    """What of a box's settings decides about privacy; `notice_url` is what the QR code opens.

    `retention_days` is 0 on a box that keeps no log.
    """

    protocols: tuple[str, ...]
    budgets: tuple[Budget, ...] = (BROKER, DISPLAY)
    grace_s: float = CONTINUOUS_GRACE_S
    retention_days: int = 14
    name_vi: str = ""
    name_en: str = ""
    notice_url: str = ""
    contact: str = ""
    reads_iphones: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """`epsilons` are for half an hour, two and eight hours of whoever sees all ledgers; `figures` are what is released.

    `sensitivity` is in device-minutes per device-hour.
    """

    figures: tuple[str, ...]
    sensitivity: int
    ledgers: tuple[LedgerPrice, ...]
    epsilons: tuple[float, ...]
    retention_days: int
    unit: str = field(default="one device under one identity; a phone that runs two apps is two", init=False)


def state(settings: PrivacySettings) -> Statement:
    """The statement that follows from the settings; raises ConfigurationError for an unknown protocol."""
    counter = Counter(registry.load(settings.protocols), grace_s=settings.grace_s)
    ledgers = tuple(price(budget, sensitivity=counter.sensitivity) for budget in settings.budgets)
    return Statement(
        figures=(NEARBY, *(() if all(budget.total_only for budget in settings.budgets) else tracing(counter.figures))),
        sensitivity=counter.sensitivity,
        ledgers=ledgers,
        epsilons=tuple(map(sum, zip(*(ledger.epsilons for ledger in ledgers), strict=True))),
        retention_days=settings.retention_days,
    )
