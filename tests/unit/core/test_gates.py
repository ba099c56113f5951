"""The privacy gates that types alone cannot hold: who may make a `Report`, and what a batch may carry."""

from __future__ import annotations

import ast
import dataclasses
import typing
from functools import cache
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from edge_scanner.core import messages, model
from edge_scanner.core.advertising import AdvertisingData
from edge_scanner.core.counts import estimator
from edge_scanner.protocols import bluezone

PACKAGE = Path(model.__file__).parents[1]
LAPTOP = PACKAGE.parent / "provisioning"
MAY_MAKE = {
    # Beside the counter, the demo's invented weeks, in which there is nobody; no box has that file.
    "Tally": {"core/counts/estimator.py", "demo/history.py"},
    "Report": {"core/counts/release.py"},
    # Beside its maker, the file that reads the store's rows back.
    "Release": {"core/counts/release.py", "device/storage/store.py"},
    "Frame": {"core/log/writer.py", "core/log/bundle.py", "device/storage/statements.py"},
    # Messages about people come from core/messages.py, and what the screen shows, for the venue's own broker, from
    # core/home_assistant.py; the others speak of requests, certificates and answers.
    "Message": {
        "authority/collect/pull.py",
        "central/telling.py",
        "central/witness/testimony.py",
        "core/home_assistant.py",
        "core/messages.py",
        "device/doctor/broker.py",
        "device/central/pull.py",
        "device/enrolment/renewal.py",
        "device/storage/statements.py",
        "provisioning/bench/commands/sync.py",
        "provisioning/fleet/enrolment_service.py",
        "provisioning/fleet/orders.py",
        "provisioning/fleet/revoke.py",
    },
}
MAY_SEE_A_TALLY = {
    "core/counts/release.py",
    "core/counts/estimator.py",
    "core/pipeline.py",
    "demo/history.py",
    "device/replay/replay.py",
}
"""Files that name the type, or hold the counter and close its minutes."""
MAY_DRAW_NOISE = {"core/counts/release.py"}


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
    """Every file of the product, parsed."""
    return {path: ast.parse(path.read_text()) for folder in (PACKAGE, LAPTOP) for path in folder.rglob("*.py")}


def place(path: Path) -> str:
    """A file's place as a newcomer would name it."""
    return path.relative_to(LAPTOP.parent if path.is_relative_to(LAPTOP) else PACKAGE).as_posix()


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
            found.add(place(path))
    return found


@pytest.mark.parametrize("noun", MAY_MAKE)
def test_each_noun_that_leaves_has_few_makers(noun: str) -> None:
    """A report made anywhere else could hold a number that was never noised, a frame one that was never sealed."""
    assert makers(noun, "edge_scanner.core.model") == MAY_MAKE[noun]


def test_a_tally_is_seen_by_the_ledgers_and_a_replay_only() -> None:
    """Whoever imports `Tally`, or closes a minute of a `Counter` (or finishes one), holds raw counts."""
    found = set()
    for path, tree in package().items():
        for node in ast.walk(tree):
            named = isinstance(node, ast.ImportFrom) and any(alias.name == "Tally" for alias in node.names)
            closed = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {"close", "finish"}
                and ast.unparse(node.func.value).endswith("counter")
            )
            if named or closed:
                found.add(place(path))
    assert found == MAY_SEE_A_TALLY


def test_no_report_is_changed_after_its_noise() -> None:
    """`replace(report, figures=...)` would make one that holds a raw count."""
    for path, tree in package().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and "replace" in ast.unparse(node.func):
                assert not {"figures", "minutes_covered"} & {keyword.arg for keyword in node.keywords}, path


def test_no_noun_shows_what_a_phone_sent() -> None:
    """Printed, formatted into an exception or logged whole: no bytes, no name, no UUID of a phone."""
    canary, name = b"planted-canary-0123", "Lan's phone"
    data = AdvertisingData(
        service_uuids=(name,), service_data={name: canary}, manufacturer_data={1: canary}, local_name=name
    )
    advert = model.Advert(data=data, address_tag=canary, first_s=0.0, last_s=0.0, rssi_sum=-60, rssi_max=-60)
    protocol = bluezone.PROTOCOL
    nouns = (
        data,
        advert,
        model.Sighting(protocol=protocol, kind=model.Kind.IDENTIFIED, identifier=canary, payload=canary, advert=advert),
        estimator._Identifier(cell=1, began=0.0, last=0.0, tag=canary),
        model.Derived(identifier=canary, start_s=0, end_s=1),
        model.DayKey(key=canary, start_s=0, end_s=1),
        model.Encounter(
            protocol_tag=1, payload=canary, adverts=1, rssi_mean=0, rssi_max=0, first_second=0, last_second=0
        ),
    )
    for noun in nouns:
        assert canary.decode() not in repr(noun) + pretty_repr(noun)
        assert name not in repr(noun) + pretty_repr(noun)


def test_only_anonymise_draws_noise() -> None:
    """A second place that draws could draw again for a bin already released."""
    assert makers("Laplace", "edge_scanner.core.counts.discrete_laplace") == MAY_DRAW_NOISE


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
        if dataclasses.is_dataclass(kind) or hasattr(kind, "__struct_fields__"):
            waiting += typing.get_type_hints(kind).values()
    assert model.Message in seen
    assert not seen & raw


def test_counts_are_made_from_a_report() -> None:
    """The one function that writes a counts message takes a `Report`; a tally does not type-check there."""
    hints = typing.get_type_hints(messages.counts, localns={**vars(model), "Report": model.Report})
    assert hints["report"] is model.Report
