"""What the laptop and headquarters each know, compared."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning import sync
from provisioning.inventory import State
from provisioning.sync import Standing


def _stand(state: State, identity: str = "", mqtt: str = "m") -> dict[str, Any]:
    return {"device_id": "A", "state": state, "identity": identity, "mqtt": mqtt}


@pytest.mark.parametrize(
    ("mine", "theirs", "lacking", "difference"),
    [
        (_stand(State.ENROLLED, "i"), _stand(State.ENROLLED, "i"), False, ""),
        (_stand(State.ENROLLED, "i"), None, True, "missing"),
        (None, _stand(State.ENROLLED, "i"), False, "unknown"),
        # The box was at the desk before the evening: headquarters knows its MQTT key only.
        (_stand(State.ENROLLED, "i"), _stand(State.ENROLLED), True, ""),
        # A card names no identity key, on neither side.
        (_stand(State.ENROLLED), _stand(State.ENROLLED), False, ""),
        (_stand(State.ENROLLED, "i"), _stand(State.ENROLLED, "j"), False, "keys"),
        (_stand(State.ENROLLED, "i", "m"), _stand(State.ENROLLED, "i", "n"), False, "keys"),
        (_stand(State.ENROLLED, "i"), _stand(State.REVOKED, "i"), False, "state"),
        (_stand(State.RETIRED, "i"), _stand(State.RETIRED, "", ""), False, ""),
        (_stand(State.RETIRED, "i"), _stand(State.REVOKED, "i"), False, ""),
        (_stand(State.RETIRED, "i"), None, False, "missing"),
    ],
)
def test_comparison(
    mine: dict[str, Any] | None, theirs: dict[str, Any] | None, *, lacking: bool, difference: str
) -> None:
    """What is sent, and what is left to be explained, for each way that one box may stand on the two sides."""
    ours, there = ([Standing(**one)] if one else [] for one in (mine, theirs))

    assert sync.lacking(ours, there) == (("A",) if lacking else ())
    assert sync.differences(ours, there) == ({"A": difference} if difference else {})
