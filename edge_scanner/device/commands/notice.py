"""The notice for the wall: what the box does, in Vietnamese and English, on one A5 page with a QR code.

And the page for the address in that code, which has the numbers. Each is one HTML file without scripts and without
anything fetched, so it shows and prints the same in any browser. The words stand in `notice.html` and
`notice_page.html`; what depends on the settings is filled in here, escaped.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

import segno

from edge_scanner.core.counts.release import DISPLAY

if TYPE_CHECKING:
    from edge_scanner.device.commands.statement import PrivacySettings, Statement

_READS_VI = " Với iPhone có Bluezone, thiết bị kết nối trong chốc lát để đọc mã, vì iPhone không tự phát mã."
_READS_EN = " An iPhone does not broadcast its Bluezone code; the box connects for a moment to read it."

_SEALED_VI = (
    "Các mã được mã hoá trong vòng một phút và tự xoá sau {days} ngày. Địa điểm này và chính thiết bị cũng không mở "
    "được. Chỉ cơ quan y tế cùng một bên giữ khoá độc lập mới mở được, khi điều tra ca bệnh."
)
_SEALED_EN = (
    "The codes are sealed within a minute and deleted after {days} days. Neither the venue nor the box can open them: "
    "only the health authority together with an independent custodian can, to investigate a case."
)
_COUNTED_VI = "Không lưu mã nào. Thiết bị chỉ đếm quanh đây có bao nhiêu thiết bị Bluetooth."
_COUNTED_EN = "No code is kept. The box only counts how many devices are here."
"""What a box keeps that has an authority, and one that has none; in both languages."""

_STAYS = ("30 phút / 30 min", "2 giờ / 2 h", "8 giờ / 8 h")
"""The stays of `core/counts/privacy_budget.py`, in both languages."""


def page(settings: PrivacySettings) -> str:
    """The notice for the wall."""
    code = segno.make(settings.notice_url, error="m", micro=False)
    return _filled(
        "notice.html",
        settings,
        qr=code.svg_inline(border=2, omitsize=True, svgclass=None, lineclass=None),
    )


def numbers(settings: PrivacySettings, statement: Statement) -> str:
    """The page behind the notice's code: the same words, what a stay costs, and how wrong the figures are."""
    display = next(one for one in statement.ledgers if one.ledger == DISPLAY)
    return _filled(
        "notice_page.html",
        settings,
        table=_table(statement),
        again=f"{statement.again:.2f}",
        hour=f"{statement.hour:.2f}",
        bin=str(display.bin_s // 60),
        error=f"{display.error:.1f}",
        error_95=f"{display.error_95:.1f}",
    )


def _filled(name: str, settings: PrivacySettings, **more: str) -> str:
    template = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    days = settings.retention_days
    return Template(template).substitute(
        more,
        site_vi=escape(settings.name_vi),
        site_en=escape(settings.name_en),
        address=escape(settings.notice_url),
        contact=escape(settings.contact),
        kept_vi=_SEALED_VI.format(days=days) if days else _COUNTED_VI,
        kept_en=_SEALED_EN.format(days=days) if days else _COUNTED_EN,
        reads_vi=_READS_VI if settings.reads_iphones else "",
        reads_en=_READS_EN if settings.reads_iphones else "",
    )


def _table(statement: Statement) -> str:
    stays = "".join(f"<th>{stay}</th>" for stay in _STAYS)
    cells = "".join(f"<td>ε ≤ {value:.3g}</td>" for value in statement.epsilons)
    return f"<table><tr>{stays}</tr><tr>{cells}</tr></table>"
