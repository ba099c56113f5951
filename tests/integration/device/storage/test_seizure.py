"""The box is stolen while it runs: what a thief with root reads on its card, told as a story on the real store."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from edge_scanner.core.log import errors, frames, opener, ratchet, recipients
from edge_scanner.core.log import format as layout
from edge_scanner.core.model import Batch
from edge_scanner.device.storage.store import open_reader, open_store
from tests.support import second_reader
from tests.support.sealed_logs import HOUR_S, Box, encounter, keys_of, root
from tests.support.second_reader import expand

if TYPE_CHECKING:
    from pathlib import Path

SEED = hashlib.sha256(b"seizure").digest()
MINUTES = 100


class Draws:
    """The box's entropy, which this test can compute again: draw n is HKDF-Expand(SEED, n)."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, buffer: bytearray) -> None:
        """Fill the buffer."""
        buffer[:] = draw(self._count)[: len(buffer)]
        self._count += 1


def draw(number: int) -> bytes:
    """0 is the boot key, 1 the boot id, then the seeds of both parts for each segment."""
    return expand(SEED, number.to_bytes(4, "big"))


@pytest.fixture
async def seized(tmp_path: Path) -> tuple[Path, Box]:
    """The whole state directory, copied in minute 100 of a running box, and the box for comparison."""
    box = Box(entropy=Draws())
    state, copy = tmp_path / "state", tmp_path / "seized"
    async with open_store(state / "edge.db") as store:
        pem = box.identity.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (state / "identity.key").write_bytes(pem)
        (state / "recipients.json").write_bytes(recipients.sign(box.recipients, [root("authority"), root("custodian")]))
        for _ in range(MINUTES):
            box.log.seal(box.now_s, [encounter(n, box.now_s) for n in range(20)], clock=box.clock(60))
            await store.commit(Batch(rows=box.log.peek()))
            box.commit()
            box.now_s += 60
        shutil.copytree(state, copy)
    return copy, box


def everything(folder: Path) -> bytes:
    """Every byte of every file the thief has, write-ahead log included."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


async def test_the_card_holds_no_key_and_no_identifier(seized: tuple[Path, Box]) -> None:
    """No secret, share, frame key or boot key of the box is on the card, and no payload it ever heard."""
    folder, box = seized
    card = everything(folder)
    assert box.stored.frames[0][7].ciphertext in card
    secrets = [draw(n) for n in range(2 + 2 * 2) if n != 1]
    for seq, header in enumerate(box.stored.headers):
        seeds = {part: draw(2 + 2 * seq + part) for part in (0, 1)}
        secrets += second_reader.combine(header.header, seeds).values()
        for part, seed in seeds.items():
            secrets += second_reader.part_keys(header.header, part, seed).values()
    assert len(secrets) > 120
    assert [secret for secret in secrets if secret in card] == []
    heard = {encounter(n, HOUR_S + 60 * minute).payload for minute in range(MINUTES) for n in range(20)}
    assert [payload for payload in heard if payload in card] == []


async def test_the_thief_opens_no_frame_with_anything_on_the_card(seized: tuple[Path, Box]) -> None:
    """Every 32 bytes of the small files and of a segment's header, tried as the seed of a part: nothing."""
    folder, _ = seized
    async with open_reader(folder / "edge.db") as store:
        headers = [header async for header in store.headers(0, float("inf"))]
        rows = [frame async for frame in store.frames(0)]
    small = b"".join(path.read_bytes() for path in folder.iterdir() if path.name in ("identity.key", "recipients.json"))
    windows = [text[n : n + 32] for text in (small, headers[0].header) for n in range(len(text) - 31)]
    assert len(windows) > 5000
    header = headers[0].header
    parsed = layout.parse_header(header)
    signed_part = hashlib.sha256(header[: -layout.header_tail_bytes(2)]).digest()
    made = {ratchet.commitment(window, part, signed_part) for window in windows for part in (0, 1)}
    assert not made & set(parsed.commitments)
    assert opener.open_shares(header, {}) == {}
    with pytest.raises(errors.SharesMissingError):
        list(opener.open_frames(header, opener.part_keys(header, {}), rows))


async def test_the_authority_and_the_custodian_open_all_of_it(seized: tuple[Path, Box]) -> None:
    """The same copy is evidence in the right hands: every committed minute, the newest included."""
    folder, _ = seized
    minutes = []
    async with open_reader(folder / "edge.db") as store:
        headers = [header async for header in store.headers(0, float("inf"))]
        for row in headers:
            keys = opener.part_keys(row.header, keys_of("authority", "custodian"))
            rows = [frame async for frame in store.frames(row.seq)]
            minutes += [c for c in opener.open_frames(row.header, keys, rows) if isinstance(c, frames.Minute)]
    assert [minute.minute_s for minute in minutes] == [HOUR_S + 60 * n for n in range(MINUTES)]
    assert all(len(minute.encounters) == 20 for minute in minutes)
