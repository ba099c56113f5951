"""What the authority's work costs: matching 20 million identifiers, opening and verifying a day, pulling 20 MB.

Run: `python -m tests.benchmarks.authority`, with `--scale 0.1` for a tenth of the matching, or `--json`. Each part runs
in a process of its own, so that its peak memory is its own. The bare cost is the same hashes and AES blocks in a loop,
with nothing done with the result; polars joins the same identifiers, all of them in memory at once.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from rich.console import Console
from rich.table import Table

from edge_scanner.authority.collect import verify
from edge_scanner.authority.collect.pull import collect
from edge_scanner.authority.match import bulk, join
from edge_scanner.authority.match.cases import Case
from edge_scanner.authority.match.match import CHUNK
from edge_scanner.authority.match.sieve import Sieve
from edge_scanner.authority.open import unseal
from edge_scanner.core.log.bundle import BODY_NAME, MANIFEST_NAME
from edge_scanner.core.messages import AuditAction
from edge_scanner.core.model import ClockQuality, DayKey, Encounter
from edge_scanner.core.pull import request as requests
from edge_scanner.core.pull.answer import AuditRecord, Extent, Part
from edge_scanner.device.storage.extract import extract
from edge_scanner.mqtt.broker import open_broker
from edge_scanner.protocols import bluezone, gaen
from tests.benchmarks import document
from tests.support.mosquitto import Mosquitto
from tests.support.office import AUTHORITY, HOUR_S, Office
from tests.support.pulling import PullBox, pull_box
from tests.support.recipients import Parties, parties

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager

CASES, DAYS = 10_000, 14
KEYS = 140_000
ENCOUNTERS = 10_000_000
HITS = 5_000
MIDNIGHT = 1_795_824_000
DAY_S = 86_400
NOW_S = MIDNIGHT + DAY_S
PULL_PHONES = 500
"""Identifiers a minute that fill four frames: a day of them is 23 MB."""


def secrets_of(count: int, size: int) -> Iterator[bytes]:
    """Keys that are the same in every process."""
    for number in range(count):
        yield hashlib.sha256(f"key {number}".encode()).digest()[:size]


def keys(scale: float) -> list[bulk.Key]:
    """What is derived of them."""
    return [bulk.Key(case=index, protocol=one.protocol.tag, key=one.key) for index, one in enumerate(cases(scale))]


def cases(scale: float) -> list[Case]:
    """Bluezone phones of a fortnight and exposure keys of a day each."""
    found = [
        Case(
            label=str(number),
            protocol=bluezone.PROTOCOL,
            key=DayKey(key=secret, start_s=MIDNIGHT - (DAYS - 1) * DAY_S, end_s=MIDNIGHT + DAY_S - 1),
        )
        for number, secret in enumerate(secrets_of(int(CASES * scale), 32))
    ]
    for number, secret in enumerate(secrets_of(int(KEYS * scale), 16)):
        start_s = MIDNIGHT - number % DAYS * DAY_S
        key = DayKey(key=secret, start_s=start_s, end_s=start_s + DAY_S)
        found.append(Case(label=f"gaen {number}", protocol=gaen.PROTOCOL, key=key))
    return found


def heard(scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Encounters as columns (payload, protocol, time), of which HITS are planted: half a phone of each protocol."""
    dice = np.random.default_rng(1)
    count = int(ENCOUNTERS * scale)
    payload = dice.integers(0, 256, (count, 20), dtype=np.uint8)
    protocol = dice.integers(1, 3, count, dtype=np.uint8)
    payload[protocol == bluezone.PROTOCOL.tag, 12:] = 0
    at_s = dice.integers(MIDNIGHT - 13 * DAY_S, MIDNIGHT + DAY_S, count)
    some = keys(min(scale, 0.001))
    planted = [
        (bytes(block.ids[row].tobytes()), block.protocol, int(block.start_s[row]))
        for block in (block.all() for block in bulk.blocks(some))
        for row in range(0, len(block.ids), 7)
    ][:HITS]
    for row, (identifier, tag, start_s) in enumerate(planted):
        payload[row, :16] = np.frombuffer(identifier, dtype=np.uint8)
        protocol[row], at_s[row] = tag, start_s + 30
    return payload, protocol, at_s


class Clock:
    """Seconds on the wall and of the processor since the beginning."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def read(self, name: str) -> dict[str, float]:
        """Both, as `<name>_s` and `<name>_cpu_s`."""
        wall, cpu = self._began
        return {f"{name}_s": time.perf_counter() - wall, f"{name}_cpu_s": time.process_time() - cpu}


def part_bare(scale: float) -> dict[str, float]:
    """Only the hashes and the AES blocks."""
    clock, sha256 = Clock(), hashlib.sha256
    for day_key in secrets_of(int(CASES * scale), 32):
        key = day_key
        for _ in range(DAYS):
            sub_key = sha256(key + b"bluzonesubkey").digest()
            for _ in range(95):
                sub_key = sha256(sub_key).digest()
            key = sha256(key).digest()
    blocks = bytes(16 * 144)
    for secret in secrets_of(int(KEYS * scale), 16):
        extracted = hmac.digest(bytes(32), secret, "sha256")
        rpik = hmac.digest(extracted, b"EN-RPIK\x01", "sha256")[:16]
        Cipher(AES(rpik), ECB()).encryptor().update(blocks)
    return clock.read("bare")


def part_match(scale: float) -> dict[str, float]:
    """Derive, stream and join; seconds and hits."""
    payload, protocol, at_s = heard(scale)
    everyone = keys(scale)
    ids = np.ascontiguousarray(payload[:, : bulk.ID_BYTES]).view("<u8")
    clock = Clock()
    sieve = Sieve(len(ids))
    for begin in range(0, len(ids), CHUNK):
        sieve.add(ids[begin : begin + CHUNK])
    index = clock.read("index")
    seen = hits = 0

    def sifted() -> Iterator[bulk.Derived]:
        nonlocal seen
        for block in bulk.blocks(everyone):
            seen += len(block)
            yield join.sift(block, sieve)

    for wanted in join.held(sifted()):
        for one in wanted:
            for begin in range(0, len(ids), CHUNK):
                row, place = one.among(ids[begin : begin + CHUNK])
                there = begin + row
                hits += len(one.judge(row, place, protocol[there], at_s[there], at_s[there]).case)
    counts = {"identifiers": seen, "hits": hits, "encounters": len(payload)}
    return {**index, **clock.read("match"), **counts}


def part_polars(scale: float) -> dict[str, float]:
    """The same identifiers derived first, then joined on both halves."""
    payload, protocol, at_s = heard(scale)
    everyone = keys(scale)
    clock = Clock()
    made = [block.all() for block in bulk.blocks(everyone)]
    derived = clock.read("derive")
    both = np.concatenate([block.ids for block in made])
    tags = np.concatenate([np.full(len(block.ids), block.protocol, dtype=np.uint8) for block in made])
    left = pl.DataFrame({"a": both[:, 0], "b": both[:, 1], "p": tags})
    halves = np.ascontiguousarray(payload[:, :16]).view("<u8")
    right = pl.DataFrame({"a": halves[:, 0], "b": halves[:, 1], "p": protocol, "t": at_s})
    joined = right.join(left, on="a").filter((pl.col("b") == pl.col("b_right")) & (pl.col("p") == pl.col("p_right")))
    return {**derived, **clock.read("polars"), "hits": len(joined)}


def part_day(_scale: float) -> dict[str, float]:
    """Verify and open a day of one box with a full frame a minute."""
    return asyncio.run(_day())


async def _day() -> dict[str, float]:
    office, people = Office(NOW_S), parties(NOW_S)
    with tempfile.TemporaryDirectory() as name:
        async with _box(Path(name), office, people, phones=153) as box:
            request = office.request(box.identity.device_id, from_s=NOW_S - 24 * HOUR_S, to_s=NOW_S)
            record = AuditRecord(
                action=AuditAction.ANSWER, at_s=NOW_S, device=box.identity.device_id, request=request.digest,
                from_s=request.from_s, to_s=request.to_s,
            )  # fmt: skip
            extent = Extent(
                made_s=NOW_S, quality=ClockQuality.NTP, audit_entries=0, audit_head="", tree_size=0, first=-1,
                last=-1, last_frames=0,
            )  # fmt: skip
            made = await extract(box.store, box.identity.key, record, extent)
            folder = Path(name) / "bundle"
            folder.mkdir()
            (folder / MANIFEST_NAME).write_bytes(made.manifest)
            with (folder / BODY_NAME).open("wb") as body:
                number = 0
                while piece := await made.piece(Part.BODY, number):
                    body.write(piece)
                    number += 1
            clock = Clock()
            verdict = verify.verify(folder, box.box)
            verified = clock.read("verify")
            _, found = unseal.segments(folder, box.box, request)
            device = box.identity.device_id
            clock = Clock()
            shares = unseal.shares_of(device, found, people.keys(), request)
            _, encounters = unseal.open_segments(device, found, shares, request)
            counts = {"encounters": len(encounters), "segments": verdict.segments, "bytes": made.body_bytes}
            return {**verified, **clock.read("open"), **counts}


def part_pull(_scale: float) -> dict[str, float]:
    """Twenty megabytes over mosquitto with mutual TLS on loopback."""
    return asyncio.run(_pull())


async def _pull() -> dict[str, float]:
    office, people = Office(NOW_S), parties(NOW_S)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "broker").mkdir()
        async with AsyncExitStack() as stack:
            mosquitto = stack.enter_context(
                Mosquitto(folder / "broker", listen="mutual", options="set_tcp_nodelay true")
            )
            box = await stack.enter_async_context(_box(folder, office, people, phones=PULL_PHONES))
            device = box.identity.device_id
            document = office.signed(office.request(device, from_s=NOW_S - 22 * HOUR_S, to_s=NOW_S))
            ours, theirs = [
                await stack.enter_async_context(open_broker(mosquitto.settings(client=who), client_id=who))
                for who in (AUTHORITY, device)
            ]
            answering = asyncio.create_task(box.answer(theirs))
            await ours.connected()
            await theirs.connected()
            await asyncio.sleep(0.5)
            began = time.perf_counter()
            (outcome,) = await collect(
                ours, document, requests.read(document), {device: box.box}, folder / "in", now=lambda: float(NOW_S)
            )
            spent_s = time.perf_counter() - began
            answering.cancel()
            await asyncio.wait([answering])
            return {"bytes": outcome.bytes, "pull_s": spent_s}


def _box(folder: Path, office: Office, people: Parties, *, phones: int) -> AbstractAsyncContextManager[PullBox]:
    """A box that heard so many identifiers in each minute of a day."""
    minute = [
        Encounter(
            protocol_tag=1,
            payload=hashlib.sha256(str(number).encode()).digest()[:12],
            adverts=9,
            rssi_mean=-80,
            rssi_max=-70,
            first_second=0,
            last_second=59,
        )
        for number in range(phones)
    ]
    heard_then = dict.fromkeys(range(NOW_S - 24 * HOUR_S, NOW_S, 60), minute)
    return pull_box(folder / "box", office, people, start_s=NOW_S - 24 * HOUR_S, end_s=NOW_S, heard=heard_then)


PARTS = {"bare": part_bare, "match": part_match, "polars": part_polars, "day": part_day, "pull": part_pull}


def measure(scale: float) -> dict[str, dict[str, float]]:
    """Every part in a process of its own; `peak_mb` is that process's."""
    found = {}
    for part in PARTS:
        command = [sys.executable, "-m", "tests.benchmarks.authority", "--part", part, "--scale", str(scale)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        # The box under test writes its journal to stdout, too.
        found[part] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_of(found: dict[str, dict[str, float]]) -> list[tuple[str, str, str, str]]:
    """What, seconds, seconds of the processor, peak memory in MB."""
    bare, ours, polars, day, pull = (found[part] for part in PARTS)
    ratio = ours["match_cpu_s"] / bare["bare_cpu_s"]
    against = f"{ours['identifiers'] / 1e6:.1f} M identifiers against {ours['encounters'] / 1e6:.1f} M encounters"
    pulled = f"{pull['bytes'] / 1e6:.1f} MB at {pull['bytes'] / 1e6 / pull['pull_s']:.1f} MB/s"

    def row(what: str, part: dict[str, float], name: str, *, peak: bool = True) -> tuple[str, str, str, str]:
        cpu = f"{part[f'{name}_cpu_s']:.1f}" if f"{name}_cpu_s" in part else ""
        return what, f"{part[f'{name}_s']:.1f}", cpu, f"{part['peak_mb']:,.0f}" if peak else ""

    return [
        row("bare SHA-256 (Bluezone), HMAC and AES (Exposure Notification)", bare, "bare", peak=False),
        row(f"derived and joined, {against}: {ratio:.2f} x bare (processor)", ours, "match"),
        row("of that the sieve of the encounters", ours, "index", peak=False),
        row("derived, all in memory, and joined by polars", polars, "polars"),
        row("of that the derivation", polars, "derive", peak=False),
        row(f"verify a day of full frames ({day['bytes'] / 1e6:.1f} MB)", day, "verify", peak=False),
        row(f"open it ({day['encounters']:,.0f} encounters)", day, "open"),
        row(f"pull {pulled} over mosquitto with mutual TLS", pull, "pull"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--part", choices=PARTS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measurements.md")
    options = parser.parse_args()
    if options.part:
        result = PARTS[options.part](options.scale)
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(result))  # noqa: T201 (the answer for the parent)
        return
    found = measure(options.scale)
    if options.json:
        print(json.dumps(found))  # noqa: T201 (the answer for programs)
        return
    heads = ("what", "seconds", "of the processor", "peak MB")
    if options.write:
        document.write(
            "authority", "python -m tests.benchmarks.authority --write", document.table(heads, rows_of(found))
        )
    table = Table(*heads, title="A night at the authority")
    for row in rows_of(found):
        table.add_row(*row)
    Console(width=120).print(table)
    Console().print(f"hits: ours {found['match']['hits']:,.0f}, polars {found['polars']['hits']:,.0f}")


if __name__ == "__main__":
    main()
