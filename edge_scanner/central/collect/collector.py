"""COMMAND edge-central collect: broker -> judge -> witness -> one commit -> acknowledge.

Promises
* A message is acknowledged to the broker after the commit that holds it, and not before: whatever ends this program or
  the database, the broker sends the rest again, and a repeat changes nothing.
* The subscription is plain, one for each kind of message by its name, never shared: nobody's joining takes a message
  away, and a second collector beside this one gets the same and finds it kept.
* While the database is away or full nothing is acknowledged and nothing is lost here: the broker keeps the session.
* A row that the database will not take is set aside alone; it never stops the others.

Blocking work (judging, the database) runs in threads beside the event loop that speaks MQTT, and none of them outlives
the collector: whoever ended it may close the store.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from edge_scanner.central import tasks
from edge_scanner.central.collect import fleet
from edge_scanner.central.collect.allowance import DAY_S, Allowance, name_of
from edge_scanner.central.collect.judge import Heard, Judge
from edge_scanner.central.link import broker_settings, client_name
from edge_scanner.central.store.model import Alarm, Batch, Reason, SetAside
from edge_scanner.central.witness import cosignature, testimony
from edge_scanner.central.witness.follower import Follower
from edge_scanner.core import messages
from edge_scanner.core.errors import EdgeScannerError, StorageError, UnavailableError
from edge_scanner.core.model import MessageKind
from edge_scanner.mqtt.broker import open_broker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from edge_scanner.central.settings import Settings
    from edge_scanner.central.store.model import Release, Statement
    from edge_scanner.central.store.store import Store
    from edge_scanner.mqtt.broker import Broker, Delivery

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 500
"""Messages of one commit, at most."""
AT_ONCE = 500
"""Unacknowledged messages that we ask for; the broker's `max_inflight_messages` may be fewer."""
WAIT_S = 1.0
PAUSE_MAX_S = 30.0
"""Between two tries to commit while the database is away."""
LIST_S = 60.0
"""How often the list's files are looked at."""
PRUNE_S = 3600.0
AGAIN = 1000
"""Messages of boxes that were not listed, judged again at once when the list has changed."""


class Collector:
    """One collector. `now` is UTC seconds."""

    def __init__(
        self, settings: Settings, store: Store, broker: Broker, *, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._store = store
        self._broker = broker
        self._now = now
        self._judge = Judge({box.device: box for box in store.read.boxes()})
        self._allowance = Allowance()
        witness = settings.witness
        key = cosignature.load(Path(witness.key)) if witness.key else None
        self._cosigner = cosignature.Cosigner(name=witness.name, key=key) if key else None
        self._follower = Follower(store.read, self._cosigner)
        self._work = asyncio.Lock()
        self._last_message_s = time.monotonic()
        self._list_mark: object = None

    async def run(self) -> None:
        """Collect until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect(), name="collect")
            group.create_task(self._watch_list(), name="list")
            group.create_task(self._keep_house(), name="housekeeping")
            group.create_task(self._watch_silence(), name="silence")

    async def _collect(self) -> None:
        for kind in self._settings.mqtt.kinds:
            await self._broker.subscribe(messages.topic("+", MessageKind(kind)), qos=1)
        while True:
            deliveries = await self._broker.take(BATCH, WAIT_S)
            if not deliveries:
                continue
            self._last_message_s = time.monotonic()
            await self._take(deliveries)

    async def _take(self, deliveries: Sequence[Delivery]) -> None:
        received = int(self._now())
        heard, beyond = list[Heard](), Counter[str]()
        for one in deliveries:
            topic = one.message.topic
            if self._allowance.admits(topic, received):
                heard.append(
                    Heard(topic=topic, payload=one.message.payload, retained=one.message.retained, received=received)
                )
            else:
                beyond[name_of(topic)] += 1
        async with self._work:
            batch = await self._patiently(self._understand, heard)
            await self._keep(replace(batch, beyond=beyond.total(), alarms=(*batch.alarms, *_floods(beyond, received))))
        for one in deliveries:
            one.acknowledge()

    def _understand(self, heard: Sequence[Heard]) -> Batch:
        return self._follower.follow([self._judge.judge(one) for one in heard])

    async def _keep(self, batch: Batch) -> None:
        """Commit; a batch that the database will not take is committed row by row, and the culprit set aside."""
        try:
            await self._patiently(self._store.keep, batch, now_s=self._now())
        except EdgeScannerError:
            raise
        except Exception as error:  # noqa: BLE001 (whatever one row causes must not stop the others)
            tasks.say(f"edge-central: a batch was refused by the database ({type(error).__name__}); row by row")
            for single in _singles(batch):
                try:
                    await self._patiently(self._store.keep, single, now_s=self._now())
                except EdgeScannerError:
                    raise
                except Exception:  # noqa: BLE001 (as above)
                    rows = [*map(_refused, single.releases), *map(_refused, single.statements)]
                    await self._patiently(self._store.keep, Batch(set_aside=tuple(rows)), now_s=self._now())

    async def _patiently(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Work with the database in a thread, again and again while it is away or full."""
        pause_s, told = 1.0, False
        while True:
            try:
                done = await _in_thread(partial(work, *arguments, **named))
            except (UnavailableError, StorageError) as error:
                if not told:
                    tasks.say(f"edge-central: {error}; nothing is acknowledged until it is back")
                    told = True
                await asyncio.sleep(pause_s)
                pause_s = min(PAUSE_MAX_S, 2 * pause_s)
            else:
                if told:
                    tasks.say("edge-central: the database is back")
                return done

    async def _watch_list(self) -> None:
        while True:
            await self._read_list()
            await asyncio.sleep(LIST_S)

    async def _read_list(self) -> None:
        """Take the signed list when its files have changed; messages of boxes that it now has are judged again."""
        path = Path(self._settings.fleet.boxes)
        try:
            mark = await _in_thread(partial(fleet.changed, path))
            if mark == self._list_mark:
                return
            listed = await _in_thread(partial(fleet.read, path))
            changed = await self._patiently(self._store.take_list, listed)
        except OSError as error:
            tasks.say(f"edge-central: no list of boxes ({path}): {error.strerror}")
            return
        except EdgeScannerError as error:
            tasks.say(f"edge-central: {error}; the list in force stays")
            return
        self._list_mark = mark
        boxes = await self._patiently(self._store.read.boxes)
        async with self._work:
            self._judge = Judge({box.device: box for box in boxes})
        tasks.say(f"edge-central: boxes on the list: {len(boxes)}")
        if changed:
            await self._judge_again()

    async def _judge_again(self) -> None:
        """The messages of boxes that were not listed; who still is not stays aside."""
        seen = 0
        while rows := await self._patiently(self._store.read.aside, Reason.UNLISTED, seen, AGAIN):
            seen = rows[-1][0]
            async with self._work:
                again = {
                    number: self._judge.judge(
                        Heard(topic=row.topic, payload=row.payload, retained=True, received=row.received)
                    )
                    for number, row in rows
                }
                now = {number: row for number, row in again.items() if not isinstance(row, SetAside)}
                batch = await self._patiently(self._follower.follow, now.values())
                await self._keep(batch)
                await self._patiently(self._store.forget_aside, tuple(now))

    async def _keep_house(self) -> None:
        while True:
            gone = await self._patiently(self._store.prune, self._now())
            if gone:
                tasks.say(f"edge-central: past their time: {', '.join(f'{n} {name}' for name, n in gone.items())}")
            await self._testify()
            await asyncio.sleep(PRUNE_S)

    async def _testify(self) -> None:
        """The witness's own statement of the day, once, kept and published."""
        if self._cosigner is None:
            return
        document = await self._patiently(testimony.of_day, self._store, self._cosigner, now_s=self._now())
        if document is not None and self._broker.is_connected:
            client = client_name(Path(self._settings.mqtt.certificate))
            try:
                await self._broker.publish(testimony.message(document, client=client, now_s=self._now()))
            except UnavailableError as error:
                tasks.say(f"edge-central: {error}; the day's statement is in the database")

    async def _watch_silence(self) -> None:
        """A connected collector that hears nothing of a fleet is an alarm, and subscribes anew."""
        silence_s = self._settings.collect.silence_s
        while True:
            await asyncio.sleep(silence_s / 4)
            quiet_s = time.monotonic() - self._last_message_s
            if quiet_s < silence_s or not await self._patiently(self._store.read.boxes):
                continue
            now_s = int(self._now())
            state = self._broker.state
            what = "nothing came from any box; is the broker there, and may we read?"
            alarm = Alarm(
                device="", kind="silence", mark=str(now_s // 3600), raised=now_s, what=what,
                evidence={"quiet_s": int(quiet_s), "connected": state.connected, "code": state.trouble.value},
            )  # fmt: skip
            await self._patiently(self._store.keep, Batch(alarms=(alarm,)), now_s=now_s)
            tasks.say(f"edge-central: {what} {state.trouble} {state.detail}".rstrip())
            self._last_message_s = time.monotonic()
            self._broker.renew()


async def collect(settings: Settings, store: Store) -> None:
    """The program: a connection, a collector, until cancelled."""
    name = client_name(Path(settings.mqtt.certificate))
    async with open_broker(broker_settings(settings.mqtt), client_id=name, at_once=AT_ONCE) as broker:
        collector = Collector(settings, store, broker)
        tasks.say(f"edge-central: collecting as {name} from {settings.mqtt.host} into {store.place}")
        await collector.run()


async def _in_thread(work: Callable[[], T]) -> T:
    """Work in a thread; who is cancelled meanwhile waits for its end."""
    thread = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


def _singles(batch: Batch) -> list[Batch]:
    """A batch of each row; heads and alarms come last."""
    return [
        *(Batch(releases=(row,)) for row in batch.releases),
        *(Batch(statements=(row,)) for row in batch.statements),
        *(Batch(states=(row,)) for row in batch.states),
        *(Batch(set_aside=(row,)) for row in batch.set_aside),
        replace(batch, releases=(), statements=(), states=(), set_aside=()),
    ]


def _floods(beyond: Counter[str], received: int) -> Iterator[Alarm]:
    """One alarm a day for each name that said more than any box says."""
    for name, count in beyond.items():
        yield Alarm(
            device=name, kind="flood", mark=str(received // DAY_S), raised=received,
            what="it says more than any box; was its certificate stolen?", evidence={"beyond": count},
        )  # fmt: skip


def _refused(row: Release | Statement) -> SetAside:
    return SetAside(received=row.received, reason=Reason.REFUSED, topic=row.topic, payload=row.payload)
