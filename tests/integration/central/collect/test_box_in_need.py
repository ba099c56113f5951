"""What ails a box reaches whoever looks after the fleet: real daemon, shipped broker, collector, list."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge_scanner.central.serve import view
from edge_scanner.central.serve.view import Trouble
from edge_scanner.core.enrolment import box_list
from edge_scanner.device.enrolment.identity import open_key
from tests.support.box import Box
from tests.support.box_lists import write_boxes
from tests.support.collecting import centre, until
from tests.support.publishing import Publisher

if TYPE_CHECKING:
    from pathlib import Path

    from edge_scanner.central.serve.view import BoxView
    from edge_scanner.central.store.store import Store


def in_need(store: Store) -> list[BoxView]:
    """Boxes that need somebody, as the centre's first page has them."""
    return list(view.country(store.read.sites(), store.read.fleet(), [], [], now_s=time.time(), recipients=0).ill)


async def test_a_lost_identity_key_is_an_alarm_at_the_centre(tmp_path: Path) -> None:
    """A box whose key was taken away stands among those that need somebody, with SEC-02; before, it did not."""
    with centre(tmp_path, Publisher()) as there, Box(tmp_path / "box", broker=there.broker) as box:
        box.start("--simulate", "5")
        box.until("box is up")
        identity = open_key(box.state).public_key().public_bytes_raw()
        write_boxes(
            tmp_path / "boxes.csv",
            [box_list.Box(device=box.device_id, site="test", room="", name="Bến xe", identity=identity)],
        )
        async with there.collecting(time.time) as store:
            await until(lambda: [one.status.get("state") for one in store.read.fleet()] == ["online"])
            assert [one for one in in_need(store) if "SEC-02" in one.codes] == []
            assert box.stop() == 0
            (box.state / "identity.key").unlink()
            box.start("--simulate", "5")
            await until(lambda: [one for one in in_need(store) if "SEC-02" in one.codes])

            (found,) = in_need(store)
            assert (found.device, found.lights["log"]) == (box.device_id, "fail")
            assert Trouble.ILL in found.troubles
            assert box.stop() == 0
