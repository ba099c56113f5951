"""What every user of the centre's store may rely on, the same on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from edge_scanner.central.store import tables
from edge_scanner.central.store.engine import make_engine, transaction
from edge_scanner.central.store.model import Alarm, Batch, Head, Reason, SetAside
from edge_scanner.central.store.store import Store, open_store
from edge_scanner.core.errors import BadDataError, ConfigurationError, DiskFullError, RefusedError, UnavailableError
from tests.support.central import DEVICES, HOUR_S, box_list, release, state, statement
from tests.support.postgres import Postgres

if TYPE_CHECKING:
    from pathlib import Path

NOW_S = HOUR_S + 4000.0


def test_a_batch_comes_back(store: Store) -> None:
    """What was committed is read back: releases, statements, states, what was set aside, alarms and heads."""
    head = Head(
        device=DEVICES[0], size=3, root=b"r" * 32, boot=12, boot_id=b"b" * 8, note=b"n", at=1, received=2, proven=True
    )
    alarm = Alarm(device=DEVICES[0], kind="fork", mark="3", raised=HOUR_S, what="forked", evidence={"notes": ["a"]})
    aside = SetAside(received=HOUR_S, reason=Reason.SCHEMA, topic="x", payload=b"\xff\x00")

    kept = store.keep(
        Batch(
            releases=(release(),), statements=(statement(),), states=(state(), state(kind="health")), heads=(head,),
            alarms=(alarm,), set_aside=(aside,),
        ),
        now_s=NOW_S,
    )  # fmt: skip
    store.take_list(box_list())

    assert (kept.new, kept.repeats, kept.contradictions) == (2, 0, ())
    assert [row["figures"] for row in store.read.releases(0, HOUR_S + 1)] == [{"nearby": 600, "bluezone": 120}]
    assert list(store.read.statements(DEVICES[0])) == [statement()]
    assert list(store.read.links(DEVICES[0], 0, HOUR_S + 1)) == [(HOUR_S + 3603, 411, bytes(32))]
    assert store.read.heads() == {DEVICES[0]: head}
    assert [one.alarm for one in store.read.alarms()] == [alarm]
    ((number, found),) = store.read.aside(Reason.SCHEMA, 0, 10)
    assert found == aside
    store.forget_aside([number])
    assert store.read.aside(None, 0, 10) == []
    now = store.read.fleet()[0]
    assert now.box.device == min(DEVICES)
    here = next(one for one in store.read.fleet("ben-xe-mien-dong") if one.box.device == DEVICES[0])
    assert (here.heard, here.status["seq"], here.health["boot"]) == (HOUR_S + 61, 1, 12)


def test_the_first_of_a_key_is_kept(store: Store) -> None:
    """A repeat changes nothing; another content under the key is set aside, and a person is told once."""
    store.keep(Batch(releases=(release(),), statements=(statement(),)), now_s=NOW_S)
    other = release(figures={"nearby": 99_999})
    twice = Batch(releases=(release(), other, other), statements=(statement(),))

    kept = store.keep(twice, now_s=NOW_S)
    store.keep(twice, now_s=NOW_S)

    assert (kept.new, kept.repeats) == (0, 2)
    assert kept.contradictions == (other, other)
    assert [row["figures"]["nearby"] for row in store.read.releases(0, HOUR_S + 1)] == [600]
    assert [one.alarm.kind for one in store.read.alarms()] == ["contradiction"]
    assert len(store.read.aside(Reason.CONTRADICTION, 0, 10)) == 4
    assert store.read.tallies(0, HOUR_S * 2) == {
        "aside/contradiction": 4, "audit/new": 1, "audit/repeat": 2, "counts/new": 1, "counts/repeat": 6,
    }  # fmt: skip


def test_two_contents_of_one_key_in_one_batch(store: Store) -> None:
    """The first of a batch is kept, and the second one of its key contradicts it."""
    other = replace(statement(), payload=b"something else")

    kept = store.keep(Batch(statements=(statement(), other, statement())), now_s=NOW_S)

    assert (kept.new, kept.repeats, kept.contradictions) == (1, 1, (other,))


def test_two_collectors_keep_each_message_once(url: str) -> None:
    """Two programs that commit the same messages at once end with each of them once, and neither fails."""
    batches = [Batch(releases=tuple(release(d, HOUR_S + 3600 * n) for d in DEVICES)) for n in range(40)]
    new: list[int] = []
    with open_store(url):
        pass

    def collect() -> None:
        with open_store(url) as own:
            new.extend(own.keep(batch, now_s=NOW_S).new for batch in batches)

    threads = [threading.Thread(target=collect) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(new) == 80
    assert sum(new) == 120
    with open_store(url) as own:
        assert len(own.read.releases(0, HOUR_S * 2)) == 120


def test_the_newest_recipient_set_is_what_two_boxes_state(store: Store) -> None:
    """One box that states a newer one than all others makes none of them old."""
    store.take_list(box_list())
    for device, version, newest in ((DEVICES[0], 2, 2), (DEVICES[1], 9, 2), (DEVICES[2], 2, 2), (DEVICES[2], 9, 9)):
        word = replace(state(boot=11, seq=version, body={"recipients_version": version}), device=device)
        store.keep(Batch(states=(word,)), now_s=NOW_S)
        assert store.read.recipients() == newest


def test_the_newest_recipient_set_is_that_of_a_box_of_the_list(store: Store) -> None:
    """By number, not by letter; a box without a log and a box that states nonsense count for nothing."""
    store.take_list(box_list())
    assert store.read.recipients() == 0
    for seq, version, newest in ((1, 9, 9), (2, 10, 10), (3, None, 0), (4, 10**20, 0), (5, "x", 0), (6, 2.5, 0)):
        store.keep(Batch(states=(state(boot=11, seq=seq, body={"recipients_version": version}),)), now_s=NOW_S)
        assert store.read.recipients() == newest


def test_the_newest_word_of_a_box_stands(store: Store) -> None:
    """An older status changes nothing; a will, which has no number, speaks about the newest connection of its run."""
    store.take_list(box_list())

    def said() -> object:
        return next(one for one in store.read.fleet() if one.box.device == DEVICES[0]).status.get("word")

    store.keep(Batch(states=(state(boot=11, seq=9, body={"state": "online", "software": "1"}),)), now_s=NOW_S)
    store.keep(Batch(states=(state(boot=11, seq=-1, body={"state": "offline"}),)), now_s=NOW_S)
    gone = next(one for one in store.read.fleet() if one.box.device == DEVICES[0]).status
    assert (gone["state"], gone["software"]) == ("offline", "1")
    for boot, seq, word, expected in (
        (12, 2, "second", "second"), (12, 1, "first", "second"), (12, -1, "will", "will"), (12, 1, "first", "will"),
        (12, 3, "third", "third"), (11, 9, "old run", "third"), (13, 1, "new run", "new run"), (12, -1, "w", "new run"),
    ):  # fmt: skip
        store.keep(Batch(states=(state(boot=boot, seq=seq, body={"word": word}),)), now_s=NOW_S)
        assert said() == expected


def test_releases_come_in_pages(store: Store) -> None:
    """Page after page, every row once, in order."""
    store.keep(
        Batch(releases=tuple(release(d, HOUR_S + 3600 * hour) for d in DEVICES for hour in range(10))), now_s=NOW_S
    )

    seen: list[tuple[int, str]] = []
    while page := store.read.releases(0, HOUR_S * 2, after=seen[-1] if seen else (0, ""), limit=7):
        seen += [(row["bin_start"], row["device"]) for row in page]

    assert len(seen) == 30
    assert seen == sorted(set(seen))


def test_lists_are_taken_in_order(store: Store) -> None:
    """A newer list replaces all boxes, the same one changes nothing, an older one is refused."""
    assert store.take_list(box_list(devices=DEVICES))
    assert not store.take_list(box_list(devices=DEVICES))
    assert store.take_list(box_list(HOUR_S + 1, DEVICES[:1]))

    with pytest.raises(RefusedError, match="older"):
        store.take_list(box_list(HOUR_S, DEVICES[:2]))

    assert [box.device for box in store.read.boxes()] == [DEVICES[0]]
    assert [site.kind for site in store.read.sites()] == ["station"]


def test_what_is_set_aside_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound a message is counted and not kept, and a week later none is kept."""
    monkeypatch.setattr("edge_scanner.central.store.store.MAX_SET_ASIDE", 5)
    rows = tuple(SetAside(received=HOUR_S, reason=Reason.SIZE, topic="t", payload=b"p") for _ in range(9))

    store.keep(Batch(set_aside=rows), now_s=NOW_S)

    assert store.read.tallies(0, HOUR_S * 2) == {"aside/size": 9}
    assert store.prune(NOW_S) == {}
    assert store.prune(NOW_S + 8 * 86_400) == {"set_aside": 5}


def test_old_health_goes_and_checkpoints_thin_out(store: Store) -> None:
    """After a quarter of a year health is gone, and of a day's checkpoints the largest and the boot records stay."""
    day = HOUR_S // 86_400 * 86_400
    store.keep(
        Batch(
            states=(state(kind="health", received=day), state(DEVICES[1], kind="health", received=day + 100 * 86_400)),
            statements=(
                *(statement(kind="checkpoint", number=n, at=day + 3600 * n) for n in range(1, 24)),
                *(statement(kind="checkpoint", number=n, at=day + 3600 * n) for n in range(24, 30)),
                *(statement(kind="boot", number=n, at=day) for n in range(1, 4)),
                statement(kind="checkpoint", number=99, at=day + 100 * 86_400),
            ),
        ),
        now_s=NOW_S,
    )

    store.prune(day + 100 * 86_400)

    numbers = [one.number for one in store.read.statements(DEVICES[0], kinds=["checkpoint"])]
    assert numbers == [23, 29, 99]
    assert len(list(store.read.statements(DEVICES[0], kinds=["boot"]))) == 3
    assert store.read.health(DEVICES[0], 0, 1 << 40) == []
    assert len(store.read.health(DEVICES[1], 0, 1 << 40)) == 1


def test_a_day_has_one_testimony(store: Store) -> None:
    """The witness's own statement of a day is never replaced."""
    assert store.testify(HOUR_S, b"first")
    assert not store.testify(HOUR_S, b"second")
    assert store.read.testimony(HOUR_S) == b"first"
    assert store.read.testimony(0) is None


def test_migrations_make_what_the_program_expects(url: str) -> None:
    """The migrated tables are those of `tables`, and a second run changes nothing."""
    with open_store(url), open_store(url):
        pass
    engine = make_engine(url)
    with transaction(engine) as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _ours})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions belong to their table."""
    return kind != "table" or name in tables.metadata.tables


def test_tables_of_a_newer_version_are_left_alone(url: str) -> None:
    """An older program refuses a database that a newer one has changed."""
    with open_store(url):
        pass
    engine = make_engine(url)
    with transaction(engine, write=True) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(ConfigurationError, match="newer version"), open_store(url):
        pass


def test_a_month_is_a_partition(server: Postgres) -> None:
    """On PostgreSQL a release lies in its month's partition, and an old month goes as a whole."""
    url = server.new_database()
    with open_store(url) as store:
        store.keep(Batch(releases=(release(), release(bin_start=HOUR_S + 10 * 86_400))), now_s=NOW_S)
        engine = make_engine(url)
        with transaction(engine) as connection:
            found = connection.execute(sa.text("SELECT tableoid::regclass::text, bin_start FROM releases ORDER BY 2"))
            assert [tuple(row) for row in found] == [
                ("releases_2026_11", HOUR_S), ("releases_2026_12", HOUR_S + 10 * 86_400),
            ]  # fmt: skip
        engine.dispose()


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", ""])
def test_another_database_is_refused(url: str) -> None:
    """Only SQLite and PostgreSQL."""
    with pytest.raises(ConfigurationError), open_store(url):
        pass


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """What is acknowledged to the broker has to be there after a restart."""
    with pytest.raises(ConfigurationError, match="memory"), open_store(url):
        pass


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + bytes(4080)])
def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """Whether it never was one, or was damaged; it is left as it is."""
    path = tmp_path / "central.db"
    path.write_bytes(content)

    with pytest.raises(BadDataError, match="damaged"), open_store(f"sqlite:///{path}"):
        pass

    assert path.read_bytes() == content


def test_a_database_without_an_encoding_will_do(server: Postgres) -> None:
    """As one that was made where no locale is set; names come back with their marks."""
    with open_store(server.new_database("--encoding=SQL_ASCII", "--locale=C")) as store:
        store.take_list(box_list())
        names = {one.name for one in box_list().sites}

        assert {one.name for one in store.read.sites()} == names
    assert not all(name.isascii() for name in names)


def test_a_server_that_is_away_is_said_so_and_comes_back() -> None:
    """A commit fails with UnavailableError while PostgreSQL is down, and works again after its start."""
    with Postgres(durable=True) as running, open_store(running.new_database()) as store:
        store.keep(Batch(releases=(release(),)), now_s=NOW_S)
        running.stop()
        with pytest.raises(UnavailableError):
            store.keep(Batch(releases=(release(DEVICES[1]),)), now_s=NOW_S)
        running.start()
        store.keep(Batch(releases=(release(DEVICES[1]),)), now_s=NOW_S)

        assert [row["device"] for row in store.read.releases(0, HOUR_S + 1)] == sorted(DEVICES[:2])


def test_a_full_disk_is_said_so_and_nothing_is_half_kept(tmp_path: Path) -> None:
    """SQLite on a full disk: DiskFullError, the batch is not there; with room again it is kept."""
    with open_store(f"sqlite:///{tmp_path}/central.db") as store:
        engine = store._engine
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar() or 0
        sa.event.listen(engine, "connect", lambda raw, _record: raw.execute(f"PRAGMA max_page_count = {pages + 20}"))
        engine.dispose()
        many = Batch(releases=tuple(release(bin_start=HOUR_S + 3600 * n) for n in range(5000)))

        with pytest.raises(DiskFullError):
            store.keep(many, now_s=NOW_S)

        assert store.read.releases(0, HOUR_S * 2) == []
        assert store.keep(Batch(releases=many.releases[:5]), now_s=NOW_S).new == 5


def test_the_database_keeps_no_password_in_messages(server: Postgres) -> None:
    """An error names the place without the password."""
    url = server.new_database().replace("edge@", "edge:secret@").replace("host=", "host=/nowhere")

    with pytest.raises(UnavailableError) as caught, open_store(url):
        pass

    assert "secret" not in str(caught.value)
