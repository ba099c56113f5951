"""Labels: who this box is, for people and phones, on the box; no secret.

One label is 62 x 29 mm (a common die-cut size); an A4 sheet takes two columns of nine. The QR code holds an upper-case
address with the id, so that it stays in alphanumeric mode: version 2, level M, 25 modules. The fingerprint is of the
box's identity key, which an authority compares with the bundle that a box on a wall gave it.

SVG inside HTML, printed by any browser, beat a printer driver and a PDF library; Chromium, where it is installed, makes
the PDF without a window.
"""

from __future__ import annotations

import base64
import contextlib
import html
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import segno

from edge_scanner.core.enrolment import fingerprints
from edge_scanner.core.enrolment.device_id import spelled
from edge_scanner.core.errors import ConfigurationError, UnavailableError
from edge_scanner.core.text import drawn
from provisioning import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioning.inventory import BoxRow

Paper = Literal["roll", "a4"]

WIDTH_MM, HEIGHT_MM = 62.0, 29.0
QR_MM = 22.0
"""25 modules and a quiet zone of 4 on each side: 0.67 mm a module, above the 0.4 mm that any phone reads."""
QR_VERSION = 2
COLUMNS, ROWS = 2, 9
"""On A4: 124 of 210 mm across, 261 of 297 mm down, so every printer's margin fits."""
_ALPHANUMERIC = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:")
_MAX_PLACE = 34
"""Characters of the place's line at 2.6 mm."""
_PDF_S = 60
_BY_HAND = "name a .html file and print it from any browser"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the fleet prints on every label: the address before the id, and whom to call. Both are needed."""

    address: str
    phone: str

    def __post_init__(self) -> None:
        if not self.phone.strip() or not drawn(self.phone) or not self.address:
            raise ConfigurationError(
                "a label needs a hotline and an address", hint="edge-provision fleet words; then a new batch"
            )
        if not set(self.address) <= _ALPHANUMERIC:
            raise ConfigurationError(
                "the label's address has characters that make the QR code larger",
                where="--label-address",
                hint="upper case, digits and $%*+-./: only",
            )


def payload(device_id: str, words: Words) -> str:
    """What the QR code says."""
    return words.address + device_id


def fingerprint(identity: str) -> str:
    """The six words of an identity key in base64; what the box itself shows at enrolment."""
    return fingerprints.words(base64.b64decode(identity))


def svg(row: BoxRow, words: Words, *, date: str) -> str:
    """One label, 62 x 29 mm, in millimetres; raises ConfigurationError for an address too long for the code."""
    try:
        code = segno.make(
            payload(row.device_id, words), version=QR_VERSION, error="m", mode="alphanumeric", micro=False
        )
    except segno.DataOverflowError as error:
        raise ConfigurationError(
            "the label's address is too long for a small code",
            where="--label-address",
            hint="at most 26 characters",
        ) from error
    size = code.symbol_size(border=4)[0]
    scale = QR_MM / size
    modules = "".join(
        f"M{x + 4} {y + 4}h1v1h-1z" for y, line in enumerate(code.matrix) for x, dark in enumerate(line) if dark
    )
    place = " · ".join(part for part in (row.place.name_vi or row.place.site, row.place.room) if part)
    mark = fingerprint(row.identity) if row.identity else "cài từ thẻ / installed from a card"
    text = (
        (8.0, 4.0, "bold", spelled(row.device_id)),
        (13.5, 2.6, "normal", place if len(place) <= _MAX_PLACE else place[: _MAX_PLACE - 1] + "…"),
        (17.5, 2.3, "normal", mark),
        (21.0, 2.3, "normal", f"lô {row.batch}   {date}"),
        (25.5, 2.0, "normal", f"Hỏng? Faulty? {words.phone} · Không tháo / Do not remove"),
    )
    lines = "".join(_line(*line) for line in text)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH_MM}mm" height="{HEIGHT_MM}mm"'
        f' viewBox="0 0 {WIDTH_MM} {HEIGHT_MM}" font-family="Be Vietnam Pro, DejaVu Sans, sans-serif">'
        f'<rect width="{WIDTH_MM}" height="{HEIGHT_MM}" fill="#fff"/>'
        f'<g transform="translate(0.5 3.5) scale({scale:.5f})"><path d="{modules}" shape-rendering="crispEdges"/></g>'
        f"{lines}</svg>"
    )


def _line(y: float, height: float, weight: str, value: str) -> str:
    """One line of text, squeezed when it would run off the label; 0.6 em is a wide letter."""
    room = WIDTH_MM - QR_MM - 2.5
    squeezed = f' textLength="{room}" lengthAdjust="spacingAndGlyphs"' if len(value) * height * 0.6 > room else ""
    place = f'x="{QR_MM + 1.5}" y="{y}" font-size="{height}" font-weight="{weight}"'
    return f"<text {place}{squeezed}>{html.escape(value)}</text>"


def sheet(rows: Sequence[BoxRow], words: Words, *, date: str, paper: Paper) -> str:
    """An HTML page that prints itself right: one label a page on a roll, eighteen on A4."""
    labels = [svg(row, words, date=date) for row in rows]
    if paper == "roll":
        page, body = f"{WIDTH_MM}mm {HEIGHT_MM}mm", "".join(f'<div class="page">{label}</div>' for label in labels)
        style = f".page{{width:{WIDTH_MM}mm;height:{HEIGHT_MM}mm;break-after:page;overflow:hidden}}"
    else:
        page, per_page = "A4", COLUMNS * ROWS
        pages = [labels[start : start + per_page] for start in range(0, len(labels), per_page)]
        body = "".join(f'<div class="page">{"".join(labels_of_page)}</div>' for labels_of_page in pages)
        style = (
            f".page{{width:210mm;height:296mm;padding:17mm 0 0 43mm;box-sizing:border-box;break-after:page;"
            f"display:grid;grid-template-columns:repeat({COLUMNS},{WIDTH_MM}mm);grid-auto-rows:{HEIGHT_MM}mm}}"
            "svg{outline:0.1mm dashed #bbb}"
        )
    return (
        '<!doctype html><html lang="vi"><meta charset="utf-8"><title>Nhãn / Labels</title>'
        f"<style>@page{{size:{page};margin:0}}body{{margin:0}}svg{{display:block}}{style}</style>{body}</html>"
    )


def write(rows: Sequence[BoxRow], target: Path, words: Words, *, date: str, paper: Paper) -> None:
    """Write the sheet as `target` says: `.html`, `.pdf` (through Chromium) or a folder of SVG files."""
    if target.suffix == ".html":
        files.write(target, sheet(rows, words, date=date, paper=paper).encode(), mode=0o644)
    elif target.suffix == ".pdf":
        _print(sheet(rows, words, date=date, paper=paper), target)
    else:
        for row in rows:
            files.write(target / f"{row.device_id}.svg", svg(row, words, date=date).encode(), mode=0o644)


def _print(page: str, target: Path) -> None:
    program = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    if program is None:
        raise UnavailableError("no Chromium is installed to make a PDF", hint=_BY_HAND)
    with tempfile.TemporaryDirectory(prefix="edge-label-") as scratch:
        source = Path(scratch) / "labels.html"
        source.write_text(page)
        made = Path(scratch) / "labels.pdf"
        command = [
            program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={scratch}/profile",
            "--no-pdf-header-footer", f"--print-to-pdf={made}", source.as_uri(),
        ]  # fmt: skip
        # Our own page without scripts or addresses: the sandbox protects from pages, and root cannot use it.
        # One that hangs has made no file, which is what is looked at.
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(command, check=False, capture_output=True, timeout=_PDF_S)  # noqa: S603 (our own arguments)
        if not made.exists():
            raise UnavailableError("Chromium did not make a PDF", where=program, hint=_BY_HAND)
        files.write(target, made.read_bytes(), mode=0o644)
