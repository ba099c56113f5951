"""Every code has its sentence in both languages, and the exit code says the gravest finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_scanner.core.diagnostics import advice
from edge_scanner.core.diagnostics.advice import FIXES, LIGHTS, NAMES, Finding, Verdict
from edge_scanner.core.diagnostics.codes import Code, DoctorCode
from edge_scanner.mqtt.brokerlink import Trouble

PRODUCT = Path(__file__).parents[4]


def test_every_code_says_what_to_do() -> None:
    """Codes of box, broker, doctor and bench: none is without advice, no advice is left over."""
    bench = {
        code
        for room in ("provisioning", "edge_scanner/device")
        for path in (PRODUCT / room).rglob("*.py")
        for code in re.findall(r'"(PRV-\d\d)"', path.read_text())
    }
    codes = {str(code) for code in (*Code, *DoctorCode, *Trouble) if code} | bench

    assert codes == set(FIXES)
    assert not set(Code) & set(DoctorCode) - {""}


@pytest.mark.parametrize("code", FIXES)
def test_advice_is_one_sentence_in_both_languages(code: str) -> None:
    """Vietnamese has its diacritics, both end with a full stop."""
    words = advice.fix(code)

    assert words is not None
    assert words.of("vi").endswith(".")
    assert words.of("en").endswith(".")
    assert not words.vi.isascii()
    assert words.en.isascii()


def test_a_full_card_is_freed_before_it_is_replaced() -> None:
    """Another program may have filled it: then nothing is wrong with the card."""
    words = FIXES[Code.STORAGE_FULL]

    assert words.en.index("free space") < words.en.index("replace")
    assert words.vi.index("xoá bớt tệp") < words.vi.index("thay thẻ")


@pytest.mark.parametrize("code", [code for code, words in FIXES.items() if words.operator])
def test_what_the_operator_reads_has_both_languages(code: str) -> None:
    """Whole sentences in either language."""
    words = FIXES[code].operator

    assert words is not None
    assert words.vi.endswith(".")
    assert words.en.endswith(".")
    assert not words.vi.isascii()
    assert words.en.isascii()


@pytest.mark.parametrize("name", LIGHTS)
def test_a_light_has_its_name_and_advice_in_both_languages(name: str) -> None:
    """A name, and a sentence for yellow and for red."""
    light = LIGHTS[name]

    assert all(words.vi and words.en.isascii() for words in (light.name, light.warn, light.fail))
    assert not (light.warn.vi + light.fail.vi).isascii()


def test_names_have_both_languages() -> None:
    """A check without an entry is called by its own name."""
    assert all(words.vi and words.en.isascii() for words in NAMES.values())
    assert advice.name("clock").vi == "Đồng hồ"
    assert advice.name("unheard-of").of("en") == "unheard-of"


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [((), 0), (("PASS", "SKIP"), 0), (("PASS", "WARN"), 1), (("WARN", "FAIL", "PASS"), 2)],
)
def test_exit_code_is_that_of_the_gravest(verdicts: tuple[str, ...], code: int) -> None:
    """0 ok, 1 warning, 2 error; what cannot be checked here counts for nothing."""
    assert advice.exit_code(tuple(Finding(check="x", verdict=Verdict(verdict)) for verdict in verdicts)) == code


def test_the_technicians_guide_has_the_same_table() -> None:
    """The guide's last page lists every code with the words that the box says."""
    guide = (PRODUCT / "docs" / "technician.md").read_text()

    missing = [code for code, words in FIXES.items() if f"| `{code}` | {words.vi} | {words.en} |" not in guide]

    assert missing == []
