"""COMMAND edge-authority pull: a connection, a screen, and the exit code; pull.py does the asking."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from edge_scanner import terminal
from edge_scanner.authority import files, translations
from edge_scanner.authority.collect import boxes as inventory
from edge_scanner.authority.collect import pull
from edge_scanner.authority.collect import request as requesting
from edge_scanner.authority.collect import verify as verifying
from edge_scanner.authority.collect.collection import REQUEST_NAME, Collection, State, copy_bundle
from edge_scanner.authority.commands.progress import PullView
from edge_scanner.core.diagnostics import advice
from edge_scanner.core.errors import BadDataError, EdgeScannerError, RefusedError, UnavailableError
from edge_scanner.core.wording import counted
from edge_scanner.mqtt.broker import BrokerSettings, open_broker
from edge_scanner.mqtt.brokerlink import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge_scanner.authority.collect.boxes import Box
    from edge_scanner.authority.collect.pull import Outcome
    from edge_scanner.core.pull.request import Asked
    from edge_scanner.language import errors

_LOOK_S = 0.5
_GRACE_S = 10.0
"""A name that is still unknown after this was mistyped; a line that is down is waited for."""
_HOPELESS = {
    Trouble.NAME_UNKNOWN,
    Trouble.BROKER_UNTRUSTED,
    Trouble.CERTIFICATE_REFUSED,
    Trouble.NOT_AUTHORISED,
    Trouble.FILES,
}
_DECIDED = {State.DONE, State.REFUSED, State.BAD, State.NOT_ASKED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the broker is and how to prove who asks."""

    broker: str
    ca: Path | None
    certificate: Path | None
    key: Path | None
    plain: bool

    def settings(self) -> BrokerSettings:
        """For the connection; raises BadDataError for a port that is none."""
        host, _, port = self.broker.rpartition(":") if self.broker.count(":") == 1 else (self.broker, "", "8883")
        if not port.isdigit() or not 0 < int(port) <= 65535:  # noqa: PLR2004 (TCP's)
            raise BadDataError("not HOST or HOST:PORT", where=self.broker)
        return BrokerSettings(
            host=host, port=int(port), tls=not self.plain, ca=self.ca, certificate=self.certificate, key=self.key
        )


def run(
    request: Path | None,
    out: Path,
    boxes: Path,
    place: Place,
    *,
    from_usb: Path | None,
    wait_s: float | None,
    lang: errors.Language,
    as_json: bool,
) -> int:
    """Copy from a stick, or ask the boxes; the exit code. Raises BadParameter when neither is named."""
    if from_usb is not None:
        run_usb(from_usb, out, boxes, as_json=as_json)
        return 0
    if request is None or not place.broker:
        raise typer.BadParameter("name a REQUEST and a --broker, or --from-usb DIR")
    return run_pull(request, out, boxes, place, wait_s=wait_s, lang=lang, as_json=as_json)


def run_pull(
    request: Path, out: Path, boxes: Path, place: Place, *, wait_s: float | None, lang: errors.Language, as_json: bool
) -> int:
    """Collect until everything is decided, or for `wait_s`; the exit code. Raises EdgeScannerError."""
    document = requesting.read_document(request)
    asked = requesting.parse(document)
    known = inventory.read(boxes)
    inventory.check_known(known, asked.request.devices)
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = out / REQUEST_NAME
    if kept.exists() and requesting.read(kept).request != asked.request:
        raise BadDataError("holds bundles of another request", where=str(out), hint="choose another folder")
    files.write(kept, document + b"\n", replace=True)
    with PullView(lang) as view, contextlib.suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(document, asked, boxes=known, out=out, place=place, view=view, wait_s=wait_s))
        except ExceptionGroup as group:
            # Not except*: what is raised there comes out as a group again on Python 3.11.2, which is Debian 12's.
            ours, others = group.split(EdgeScannerError)
            if ours is None or others is not None:
                raise
            raise _first(ours) from None
    found = pull.outcomes(Collection(out / device, known[device], asked.request) for device in asked.request.devices)
    refusals = view.final()
    found = tuple(refusals.get(one.device, one) for one in found)
    if any(one.state not in _DECIDED for one in found):
        view.later()
    if as_json:
        terminal.say_json({"request": asked.request.digest.hex(), "boxes": [asdict(one) for one in found]})
    return _exit_code(found)


async def _run(
    document: bytes,
    asked: Asked,
    *,
    boxes: Mapping[str, Box],
    out: Path,
    place: Place,
    view: PullView,
    wait_s: float | None,
) -> None:
    async with open_broker(place.settings(), client_id=asked.request.authority) as broker:

        async def look() -> None:
            hopeless_s = 0.0
            while True:
                state = broker.state
                view.connection(state)
                hopeless_s = hopeless_s + _LOOK_S if state.trouble in _HOPELESS and not broker.connections_total else 0
                if hopeless_s >= _GRACE_S:
                    words = advice.fix(state.trouble)
                    both = f"{words.vi} / {words.en}" if words else ""
                    raise UnavailableError(
                        f"the broker cannot be used ({state.trouble}): {state.detail}", where=place.broker, hint=both
                    )
                await asyncio.sleep(_LOOK_S)

        async with asyncio.TaskGroup() as group:
            looking = group.create_task(look(), name="look")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await pull.collect(broker, document, asked, boxes, out, on_change=view.update)
            looking.cancel()


def run_usb(source: Path, out: Path, boxes: Path, *, as_json: bool) -> None:
    """Copy the bundles of a stick, each checked against its manifest. Raises EdgeScannerError."""
    known = inventory.read(boxes)
    copied = []
    found = [(folder, verifying.box_of(folder, known)) for folder in verifying.folders(source)]
    first: dict[str, Path] = {}
    for folder, box in found:
        if first.setdefault(box.device, folder) != folder:
            raise BadDataError(
                f"two bundles of box {box.device}: nothing was copied",
                where=f"{first[box.device]}, {folder}",
                hint="name one of these folders, and another --out for the other",
            )
    for folder, box in found:
        manifest = copy_bundle(folder, out / box.device, box)
        copied.append({"device": box.device, "bytes": manifest.body_bytes, "segments": len(manifest.segments)})
        if not as_json:
            terminal.console().print(
                f"{translations.device_name(box.device)}  {box.place}: {manifest.body_bytes / 1e6:.1f} MB, "
                f"{counted(len(manifest.segments), 'segment')}",
            )
    if as_json:
        terminal.say_json({"boxes": copied})


def _exit_code(found: tuple[Outcome, ...]) -> int:
    states = {one.state for one in found}
    if states & {State.BAD, State.DOUBTED}:
        return BadDataError.exit_code
    if states - _DECIDED:
        return UnavailableError.exit_code
    return RefusedError.exit_code if states & {State.REFUSED, State.NOT_ASKED} else 0


def _first(group: BaseExceptionGroup[EdgeScannerError]) -> EdgeScannerError:
    """The first error of a group of groups: one line is what a person can act on."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, EdgeScannerError) else UnavailableError(str(error))
