"""The guides, the notice and the command state the same prices."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edge_scanner.core.counts.privacy_budget import price
from edge_scanner.device.commands import notice
from edge_scanner.device.commands.statement import PrivacySettings, state
from edge_scanner.device.settings import Settings

DOCS = Path(__file__).parents[3] / "docs"
SETTINGS = Settings()
PRIVACY = PrivacySettings(
    protocols=tuple(SETTINGS.radio.protocols), budget=SETTINGS.counts.budget, notice_url="https://example.vn"
)
STATEMENT = state(PRIVACY)
BROKER, DISPLAY = STATEMENT.ledgers
LOWER = [f"{one.error:.1f}" for one in price(replace(SETTINGS.counts.budget, day_epsilon=2.0)).ledgers]


@pytest.mark.parametrize(
    ("guide", "words"),
    [
        ("counting.md", f"{STATEMENT.epsilons[2]:.2g} for eight hours"),
        ("counting.md", f"{STATEMENT.epsilons[0]:.2f} for half an hour"),
        ("counting.md", f"{STATEMENT.epsilons[1]:.2f} for two hours"),
        ("counting.md", f"adds {STATEMENT.again:.2f}"),
        ("counting.md", f"never more than {STATEMENT.hour:.2f} an hour"),
        ("counting.md", f"a mean error of {BROKER.error:.1f} phones in an hour"),
        ("counting.md", f"of {DISPLAY.error:.1f} in half an hour"),
        ("counting.md", "At 2.0 a day, which is 0.25 an hour of eight, it is " + " and ".join(LOWER)),
        ("counting.md", f"{2 * STATEMENT.epsilons[2]:.1f} in eight hours"),
        ("counting.md", f"adds at most **{STATEMENT.sensitivity}**"),
        ("threat-model.md", f"ε {STATEMENT.epsilons[2]:.2g} for eight hours"),
        ("threat-model.md", f"ε {STATEMENT.epsilons[0]:.2f} for half an hour"),
        ("threat-model.md", f"never more than {STATEMENT.hour:.2f} an hour"),
    ],
)
def test_guides_say_what_the_command_says(guide: str, words: str) -> None:
    """Whoever changes a default changes the guides, or this fails."""
    assert words in " ".join((DOCS / guide).read_text().split())


def test_notice_says_what_the_command_says() -> None:
    """The page behind the notice's code has the price of each stay; the wall has words for everybody."""
    page = notice.numbers(PRIVACY, STATEMENT)
    assert all(f"ε ≤ {epsilon:.3g}" in page for epsilon in STATEMENT.epsilons)
    for number in (STATEMENT.again, STATEMENT.hour):
        assert f"{number:.2f}" in page
    assert f"{DISPLAY.error:.1f} phones" in page
    assert "ε" not in notice.page(PRIVACY)


def test_released_figures_are_stated() -> None:
    """As it is set nothing but the phones is released."""
    assert STATEMENT.figures == ("nearby",)
    assert BROKER.error <= 4.4


def test_the_words_of_all_weeks_together() -> None:
    """The sentence below the table of simulated weeks is the mean of its rows with visitors, nights learnt."""
    text = (DOCS / "counting.md").read_text()
    rows = re.findall(r"^\| [1-9]\d* \| ([^|]+%, [^|]+%) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    learnt = [float(cell.split(", ")[1].rstrip("%")) for row in rows for cell in row]

    assert len(learnt) == 12
    assert f"twelve weeks with visitors, that makes {sum(learnt) / len(learnt):.0f} % of the words correct" in text
    assert sum(learnt) / len(learnt) >= 95
