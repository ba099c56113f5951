"""The benchmark of a country still runs on the tables as they are."""

from __future__ import annotations

from tests.benchmarks.central_year import measure


def test_a_country_of_four_boxes() -> None:
    """It fills PostgreSQL by SQL of its own, which every new column changes; each question has an answer."""
    said: list[str] = []

    found = measure(4, 1, said.append)

    assert found.rows == {"releases": 96, "health": 96, "statements": 100}
    assert all(answer.kilobytes for name, answer in found.answers.items() if "pruning" not in name)
