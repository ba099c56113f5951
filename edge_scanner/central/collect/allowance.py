"""How much one name may say in a day: whoever has a box's certificate can write as fast as the broker takes it.

What is beyond that is neither judged nor kept: so a stolen box fills no table, and pushes out nothing that was set
aside for a box that is not listed yet.
"""

from __future__ import annotations

from collections import Counter

A_DAY = 10_000
"""A box says 336 things in a day (its outbox has the sum), and 1,080 more when it was away for a month."""
MAX_NAMES = 100_000
"""More than a fleet has; the broker admits only the names of its certificates."""
DAY_S = 86_400


class Allowance:
    """Counts what each name said since the day began; times are UTC seconds."""

    def __init__(self) -> None:
        self._said: Counter[str] = Counter()
        self._day = 0

    def admits(self, topic: str, now_s: float) -> bool:
        """Whether the name in this topic may say one more thing today."""
        if self._day != (day := int(now_s // DAY_S)) or len(self._said) > MAX_NAMES:
            self._said.clear()
            self._day = day
        name = name_of(topic)
        self._said[name] += 1
        return self._said[name] <= A_DAY


def name_of(topic: str) -> str:
    """Whose topic it is, empty for what no box may write to."""
    return "".join(topic.split("/")[3:4])
