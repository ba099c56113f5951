"""A result of match as a report gets it: three boxes of which one is doubtful, three phones, both rules."""

from __future__ import annotations

from edge_scanner.authority.collect.verdict import Verdict
from edge_scanner.authority.match.match import HeardMinute, Matches
from edge_scanner.authority.open.opened import Coverage

HOUR_S = 3600
START_S = 1_795_910_400
"""2026-11-28 20:00 UTC; in Viet Nam it is 03:00 on the next day."""

PLACES = {
    "K7MP2R9CX4": "Bến xe Miền Đông, Cửa 3",
    "7K3M9Q2X4T": "Siêu thị Gò Vấp, Quầy <thu ngân> & kho",
    "3T5W8Z1B9D": "Bệnh viện Quận 7, Sảnh A",
}


def sample() -> Matches:
    """The result; a place and a case hold what HTML must escape."""
    good, doubtful, broken = PLACES
    return Matches(
        request="5eed" * 16,
        case="HCM-2026-0417",
        made_s=START_S + 20 * HOUR_S,
        expires_s=START_S + 14 * 24 * HOUR_S,
        cases=1284,
        identifiers=1_743_672,
        near_dbm=-74,
        tolerant=True,
        verdicts=(
            verdict(good, proven_until_s=START_S + 9 * HOUR_S, checkpoints=11, links=10, boots=1),
            verdict(
                doubtful, missing_hours=(START_S + 4 * HOUR_S, START_S + 5 * HOUR_S), lowest_clock="rtc", power_cuts=1
            ),
            Verdict(
                device=broken, place=PLACES[broken], code="frame-altered", what="bits were changed", where="segment 3"
            ),
        ),
        coverage=(
            Coverage(
                device=good,
                asked=600,
                minutes=600,
                heard=600,
                gaps=(),
                listened_s=35_940,
                dropped=0,
                lowest_quality="ntp",
                largest_shift_s=0.0,
            ),
            Coverage(
                device=doubtful,
                asked=600,
                minutes=480,
                heard=470,
                gaps=((START_S + 4 * HOUR_S, START_S + 6 * HOUR_S), (START_S + 7 * HOUR_S, START_S + 7 * HOUR_S + 600)),
                listened_s=28_000,
                dropped=3,
                lowest_quality="rtc",
                largest_shift_s=41.0,
            ),
        ),
        sightings=tuple(
            sorted(
                (
                    *stay("binh/1", good, 30, 95, near=(40, 80)),
                    *stay("binh/1", doubtful, 150, 171, near=(150, 171)),
                    *stay("binh/1", good, 400, 460, near=(0, 0)),
                    *stay("chi<b>/7", doubtful, 90, 118, near=(95, 99), strict_to=110),
                    *stay("dung/2", good, 590, 600, near=(0, 0)),
                ),
                key=lambda one: (one.case, one.device, one.minute_s),
            )
        ),
    )


def verdict(device: str, **values: object) -> Verdict:
    """A bundle that holds."""
    known: dict[str, object] = {
        "from_s": START_S,
        "to_s": START_S + 10 * HOUR_S,
        "made_s": START_S + 19 * HOUR_S,
        "segments": 10,
        "frames": 611,
        "clock": "ntp",
        "lowest_clock": "ntp",
        "request": "5eed" * 16,
    }
    return Verdict(device=device, place=PLACES[device], **{**known, **values})  # type: ignore[arg-type]


def stay(
    case: str, device: str, begin: int, end: int, *, near: tuple[int, int], strict_to: int = 9999
) -> list[HeardMinute]:
    """A phone heard in every minute but each ninth."""
    return [
        HeardMinute(
            case=case,
            device=device,
            minute_s=START_S + 60 * minute,
            adverts=20 + minute % 7,
            rssi_max=-60 - minute % 9 if near[0] <= minute < near[1] else -80 - minute % 9,
            near=near[0] <= minute < near[1],
            strict=minute < strict_to,
            offset_s=0 if minute < strict_to else 94,
        )
        for minute in range(begin, end)
        if minute % 9
    ]
