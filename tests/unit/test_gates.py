"""The privacy gates that types alone cannot hold: who may make a `Report`, and what a batch may carry."""

from __future__ import annotations

import ast
import dataclasses
import typing
from functools import cache
from pathlib import Path

from edge_scanner.core import messages, model

PACKAGE = Path(model.__file__).parents[1]
MAY_MAKE_A_REPORT = {"core/anonymise.py"}
MAY_DRAW_NOISE = {"core/anonymise.py"}


def calls(tree: ast.AST, name: str) -> bool:
    """Whether the code calls `name`, bare or as an attribute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            found = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            if found == name:
                return True
    return False


@cache
def package() -> dict[Path, ast.Module]:
    """Every file of the product, parsed; only those that speak of a report or of noise."""
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    return {path: ast.parse(text) for path, text in texts.items() if "Report" in text or "Laplace" in text}


def makers(name: str, module: str) -> set[str]:
    """Files that import `name` from `module` at run time and call it."""
    found = set()
    for path, tree in package().items():
        imported = any(
            isinstance(node, ast.ImportFrom) and node.module == module and any(a.name == name for a in node.names)
            for node in ast.walk(tree)
        )
        whole = any(
            f"{getattr(node, 'module', '')}.{alias.name}".lstrip(".") == module
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom | ast.Import)
            for alias in node.names
        )
        if (imported or whole) and calls(tree, name):
            found.add(path.relative_to(PACKAGE).as_posix())
    return found


def test_only_anonymise_makes_a_report() -> None:
    """A report constructed anywhere else could hold a number that was never noised."""
    assert makers("Report", "edge_scanner.core.model") == MAY_MAKE_A_REPORT


def test_only_anonymise_draws_noise() -> None:
    """A second place that draws could draw again for a bin already released."""
    assert makers("Laplace", "edge_scanner.core.laplace") == MAY_DRAW_NOISE


def test_the_search_finds_what_it_looks_for() -> None:
    """The same search sees a call by name and by attribute, so an empty answer would mean something."""
    for text in ("Report(ledger='x')", "model.Report(ledger='x')"):
        assert calls(ast.parse(text), "Report")
    assert not calls(ast.parse("Tally(minute_s=0)"), "Report")


def test_a_batch_has_no_place_for_a_tally() -> None:
    """No field of what the store takes, however deep, is a raw count or a sighting."""
    raw = {model.Tally, model.Sighting, model.Advert, model.Encounter}
    waiting: list[typing.Any] = [model.Batch]
    seen: set[typing.Any] = set()
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        waiting += typing.get_args(kind)
        if dataclasses.is_dataclass(kind):
            waiting += typing.get_type_hints(kind).values()
    assert model.Message in seen
    assert not seen & raw


def test_counts_are_made_from_a_report() -> None:
    """The one function that writes a counts message takes a `Report`; a tally does not type-check there."""
    hints = typing.get_type_hints(messages.counts, localns={**vars(model), "Report": model.Report})
    assert hints["report"] is model.Report
