"""Asks the site's other boxes for what their `/api/v1` says: each within a deadline and a size, and none but those.

The settings alone name them, by numbers, so no name is looked up; no redirect is followed, no proxy used, and nothing
of the request that brought us here is sent on. What comes back is read as the documents of api.py or not at all; of its
texts none is shown. A box that gives nothing is a reason in `Heard.problem`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import aiohttp

from edge_scanner.core import json_documents
from edge_scanner.core.errors import BadDataError
from edge_scanner.device.kiosk.api import PREFIX, Figure, HealthView, LevelView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_scanner.device.gates import Gate

    T = TypeVar("T")

DEADLINE_S = 8.0
"""For all that one box is asked; the boxes are asked at the same time."""
KEPT_S = 20.0
"""So long an answer is good for another look: who reloads the page asks nobody again."""
MAX_BYTES = {"level": 8 * 1024, "health": 16 * 1024, "figures": 256 * 1024}
"""Of a document; a week of quarters of an hour is 170 kB."""
_PIECE = 64 * 1024
_MOST_PHONES = 1_000_000
_LONGEST_BIN_S = 86_400


class Problem(StrEnum):
    """Why a box's figures are missing."""

    SILENT = "silent"
    REFUSED = "refused"
    STRANGER = "stranger"
    UNREADABLE = "unreadable"
    TWICE = "twice"
    CLOCK = "clock"
    SIMULATED = "simulated"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a box said of itself; with a `problem` nothing."""

    level: LevelView | None = None
    health: HealthView | None = None
    figures: tuple[Figure, ...] = ()
    problem: Problem | None = None


class OtherBoxes:
    """The boxes of the settings and what they said last."""

    def __init__(self, gates: Sequence[Gate]) -> None:
        self._gates = gates
        self._heard: tuple[Heard, ...] = ()
        self._asked_s = -KEPT_S
        self._one = asyncio.Lock()

    async def look(self) -> tuple[Heard, ...]:
        """What each says, in the order of the settings; asks them anew where the last answers are old."""
        async with self._one:
            if time.monotonic() - self._asked_s >= KEPT_S:
                self._heard = await _ask(self._gates)
                self._asked_s = time.monotonic()
            return self._heard


class _NotGivenError(Exception):
    """The box answered with another status than 200."""

    def __init__(self, status: int) -> None:
        refused = status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED)
        self.problem = Problem.REFUSED if refused else Problem.UNREADABLE


async def _ask(gates: Sequence[Gate]) -> tuple[Heard, ...]:
    connections = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(
        connector=connections,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "edge-scanner"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        return tuple(await asyncio.gather(*(_heard(session, gate) for gate in gates)))


async def _heard(session: aiohttp.ClientSession, gate: Gate) -> Heard:
    try:
        async with asyncio.timeout(DEADLINE_S):
            level = await _document(session, gate, "level", LevelView)
            health = await _document(session, gate, "health", HealthView)
            figures = await _document(session, gate, "figures", tuple[Figure, ...])
    except aiohttp.ServerFingerprintMismatch:
        return Heard(problem=Problem.STRANGER)
    except _NotGivenError as error:
        return Heard(problem=error.problem)
    except (aiohttp.ClientConnectionError, OSError):
        return Heard(problem=Problem.SILENT)
    except (aiohttp.ClientError, BadDataError, ValueError):
        return Heard(problem=Problem.UNREADABLE)
    if not all(_sound(figure) for figure in figures):
        return Heard(problem=Problem.UNREADABLE)
    return Heard(level=level, health=health, figures=figures)


async def _document(session: aiohttp.ClientSession, gate: Gate, what: str, kind: type[T]) -> T:
    ssl = aiohttp.Fingerprint(gate.fingerprint) if gate.fingerprint else True
    async with session.get(f"{gate.address}{PREFIX}/{what}", allow_redirects=False, ssl=ssl) as answer:
        if answer.status != HTTPStatus.OK:
            raise _NotGivenError(answer.status)
        content = bytearray()
        while len(content) <= MAX_BYTES[what] and (piece := await answer.content.read(_PIECE)):
            content += piece
    return json_documents.loads(kind, bytes(content), max_bytes=MAX_BYTES[what])


def _sound(figure: Figure) -> bool:
    """Whether these are numbers that a box can have released."""
    if (figure.released is None) is not (figure.error is None):
        return False
    return (
        0 < figure.bin_s <= _LONGEST_BIN_S
        and 0 <= figure.minutes * 60 <= figure.bin_s
        and abs(figure.released or 0.0) <= _MOST_PHONES
        and 0 <= (figure.error or 0.0) <= _MOST_PHONES
    )
