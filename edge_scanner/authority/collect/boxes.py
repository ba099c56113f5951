"""Which boxes there are: the fleet's signed list, read into `Box`es (core/enrolment/box_list.py).

`edge-provision fleet boxes` writes it: `boxes.csv` and `boxes.csv.sig`. The identity keys in it make an answer
believable, so a list that the fleet did not sign is not read. `fleet.pub`, the key that must have signed it, lies
beside the list on the authority's machine; it comes once, by hand, and its fingerprint is compared.

A box that was taken out stays in the list: what it gave before can be checked, and it is asked nothing more. A list
older than the one last used on this machine is refused (newest.py): in it, that box may still be in service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.authority import files, newest
from edge_scanner.core import signed
from edge_scanner.core.enrolment import box_list
from edge_scanner.core.enrolment.box_list import FLEET_KEY_NAME, NEW_LIST, Box, Source
from edge_scanner.core.errors import BadDataError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Box", "Source", "check_known", "choose", "left_out", "read", "source"]


def read(path: Path) -> dict[str, Box]:
    """The boxes by id; raises RefusedError for a list that the pinned key did not sign, BadDataError, StorageError."""
    content = files.read(path)
    _check(path, content)
    return box_list.boxes(content, str(path))


def source(path: Path) -> Source:
    """Whose list it is; raises as `read`."""
    return _check(path, files.read(path))


def choose(boxes: Mapping[str, Box], devices: Sequence[str], sites: Sequence[str]) -> tuple[str, ...]:
    """Ids of the boxes named and of all at the sites that may be asked, each once.

    Raises BadDataError for one that is not known, RefusedError for one that is named and may not be asked.
    """
    chosen = {device.replace("-", "").upper(): None for device in devices}
    for device in chosen:
        box = _known(boxes, device)
        if box.why_not_asked:
            raise RefusedError(f"this box is not asked: {box.why_not_asked}", code=box.why_not_asked, where=device)
    for site in sites:
        at_site = [box for box in boxes.values() if box.site == site]
        if not at_site:
            raise BadDataError("no box at this site", where=site)
        asked = [box.device for box in at_site if not box.why_not_asked]
        if not asked:
            raise RefusedError("no box at this site may be asked", code="not_asked", where=site)
        chosen.update(dict.fromkeys(asked))
    return tuple(chosen)


def left_out(boxes: Mapping[str, Box], sites: Sequence[str]) -> tuple[Box, ...]:
    """The boxes at these sites that are not asked: nobody shall believe that a whole site was."""
    return tuple(box for box in boxes.values() if box.site in sites and box.why_not_asked)


def check_known(boxes: Mapping[str, Box], devices: Sequence[str]) -> None:
    """Raises BadDataError for a box of a request that the list does not have."""
    for device in devices:
        _known(boxes, device)


def _known(boxes: Mapping[str, Box], device: str) -> Box:
    if device not in boxes:
        raise BadDataError("no such box in the list", where=device, hint=NEW_LIST)
    return boxes[device]


def _check(path: Path, content: bytes) -> Source:
    """The fleet's word about these bytes; raises RefusedError where it is another's, or about other bytes."""
    pinned, signature = path.with_name(FLEET_KEY_NAME), path.with_name(f"{path.name}.sig")
    for needed, hint in (
        (pinned, "signer.pub of the fleet, once and by hand; compare it with `edge-authority boxes`"),
        (signature, NEW_LIST),
    ):
        if not needed.exists():
            raise RefusedError(
                "a list of boxes without it is not trusted", code="unsigned", where=str(needed), hint=hint
            )
    key = files.read(pinned, limit=box_list.MAX_PINNED_BYTES)
    found = box_list.source(content, files.read(signature), key, str(path))
    newest.check("boxes", signed.raw_key_name(found.key), found.made_s, where=str(path))
    return found
