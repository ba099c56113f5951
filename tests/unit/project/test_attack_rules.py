"""The list of rules whose removal a test must notice fits the code, and every test of the old attacks is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.benchmarks.rules import Rule, rules

PROJECT = Path(__file__).parents[3]
LISTED = rules()
ATTACKS = (PROJECT / "docs" / "threat-model.md").read_text().partition("## What earlier versions allowed\n")[2]
FIRST = 8
"""The first rows are about orders, keys, openings and evidence."""
ROWS = [line for line in ATTACKS.splitlines() if line.startswith("| ")][1 : FIRST + 1]
SHOWN = re.findall(r"`(test_\w+)`", "\n".join(ROWS))


@pytest.mark.parametrize("rule", LISTED, ids=lambda rule: rule.says)
def test_a_rule_stands_in_the_code_once_and_its_tests_exist(rule: Rule) -> None:
    """`python -m tests.benchmarks.rules` can take it out; whoever moves the code moves the list."""
    assert (PROJECT / rule.file).read_text().count(rule.code) == 1
    tests = (PROJECT / rule.tests_in).read_text()
    assert rule.tests
    assert [name for name in rule.tests if f"def {name}(" not in tests] == []


def test_each_test_of_an_old_attack_notices_a_rule() -> None:
    """None of them is shown that no change of the code could make fail."""
    assert ROWS[-1].startswith("| a sealed order")
    assert len(SHOWN) > 15
    assert set(SHOWN) - {name for rule in LISTED for name in rule.tests} == set()
