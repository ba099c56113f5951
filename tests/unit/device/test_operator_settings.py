"""The operator's file: put over the settings, held to a few keys, and to the site that it was made for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import ConfigurationError, StorageError
from edge_scanner.device import operator_settings, settings
from edge_scanner.device.kiosk import choices
from edge_scanner.device.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

MAIN = settings.parse(
    b'[device]\nsite = "cho-lon"\nname_vi = "Ch\xe1\xbb\xa3"\nname_en = "Market"\n'
    b'[kiosk]\nmoderate_from = 30\nbusy_from = 90\nlan = true\nhost = "0.0.0.0"\n',
    name="scanner.toml",
)


def sent(**changes: str) -> dict[str, str]:
    """The form of `MAIN` with fields changed, as a browser sends it."""
    return {**choices.shown(MAIN).texts, **changes}


def test_form_to_file_to_settings() -> None:
    """What was typed comes back, everything else stays as the technician has it, and only differences are written."""
    text, typed = choices.taken(
        MAIN,
        sent(
            name_en="Cho Lon \"Market\" \\ 'No. 2'",
            busy_from=" 120 ",
            theme="night",
            opening_0="05:00-22:00",
            opening_6="closed",
            holidays="Tết 2026-02-16 2026-02-22\r\nTết 2027-02-05 2027-02-11\r\n",
            limit="200",
        ),
    )
    found = operator_settings.merged(MAIN, text.encode(), name="operator.toml")

    assert typed.wrong == {}
    assert found == replace(
        MAIN,
        device=replace(MAIN.device, name_en="Cho Lon \"Market\" \\ 'No. 2'"),
        kiosk=replace(
            MAIN.kiosk,
            busy_from=120,
            theme="night",
            opening=("05:00-22:00", "", "", "", "", "", "closed"),
            holidays=("Tết 2026-02-16 2026-02-22", "Tết 2027-02-05 2027-02-11"),
        ),
        alarm=replace(MAIN.alarm, limit=200),
    )
    assert "moderate_from" not in text
    assert choices.taken(MAIN, choices.shown(found).texts)[0] == text


def test_the_same_hours_every_day_are_one_text() -> None:
    """Seven equal days are written once, and shown seven times."""
    text, _ = choices.taken(MAIN, sent(**dict.fromkeys(choices.OPENING, "05:00-22:00")))
    found = operator_settings.merged(MAIN, text.encode(), name="")
    assert found.kiosk.opening == ("05:00-22:00",)
    assert choices.shown(found).texts["opening_6"] == "05:00-22:00"


@pytest.mark.parametrize(
    ("field", "typed", "vi", "en"),
    [
        ("busy_from", "20", "phải lớn hơn “Vừa phải”", "must be larger than “Moderate”"),
        ("busy_from", "viel", "số nguyên, ví dụ 20", "a whole number, e.g. 20"),
        ("moderate_from", "0", "", "expected int >= 1"),
        ("limit", "999999", "", "expected int <= 100000"),
        ("name_vi", "  ", "cần một tên", "a name is needed"),
        ("name_en", "a\tb", "cần một tên", "a name is needed"),
        ("staff", "0" * 41, "", "length <= 40"),
        ("theme", "pink", "", "'pink' is not one of auto, day, night"),
        ("opening", "5-22", "'5-22' không phải là giờ mở cửa", "'5-22' is not opening hours"),
        ("holidays", "Tết 2026", "không phải là một dịp nghỉ lễ", "is not a holiday; write its name"),
    ],
)
def test_wrong_input_has_its_line_beside_the_field(field: str, typed: str, vi: str, en: str) -> None:
    """The sentence of the settings file in both languages, nothing to write, and what was typed is still there."""
    name = "opening_3" if field == "opening" else field
    text, form = choices.taken(MAIN, sent(**{name: typed}))
    assert text == ""
    assert list(form.wrong) == [field]
    assert vi in form.wrong[field].vi
    assert en in form.wrong[field].en
    assert form.texts[name] == typed


def test_a_form_with_nothing_in_it_is_wrong_and_harmless() -> None:
    """Whoever sends rubbish gets the form back."""
    text, form = choices.taken(MAIN, {"host": "0.0.0.0"})
    assert text == ""
    assert {"name_vi", "busy_from", "theme"} <= set(form.wrong)


@pytest.mark.parametrize(
    "line",
    [
        "[kiosk]\nlan = true",
        '[mqtt]\nhost = "evil.example"',
        "[log]\nretention_days = 21",
        '[alarm]\nwebhook = "http://x"',
    ],
)
def test_no_other_key_is_taken(line: str) -> None:
    """Whoever writes the page's file cannot open the network, move the log's end or name a broker."""
    with pytest.raises(ConfigurationError, match=r"is set in scanner\.toml alone"):
        operator_settings.merged(MAIN, line.encode(), name="operator.toml")


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 8000,
        "[device]\nname_vi = " + "{a = " * 3000,
        "[alarm]\nlimit = " + "9" * 16_000,
        "[alarm]\nlimit = 0x" + "f" * 16_000,
        "[kiosk]\ntheme = 0x" + "f" * 16_000,
        f"[kiosk]\ntheme = '{'x' * 16_000}'",
        f"[kiosk]\n'{'x' * 16_000}' = 1",
        f"[{'x' * 16_000}]",
        "[kiosk]\n" + "".join(f"a{number} = 1\n" for number in range(2000)),
        "".join(f"[a{number}]\n" for number in range(2000)),
        "[[device]]\nname_vi = 'x'",
        "device = 1",
    ],
    ids=lambda text: text[:24],
)
def test_whatever_the_file_holds_is_one_short_error(text: str) -> None:
    """Whoever writes the page's file ends no scanner, and fills no journal."""
    with pytest.raises(ConfigurationError) as caught:
        operator_settings.merged(MAIN, text.encode(), name="operator.toml")
    assert len(str(caught.value)) < 400


def test_a_box_that_moved_forgets_the_other_sites_settings() -> None:
    """Names and thresholds are a site's: at another one the file says nothing."""
    text, _ = choices.taken(MAIN, sent(busy_from="120"))
    moved = replace(MAIN, device=replace(MAIN.device, site="ben-thanh"))
    assert operator_settings.merged(MAIN, text.encode(), name="").kiosk.busy_from == 120
    assert operator_settings.merged(moved, text.encode(), name="") == moved
    alone = replace(MAIN, device=replace(MAIN.device, site=""))
    text, _ = choices.taken(alone, sent(busy_from="120"))
    assert operator_settings.merged(alone, text.encode(), name="").kiosk.busy_from == 120
    assert operator_settings.merged(moved, text.encode(), name="") == moved


def test_the_folder_is_distrusted(tmp_path: Path) -> None:
    """No file is no change; a link, a pipe and a large file are refused, and none is waited for."""
    main = replace(MAIN, kiosk=replace(MAIN.kiosk, operator_dir=str(tmp_path)))
    file = tmp_path / operator_settings.FILE
    assert operator_settings.over(main) == main
    assert operator_settings.over(replace(main, kiosk=replace(main.kiosk, operator_dir=""))).kiosk.operator_dir == ""
    (tmp_path / "elsewhere").write_text("[kiosk]\nbusy_from = 100\n")
    for make in (
        lambda: file.symlink_to("elsewhere"),
        lambda: file.write_bytes(b"#" * 20_000),
        lambda: file.write_bytes(b"a" + b".a" * 8000 + b" = 1"),
    ):
        make()
        with pytest.raises(ConfigurationError, match=r"cannot read the settings: .*operator\.toml"):
            operator_settings.over(main)
        file.unlink()
    os.mkfifo(file)
    assert operator_settings.over(main) == main


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """One line, with the folder."""
    with pytest.raises(StorageError, match="the operator's settings"):
        operator_settings.write(tmp_path / "none", operator_settings.FILE, b"")


def test_the_shipped_defaults_are_shown() -> None:
    """Every field of the form has a text."""
    assert all(isinstance(text, str) for text in choices.shown(Settings()).texts.values())
