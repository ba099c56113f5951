"""COMMAND edge-authority report: the result of match for people and for other programs.

The HTML page is one file without scripts and without any address to load, so that it can lie in a file for years and
looks the same on paper; its policy (CSP) forbids everything but its own style. Vietnamese first, English below. The
timeline (timeline.py) is inline SVG. CSV and Parquet have one row a minute.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from html import escape
from importlib import resources
from itertools import groupby
from typing import TYPE_CHECKING

from edge_scanner import __version__
from edge_scanner.authority import files, translations
from edge_scanner.authority.collect.verdict import PULLED
from edge_scanner.authority.match import timeline
from edge_scanner.authority.match.match import GAP_MINUTES, visits
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.log.errors import EmptyError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_scanner.authority.collect.verdict import Verdict
    from edge_scanner.authority.match.match import HeardMinute, Matches, Visit
    from edge_scanner.authority.open.opened import Coverage

COLUMNS = (
    "case",
    "device",
    "place",
    "minute_utc",
    "minute_local",
    "adverts",
    "rssi_max_dbm",
    "class",
    "rule",
    "offset_s",
)
_LONG_VISITS = 18
"""A case with more rows may break over pages."""
_MAX_GAPS = 6
_DASH, _MINUS = "\u2013", "\u2212"
_CSP = "default-src 'none'; style-src 'unsafe-inline'"


def write_csv(matches: Matches, path: Path) -> None:
    """One row a minute; raises StorageError."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in row] for row in _rows(matches))
    files.write(path, out.getvalue().encode("utf-8-sig"))


def write_parquet(matches: Matches, path: Path) -> None:
    """The same rows as Parquet; raises UnavailableError without polars, StorageError."""
    try:
        import polars as pl  # noqa: PLC0415 (an extra that only this needs)
    except ImportError as error:
        raise UnavailableError(
            "polars is not installed", hint="install all wheels of laptop.lock: docs/authority.md, Install"
        ) from error
    out = io.BytesIO()
    pl.DataFrame(list(_rows(matches)), schema=list(COLUMNS), orient="row").write_parquet(out)
    files.write(path, out.getvalue())


def write_html(matches: Matches, path: Path) -> None:
    """The page; raises StorageError."""
    files.write(path, page(matches).encode())


def page(matches: Matches) -> str:
    """The page as text."""
    style = (resources.files("edge_scanner.authority") / "match" / "report.css").read_text(encoding="utf-8")
    body = "\n".join(
        (
            _head(matches),
            _sources(matches),
            _honest(),
            _trust(matches),
            _cases(matches),
            f"<footer>{_both('report_method_text', gap=GAP_MINUTES)}<p>edge_scanner {__version__}</p></footer>",
        )
    )
    title = f"{escape(matches.case)} · {escape(translations.say('vi', 'report_title'))}"
    return (
        '<!doctype html>\n<html lang="vi">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_CSP}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _head(matches: Matches) -> str:
    phones = len({heard.case for heard in matches.sightings})
    hours = _span(matches.verdicts)
    facts = (
        ("report_case", f"<dd>{escape(matches.case)}</dd>"),
        ("report_hours", f"<dd>{hours}</dd>"),
        ("report_made", f"<dd>{translations.local(matches.made_s)}</dd>"),
        ("report_order", f'<dd class="code">{escape(matches.request)}</dd>'),
        ("report_until", f"<dd>{translations.local(matches.expires_s)}</dd>"),
    )
    cards = (
        (matches.cases, "report_searched"),
        (phones, "report_found"),
        (len(matches.verdicts), "report_boxes"),
        (len(matches.sightings), "report_minutes"),
    )
    return "\n".join(
        (
            f"<h1>{_both('report_title')}</h1>",
            "<dl>" + "".join(f"<div><dt>{_both(key)}</dt>{value}</div>" for key, value in facts) + "</dl>",
            '<div class="cards">'
            + "".join(f'<div class="card"><b>{_grouped(number)}</b>{_both(key)}</div>' for number, key in cards)
            + "</div>",
        )
    )


def _honest() -> str:
    return f'<section class="honest"><h2>{_both("report_honest_title")}</h2><p>{_both("report_honest")}</p></section>'


def _trust(matches: Matches) -> str:
    """The table of verdicts."""
    coverage = {one.device: one for one in matches.coverage}
    headings = (
        "report_place", "report_box", "report_verified", "report_published", "report_listened", "report_clock",
        "report_lost",
    )  # fmt: skip
    rows = "".join(_trust_row(verdict, coverage.get(verdict.device)) for verdict in matches.verdicts)
    there = {verdict.device for verdict in matches.verdicts}
    rows += "".join(_absent_row(one) for one in matches.coverage if one.device not in there)
    head = "".join(f"<th>{_both(key)}</th>" for key in headings)
    return f"<h2>{_both('report_verdict')}</h2>\n{_table(head, rows)}"


def _trust_row(verdict: Verdict, coverage: Coverage | None) -> str:
    place, device = escape(verdict.place), f'<td class="k">{translations.device_name(verdict.device)}</td>'
    if verdict.code == EmptyError.code:
        state = f'<span class="bad">{_both("report_empty")}</span>'
    elif not verdict.holds:
        state = f'<span class="bad">✘ {_both("report_fails")}</span> {escape(verdict.code)}'
    else:
        state = f'<span class="good">✔ {_both("report_holds")}</span>'
    until = _both("report_nothing") if verdict.proven_until_s is None else translations.local(verdict.proven_until_s)
    listened, clock, lost = _DASH, _DASH, _DASH
    if coverage is not None:
        listened = _both("report_of_minutes", listened=coverage.heard, asked=coverage.asked)
        lost = _lost(coverage)
    if coverage is not None and coverage.minutes:
        clock = _both(f"report_clock_{coverage.lowest_quality}")
        if coverage.largest_shift_s >= 1:
            clock += _both("report_shift", seconds=round(coverage.largest_shift_s))
    cells = (state, until, listened, clock, lost)
    return f"<tr><td>{place}</td>{device}" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _absent_row(coverage: Coverage) -> str:
    """A box of the order of which there is no bundle."""
    listened = _both("report_of_minutes", listened=coverage.heard, asked=coverage.asked)
    state = f'<span class="bad">{_both("report_absent")}</span>'
    cells = (_DASH, translations.device_name(coverage.device), state, _DASH, listened, _DASH, _lost(coverage))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _lost(coverage: Coverage) -> str:
    """The minutes asked for that cannot speak, counted and listed."""
    if not coverage.gaps:
        return _both("report_none_missing")
    counts = {"report_unrecorded": coverage.asked - coverage.minutes, "report_deaf": coverage.minutes - coverage.heard}
    said = "<br>".join(_both(key, count=count) for key, count in counts.items() if count)
    spans = ", ".join(
        f"{translations.local(begin)} {_DASH} {translations.clock(end)}" for begin, end in coverage.gaps[:_MAX_GAPS]
    )
    return f"{said}<br>{spans}" + (", …" if len(coverage.gaps) > _MAX_GAPS else "")


def _sources(matches: Matches) -> str:
    """Boxes whose records did not come as an answer to the order, on the first page."""
    lines = "".join(
        f"<li>{escape(verdict.place)} ({translations.device_name(verdict.device)}): "
        f"{_both(f'verify_source_{verdict.source}')}</li>"
        for verdict in matches.verdicts
        if verdict.source != PULLED
    )
    return f'<section class="honest"><h2>{_both("report_source")}</h2><ul>{lines}</ul></section>' if lines else ""


def _cases(matches: Matches) -> str:
    heading = f"<h2>{_both('report_overview')}</h2>"
    if not matches.sightings:
        listened, asked = (sum(one.heard for one in matches.coverage), sum(one.asked for one in matches.coverage))
        return f"{heading}<p>{_both('report_nobody', listened=listened, asked=asked)}</p>"
    labels = {
        "near": _both("report_near", dbm=_dbm(matches.near_dbm)),
        "far": _both("report_far"),
        "tolerant": _both("report_tolerant"),
        "none": _both("report_no_records"),
    }
    legend = "".join(f"<span>{timeline.swatch(kind)}{label}</span>" for kind, label in labels.items())
    places = {verdict.device: verdict.place for verdict in matches.verdicts}
    parts = [heading, timeline.PATTERN, f'<p class="legend">{legend}</p>']
    stretches = {case: list(group) for case, group in groupby(visits(matches.sightings), key=lambda one: one.case)}
    for case, group in groupby(matches.sightings, key=lambda one: one.case):
        parts.append(_case(case, list(group), stretches[case], matches, places))
    return "\n".join(parts)


def _case(
    case: str, sightings: Sequence[HeardMinute], stretches: Sequence[Visit], matches: Matches, places: dict[str, str]
) -> str:
    headings = (
        ("report_place", ""), ("report_from", ""), ("report_to", ""), ("report_heard", "n"),
        ("report_near_minutes", "n"), ("report_strict", "n"), ("report_strongest", "n"), ("report_offset", "n"),
    )  # fmt: skip
    head = "".join(f'<th class="{kind}">{_both(key)}</th>' for key, kind in headings)
    rows = "".join(
        f"<tr><td>{escape(places.get(visit.device, visit.device))}</td>"
        f"<td>{translations.local(visit.start_s)}</td><td>{translations.local(visit.end_s)}</td>"
        f'<td class="n">{visit.minutes}</td><td class="n">{visit.near_minutes}</td>'
        f'<td class="n">{visit.strict_minutes}</td>'
        f'<td class="n">{_dbm(visit.rssi_max)}</td><td class="n">{visit.offset_s}</td></tr>'
        for visit in stretches
    )
    drawing = timeline.draw(sightings, matches.coverage, matches.verdicts, places)
    long = " long" if len(stretches) > _LONG_VISITS else ""
    return (
        f'<section class="case{long}"><h3>{_both("report_phone")}<b>{escape(case)}</b></h3>{drawing}'
        f"{_table(head, rows, 'visits')}</section>"
    )


def _table(head: str, rows: str, kind: str = "") -> str:
    """A table that scrolls by itself where the screen is narrow."""
    table = f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<div class="wide" tabindex="0">{table}</div>'


def _rows(matches: Matches) -> list[tuple[str | int | None, ...]]:
    places = {verdict.device: verdict.place for verdict in matches.verdicts}
    return [
        (
            heard.case,
            heard.device,
            places.get(heard.device, ""),
            datetime.fromtimestamp(heard.minute_s, UTC).strftime("%Y-%m-%dT%H:%MZ"),
            datetime.fromtimestamp(heard.minute_s, translations.zone()).isoformat(timespec="minutes"),
            heard.adverts,
            heard.rssi_max,
            "near" if heard.near else "far",
            "strict" if heard.strict else "tolerant",
            heard.offset_s,
        )
        for heard in matches.sightings
    ]


def _cell(value: str | int | None) -> str | int | None:
    """A text that a spreadsheet would take for a formula gets a quote in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _span(verdicts: Sequence[Verdict]) -> str:
    known = [verdict for verdict in verdicts if verdict.holds]
    if not known:
        return _DASH
    begin, end = min(one.from_s for one in known), max(one.to_s for one in known)
    return f"{translations.local(begin)} {_DASH} {translations.local(end)}"


def _dbm(value: int | None) -> str:
    return _DASH if value is None else str(value).replace("-", _MINUS)


def _grouped(number: int) -> str:
    """Thousands apart by a narrow space, which neither language takes for a decimal sign."""
    return f"{number:,}".replace(",", "\u202f")


def _both(key: str, **values: object) -> str:
    """A sentence in Vietnamese, and in English below or behind it."""
    vietnamese, english = (escape(translations.say(language, key, **values)) for language in translations.LANGUAGES)
    return f'<span lang="vi">{vietnamese}</span> <span class="en" lang="en">{english}</span>'
