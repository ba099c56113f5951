"""Labels: every code reads, every line stays on the label, and nothing secret is on it."""

from __future__ import annotations

import base64
import re
import secrets
import subprocess
from typing import TYPE_CHECKING

import pytest
import segno

from edge_scanner.core.enrolment import device_id
from edge_scanner.core.enrolment.documents import Place
from edge_scanner.core.errors import ConfigurationError
from provisioning import label
from provisioning.inventory import BoxRow, State
from provisioning.label import Words
from tests.support.installed import program

if TYPE_CHECKING:
    from pathlib import Path

WORDS = Words(address="HTTPS://Q.EXAMPLE.VN/D/", phone="028 3829 4000")
LONG = "Trung tâm Hội nghị và Triển lãm Sài Gòn cơ sở Nguyễn Văn Linh"


def _rows(count: int) -> list[BoxRow]:
    return [
        BoxRow(
            device_id=device_id.from_entropy(secrets.token_bytes(5)),
            batch="B-014",
            place=Place(
                site="ben-xe", room=f"Cửa {number}", name_vi=LONG if number % 7 == 0 else "Bến xe Miền Đông", name_en=""
            ),
            state=State.ENROLLED,
            serial=f"10000000{secrets.token_hex(4)}",
            identity=base64.b64encode(secrets.token_bytes(32)).decode(),
            mqtt_key=secrets.token_hex(32),
            enrolled_s=1,
            reason="",
        )
        for number in range(count)
    ]


def _read_codes(pictures: list[Path]) -> list[str]:
    done = subprocess.run(
        [program("zbarimg"), "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", *map(str, pictures)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


def _cut(sheet: Path, number: int, paper: label.Paper) -> Path:
    """Label `number` of the printed sheet, at 200 dpi, as scissors would cut it."""
    page, place = (number, 0) if paper == "roll" else divmod(number, label.COLUMNS * label.ROWS)
    row, column = divmod(place, label.COLUMNS)
    left, top = (0.0, 0.0) if paper == "roll" else (43.0, 17.0)
    dots = 200 / 25.4
    x, y = round((left + column * label.WIDTH_MM) * dots), round((top + row * label.HEIGHT_MM) * dots)
    target = sheet.with_name(f"label-{number}")
    subprocess.run(
        [program("pdftoppm"), "-r", "200", "-gray", "-png", "-singlefile", "-f", str(page + 1), "-l", str(page + 1),
         "-x", str(x), "-y", str(y), "-W", str(round(label.WIDTH_MM * dots)), "-H", str(round(label.HEIGHT_MM * dots)),
         str(sheet), str(target)],
        check=True, capture_output=True,
    )  # fmt: skip
    return target.with_suffix(".png")


@pytest.mark.parametrize("paper", ["roll", "a4"])
@pytest.mark.slow
def test_every_code_of_fifty_labels_reads(tmp_path: Path, paper: label.Paper) -> None:
    """The sheet as it is printed, cut into fifty labels: each one's code says its own id."""
    program("chromium")  # which writes the PDF
    rows = _rows(50)
    sheet = tmp_path / "labels.pdf"
    label.write(rows, sheet, WORDS, date="2026-11-24", paper=paper)

    codes = _read_codes([_cut(sheet, number, paper) for number in range(50)])

    assert codes == [f"HTTPS://Q.EXAMPLE.VN/D/{row.device_id}" for row in rows]


def test_the_code_is_small_and_alphanumeric() -> None:
    """33 characters in upper case fit version 2 at level M: 25 modules, 0.67 mm each on the label."""
    text = label.payload("K7MP2R9CX4", WORDS)
    code = segno.make(text, error="m", micro=False)

    assert (code.version, code.mode) == (label.QR_VERSION, "alphanumeric")
    assert label.QR_MM / code.symbol_size(border=4)[0] > 0.4


def test_addresses_that_would_not_fit_are_refused() -> None:
    """Lower case would make the code larger, and so would a long address: both are said before printing."""
    with pytest.raises(ConfigurationError, match="larger"):
        Words(address="https://q.example.vn/d/", phone="1")
    with pytest.raises(ConfigurationError, match="too long"):
        label.svg(_rows(1)[0], Words(address="HTTPS://A-VERY-LONG-NAME.EXAMPLE.VN/D/", phone="1"), date="")


def test_nothing_secret_is_on_a_label() -> None:
    """Id, place, fingerprint, batch, date, phone: no serial, no key, and not the whole identity."""
    (row,) = _rows(1)
    text = label.svg(row, WORDS, date="2026-11-24")

    assert device_id.spelled(row.device_id) in text
    assert label.fingerprint(row.identity) in text
    for secret in (row.serial, row.mqtt_key, row.identity):
        assert secret not in text


def test_long_names_are_cut_and_squeezed() -> None:
    """A long place's name is shortened, and what is still wide is told its width."""
    (row,) = _rows(1)
    text = label.svg(row, Words(address=WORDS.address, phone="0" * 40), date="2026-11-24")

    assert LONG not in text
    assert "…" in text
    assert re.findall(r'textLength="([0-9.]+)"', text)
    assert all(
        float(width) <= label.WIDTH_MM - label.QR_MM - 2.5 for width in re.findall(r'textLength="([0-9.]+)"', text)
    )


@pytest.mark.parametrize("words", [{"address": "", "phone": "1"}, {"address": "A", "phone": " "}])
def test_a_label_without_hotline_or_address_is_not_printed(words: dict[str, str]) -> None:
    """There is no default for either: what is glued to a wall is what the fleet signed."""
    with pytest.raises(ConfigurationError, match="hotline and an address"):
        Words(**words)


def test_a_box_from_a_card_says_so() -> None:
    """The bench knows no key of it, so there are no six words."""
    row = BoxRow(
        device_id="04HMASW9Z6",
        batch="B-014",
        place=Place(site="", room="", name_vi="", name_en=""),
        state=State.FREE,
        serial="",
        identity="",
        mqtt_key="",
        enrolled_s=0,
        reason="",
    )

    text = label.svg(row, WORDS, date="2026-11-24")

    assert "cài từ thẻ / installed from a card" in text


def test_single_labels_and_a_page_for_any_browser(tmp_path: Path) -> None:
    """A folder gets one SVG a box; a .html file prints itself at the right size."""
    rows = _rows(3)
    label.write(rows, tmp_path / "svg", WORDS, date="", paper="roll")
    label.write(rows, tmp_path / "labels.html", WORDS, date="", paper="roll")

    assert sorted(path.stem for path in (tmp_path / "svg").iterdir()) == sorted(row.device_id for row in rows)
    page = (tmp_path / "labels.html").read_text()
    assert "@page{size:62.0mm 29.0mm" in page
    assert page.count("<svg") == 3
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", page)
