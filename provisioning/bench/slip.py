"""The sealed slip: the PIN of the operator's page, one sheet of A5 a box, for whoever runs the venue."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from edge_scanner.core.enrolment.device_id import spelled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provisioning.inventory import BoxRow

_STYLE = (
    "@page{size:A5;margin:15mm}body{margin:0;font-family:'Be Vietnam Pro','DejaVu Sans',sans-serif;color:#000}"
    "section{break-after:page}h1{font-size:14pt}p{font-size:10pt}"
    ".pin{font-size:28pt;letter-spacing:.15em;margin:12mm 0}"
)


def sheet(boxes: Sequence[tuple[BoxRow, str]], *, hotline: str) -> str:
    """An HTML page that any browser prints: fold each slip and close its envelope before it leaves the desk."""
    slips = "".join(_slip(row, pin, hotline) for row, pin in boxes)
    return (
        '<!doctype html><html lang="vi"><meta charset="utf-8"><title>Mã PIN / PINs</title>'
        f"<style>{_STYLE}</style>{slips}</html>"
    )


def _slip(row: BoxRow, pin: str, hotline: str) -> str:
    name = " / ".join(part for part in (row.place.name_vi, row.place.name_en) if part)
    place = " · ".join(part for part in (name, row.place.room) if part)
    return (
        f"<section><h1>{html.escape(place)}</h1><p>{spelled(row.device_id)}</p>"
        "<p>Mã PIN cho trang vận hành (/ops) của hộp này. Không dán lên hộp, không chụp ảnh.<br>"
        "The PIN of this box's operator page (/ops). Do not stick it to the box or photograph it.</p>"
        f'<p class="pin">{pin[:5]} {pin[5:]}</p>'
        "<p>Đổi mã / change it: <code>sudo edge-scanner ops-pin /etc/edge-scanner/ops-pin</code><br>"
        f"{html.escape(hotline)}</p></section>"
    )
