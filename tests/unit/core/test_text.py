"""Free text: what may stand in a document that people sign, and how foreign text is shown."""

from __future__ import annotations

import pytest

from edge_scanner.core import text
from edge_scanner.core.errors import MalformedError


@pytest.mark.parametrize(
    "good",
    [
        "Luật 114/2025/QH15",
        "Truy vết người tiếp xúc",  # Vietnamese with combining marks
        "x",
        "[red]markup is only text[/x]",
        "東京 · Ω — “quoted”",
    ],
)
def test_what_a_person_sees_as_it_stands_is_let_through(good: str) -> None:
    """Letters, marks and punctuation of any script."""
    assert text.parse(good, limit=200, name="the purpose", where="request") == good
    assert text.literal(good) == good


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ("", "1 to 200 characters"),
        ("x" * 201, "1 to 200 characters"),
        ("clear\x1b[2J", "U+001B at character 6"),
        ("two\nlines", "U+000A at character 4"),
        ("\x9b2J", "U+009B at character 1"),
        ("a\u202eb", "U+202E at character 2"),
        ("a\u2066b", "U+2066 at character 2"),
        ("zero\u200bwidth", "U+200B at character 5"),
        ("no\u00a0break", "U+00A0 at character 3"),
        ("tower a\u0301\u0301\u0301\u0301", "U+0301 at character 11"),
        ("\ud800", "U+D800 at character 1"),
        ("Tr\u034fần", "U+034F at character 3"),
        ("Trần\u3164Bình", "U+3164 at character 5"),
        ("Trần\u2800Bình", "U+2800 at character 5"),
        ("Trần\U000e0100", "U+E0100 at character 5"),
        ("Trần\ufe0f", "U+FE0F at character 5"),
        (" led", "a space"),
        ("trailed ", "a space"),
    ],
)
def test_what_a_terminal_would_act_on_is_refused_with_its_place(bad: str, place: str) -> None:
    """Controls, escapes, direction marks, invisible and towering characters."""
    with pytest.raises(MalformedError) as refused:
        text.parse(bad, limit=200, name="the purpose", where="request")

    assert place in refused.value.what
    assert "the purpose" in refused.value.what
    assert refused.value.where == "request"


def test_foreign_text_is_shown_and_not_obeyed() -> None:
    """Each character that is no print becomes one visible sign; line ends stay where the caller wants them."""
    assert text.literal("\x1b[2J\x07\x7f\u202e") == "␛[2J␇␡\ufffd"
    assert text.literal("one\ntwo\x1b", keep="\n") == "one\ntwo␛"
    assert text.literal("one\ntwo") == "one␊two"
    assert text.literal("one\u2800two\u3164") == "one\ufffdtwo\ufffd"


def test_what_is_not_drawn_is_left_out() -> None:
    """A name copied from a web page has its spaces plain, and nothing that is not seen."""
    assert text.only_drawn(" Bến\u00a0 xe\u3164\u202e\tMiền Đông\n") == "Bến xe Miền Đông"
    assert text.only_drawn("\u200b") == ""


@pytest.mark.parametrize(
    "bad", ["", "http://a.vn", "a.vn", "https://a .vn", "https://a\u00a0.vn", "https://a\u202e.vn"]
)
def test_a_web_address_is_one_that_a_page_links_to(bad: str) -> None:
    """By HTTPS, in one piece, of characters that are drawn."""
    assert text.is_web_address("https://q.hcm.test/n?a=b")
    assert not text.is_web_address(bad)
