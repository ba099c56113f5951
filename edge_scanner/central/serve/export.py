"""Rows as CSV, or as Parquet where polars is installed.

Figures carry their interval in columns beside them; no cell is a formula.
"""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Literal

from fastapi import HTTPException, Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.central.serve.api import Bin

PARQUET = "application/vnd.apache.parquet"
COLUMNS = {
    "site": "String",
    "start": "Int64",
    "step_s": "Int32",
    "boxes": "Int32",
    "rule": "String",
    "minutes": "Int32",
    "phones": "Float64",
    "low": "Float64",
    "high": "Float64",
}
"""Each with polars' name of its type."""
NO_PARQUET = "Parquet needs polars, which is not installed at this centre; ask for csv or json"


def response(rows: Sequence[Bin], form: Literal["csv", "parquet"]) -> Response:
    """The rows as a file to save."""
    content = as_csv(rows) if form == "csv" else as_parquet(rows)
    kind = "text/csv; charset=utf-8" if form == "csv" else PARQUET
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="bins.{form}"'})


def as_csv(rows: Sequence[Bin]) -> bytes:
    """With a head, lines end as RFC 4180 says; a name that a spreadsheet would calculate gets an apostrophe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in rows:
        site = f"'{row.site}" if row.site[:1] in "=+-@\t\r" else row.site
        writer.writerow([site, *(getattr(row, one.name) for one in fields(row) if one.name != "site")])
    return text.getvalue().encode()


def as_parquet(rows: Sequence[Bin]) -> bytes:
    """With fixed types, also of an empty table; raises HTTPException 501 where polars is not installed."""
    try:
        import polars as pl  # noqa: PLC0415 (170 MB that a centre may go without)
    except ModuleNotFoundError as error:
        raise HTTPException(501, NO_PARQUET) from error
    schema = {name: getattr(pl, kind) for name, kind in COLUMNS.items()}
    file = io.BytesIO()
    pl.DataFrame([asdict(row) for row in rows], schema=schema).write_parquet(file)
    return file.getvalue()
