"""COMMANDS edge-scanner log status: how much is in the sealed log, and which minutes are and are not.

A minute counts as recorded when its frame is on the disk and the radio listened in it. Frames do not say which minute
they are of; the database keeps that beside each segment. Segments of an older version have no such row: there only
the number of minutes that an hour lacks can be told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.table import Table

from edge_scanner import terminal
from edge_scanner.device.commands.log import MINUTE_S, SEGMENT_S, gaps, print_json, utc
from edge_scanner.device.commands.when import local
from edge_scanner.device.storage import files
from edge_scanner.device.storage.store import open_reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from edge_scanner.device.commands.log import Lost
    from edge_scanner.device.storage.rows import Span, Summary
    from edge_scanner.language.errors import Language

_SILENCE_S = 120
"""Where minutes can only be counted: a restart takes less."""
_SHOWN = 5

_WORDS = {
    "segments": ("segments", "đoạn nhật ký"),
    "numbers": (" (number {0} to {1})", " (số {0} đến {1})"),
    "finished": ("{0}{1}, {2} finished since the box began", "{0}{1}, {2} đoạn đã xong từ khi hộp bắt đầu"),
    "frames": ("frames", "khung"),
    "recorded": ("recorded", "đã ghi"),
    "from-to": ("{0} to {1}", "{0} đến {1}"),
    "size": ("size", "dung lượng"),
    "gaps": ("gaps", "đoạn bị mất"),
    "lost": ("segments {0} to {1} are lost", "đoạn {0} đến {1}"),
    "none": ("none", "không có"),
    "not-recorded": ("not recorded", "không ghi"),
    "minutes": ("{0} ({1} min)", "{0} ({1} phút)"),
    "some": ("{0} min between {1} and {2}", "{0} phút trong khoảng {1} đến {2}"),
    "earlier": ("{0} earlier ones; ", "{0} khoảng trước đó; "),
    "why": (
        " (box off, radio off, keys expired, disk not writable, or clock set)",
        " (hộp tắt, bộ thu tắt, khoá hết hạn, đĩa không ghi được, hoặc đồng hồ được chỉnh)",
    ),
    "aside": ("set aside", "đã để riêng"),
    "outbox": ("outbox", "tin chờ gửi"),
    "waiting": ("{0} messages, {1} kB; {2} dropped", "{0} tin, {1} kB; đã bỏ {2}"),
    "trail": ("audit trail", "nhật ký kiểm toán"),
    "entries": ("{0} records", "{0} mục"),
}
"""English, Vietnamese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Between two moments (UTC s) this many minutes were not recorded: all of them, unless an older version wrote."""

    from_s: float
    to_s: float
    minutes: int

    @property
    def exact(self) -> bool:
        """Whether it is known which minutes these are."""
        return self.to_s - self.from_s == self.minutes * MINUTE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """From the first minute to the end of the last (UTC s, None in an empty log), with the gaps between."""

    from_s: float | None = None
    to_s: float | None = None
    gaps: tuple[Gap, ...] = ()


def recorded(spans: Sequence[Span]) -> Recorded:
    """Which minutes the segments recorded together, by the UTC that they were sealed under.

    Several segments of one hour, as a restart or a clock that was set back leaves them, count together.
    """
    found: list[Gap] = []
    first_s = last_s = None
    counted_from_s = None
    for begin_s, end_s, exact in sorted(_pieces(spans)):
        if first_s is None or last_s is None:
            first_s = begin_s
        elif counted_from_s is not None:
            silent_s = begin_s - last_s
            if silent_s >= _SILENCE_S:
                found.append(Gap(from_s=counted_from_s, to_s=begin_s, minutes=int(silent_s // MINUTE_S)))
        elif begin_s > last_s:
            found.append(Gap(from_s=last_s, to_s=begin_s, minutes=int((begin_s - last_s) // MINUTE_S)))
        last_s, counted_from_s = end_s, None if exact else begin_s
    return Recorded(from_s=first_s, to_s=last_s, gaps=tuple(found))


def _pieces(spans: Sequence[Span]) -> Iterator[tuple[float, float, bool]]:
    """Each minute that is known (UTC s, from and to), or an hour's beginning and how long it holds at least."""
    hours: dict[float, list[Span]] = {}
    for span in spans:
        hours.setdefault(span.hour_s, []).append(span)
    for hour_s, held in hours.items():
        bits = 0
        for span in held:
            bits |= span.minutes or 0
        if any(span.minutes is None for span in held):
            yield hour_s, hour_s + min(SEGMENT_S, MINUTE_S * sum(span.frames for span in held)), False
            continue
        for minute in range(60):
            if bits >> minute & 1:
                yield hour_s + MINUTE_S * minute, hour_s + MINUTE_S * (minute + 1), True


def run_log_status(path: Path, *, zone: tzinfo, as_json: bool = False, language: Language = "en") -> None:
    """Print what the log at `path` holds. Raises StorageError."""
    summary, lost, spans = asyncio.run(_read(path))
    held = recorded(spans)
    aside = files.aside(path)
    if as_json:
        print_json(
            segments=summary.segments,
            frames=summary.frames,
            finished=summary.leaves,
            runs=summary.boots,
            oldest=utc(held.from_s),
            newest=utc(held.to_s),
            first_segment=summary.first_segment,
            last_segment=summary.last_segment,
            bytes=summary.bytes_on_disk,
            lost=[[gap.first, gap.last] for gap in lost],
            not_recorded=[[utc(gap.from_s), utc(gap.to_s), gap.minutes] for gap in held.gaps],
            set_aside=[str(file) for file in aside],
            outbox={
                "rows": summary.outbox_rows, "bytes": summary.outbox_bytes, "dropped": summary.outbox_dropped,
            },
            audit_entries=summary.audit_entries,
        )  # fmt: skip
        return
    table = _table(summary, lost, held, zone=zone, language=language)
    table.add_row(_said(language, "aside"), ", ".join(file.name for file in aside) or _said(language, "none"))
    terminal.console().print(table)


async def _read(path: Path) -> tuple[Summary, list[Lost], list[Span]]:
    async with open_reader(path) as store:
        return await store.summary(), gaps([leaf async for leaf in store.leaves()]), await store.spans()


def _table(summary: Summary, lost: Sequence[Lost], held: Recorded, *, zone: tzinfo, language: Language) -> Table:
    def say(word: str, *values: object) -> str:
        return _said(language, word, *values)

    def many(number: float) -> str:
        return f"{number:,.0f}"

    numbers = say("numbers", summary.first_segment, summary.last_segment) if summary.segments else ""
    none = say("none")
    whole = none
    if held.from_s is not None and held.to_s is not None:
        whole = say("from-to", local(held.from_s, zone), local(held.to_s, zone))
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_row(say("segments"), say("finished", many(summary.segments), numbers, many(summary.leaves)))
    table.add_row(say("frames"), many(summary.frames))
    table.add_row(say("recorded"), whole)
    table.add_row(say("not-recorded"), _gaps_row(held.gaps, zone, language) or none)
    table.add_row(say("size"), f"{summary.bytes_on_disk / 1e6:,.1f} MB")
    table.add_row(say("gaps"), ", ".join(say("lost", gap.first, gap.last) for gap in lost) or none)
    outbox = (many(summary.outbox_rows), many(summary.outbox_bytes / 1e3), many(summary.outbox_dropped))
    table.add_row(say("outbox"), say("waiting", *outbox))
    table.add_row(say("trail"), say("entries", many(summary.audit_entries)))
    return table


def _gaps_row(found: Sequence[Gap], zone: tzinfo, language: Language) -> str:
    """The newest few, for people; empty where nothing is missing."""
    if not found:
        return ""
    shown = [
        _said(language, "minutes", _span(gap, zone, language), f"{gap.minutes:,}")
        if gap.exact
        else _said(language, "some", f"{gap.minutes:,}", local(gap.from_s, zone), local(gap.to_s, zone))
        for gap in found[-_SHOWN:]
    ]
    more = _said(language, "earlier", f"{len(found) - _SHOWN:,}") if len(found) > _SHOWN else ""
    return f"{more}{'; '.join(shown)}{_said(language, 'why')}"


def _span(gap: Gap, zone: tzinfo, language: Language) -> str:
    """2026-11-28 08:12-08:19 +07; both moments in full where they are not of one day and one offset."""
    begin, end = (datetime.fromtimestamp(at_s, UTC).astimezone(zone) for at_s in (gap.from_s, gap.to_s))
    midnight = end == begin.replace(hour=0, minute=0, fold=0) + timedelta(days=1)
    if begin.utcoffset() != end.utcoffset() or (begin.date() != end.date() and not midnight):
        return _said(language, "from-to", local(gap.from_s, zone), local(gap.to_s, zone))
    return f"{begin:%Y-%m-%d %H:%M}-{'24:00' if midnight else f'{end:%H:%M}'} {begin:%Z}"


def _said(language: Language, word: str, *values: object) -> str:
    return _WORDS[word][language == "vi"].format(*values)
