"""What the operator sets on the page: for who knows the PIN, from our own pages, and in use without a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_scanner.core import snapshot
from edge_scanner.device import operator_settings, settings
from edge_scanner.device.kiosk import choices
from tests.support import snapshots
from tests.support.box import Box
from tests.support.kiosk import PIN, PIN_LINE, running_kiosk
from tests.support.kiosk_client import cookies, enter
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    import aiohttp

    from tests.support.kiosk import RunningKiosk

NEW_PIN = "97531864"


def main_file(folder: Path) -> Path:
    """A technician's settings, whose operator's folder is the kiosk's."""
    file = folder / "scanner.toml"
    file.write_text(
        '[device]\nname_vi = "Chợ"\nname_en = "Market"\n'
        f'[kiosk]\nmoderate_from = 30\nbusy_from = 90\noperator_dir = "{folder / "operator"}"\n'
    )
    return file


async def post(
    session: aiohttp.ClientSession, kiosk: RunningKiosk, path: str, form: dict[str, str], **headers: str
) -> tuple[int, str]:
    """Status and text of the answer to a form."""
    async with session.post(kiosk.url + path, data=form, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_settings_are_for_who_knows_the_pin_and_from_our_own_page(tmp_path: Path) -> None:
    """Strangers see the way to the PIN, a form of another origin is refused, and neither writes a file."""
    config = main_file(tmp_path)
    form = dict(choices.shown(settings.load(config)).texts)
    async with running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk, cookies() as session:
        async with session.get(kiosk.url + "/ops/settings", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/ops")
        assert (await post(session, kiosk, "/ops/settings", form))[0] == 401
        assert (await post(session, kiosk, "/ops/pin", {"pin": PIN, "new": NEW_PIN, "again": NEW_PIN}))[0] == 401
        assert await enter(session, kiosk) == 303
        assert (await post(session, kiosk, "/ops/settings", form, Origin="http://evil.example"))[0] == 403
        assert (await post(session, kiosk, "/ops/pin", form, Origin="http://evil.example"))[0] == 403
        assert list((tmp_path / "operator").iterdir()) == []


async def test_wrong_input_changes_nothing_and_right_input_is_kept(tmp_path: Path) -> None:
    """The page comes back with its mistake and what was typed; then the file holds what differs, and shows it."""
    config = main_file(tmp_path)
    form = dict(choices.shown(settings.load(config)).texts)
    async with running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk, cookies() as session:
        await enter(session, kiosk)
        status, page = await post(session, kiosk, "/ops/settings", form | {"busy_from": "20", "staff": "<b>028"})
        assert status == 422
        assert 'id="busy_from-wrong">phải lớn hơn “Vừa phải”' in page
        assert "&lt;b&gt;028" in page
        status, page = await post(session, kiosk, "/ops/settings", form | {"name_vi": "Chợ\u3164"})
        assert status == 422
        assert 'id="name_vi-wrong"' in page
        assert list((tmp_path / "operator").iterdir()) == []

        assert (await post(session, kiosk, "/ops/settings", form | {"busy_from": "120", "theme": "night"}))[0] == 303
        async with session.get(kiosk.url + "/ops/settings", params={"done": "settings"}) as answer:
            page = await answer.text()
        assert 'value="120"' in page
        assert "Saved." in page
    chosen = operator_settings.load(config)
    assert (chosen.kiosk.busy_from, chosen.kiosk.theme, chosen.kiosk.moderate_from) == (120, "night", 30)


async def test_nothing_can_be_set_without_a_folder(tmp_path: Path) -> None:
    """The page says so, a damaged file of ours can be set anew, and a disk that refuses is one line."""
    async with running_kiosk(tmp_path, snapshots.snapshot()) as kiosk, cookies() as session:
        await enter(session, kiosk)
        async with session.get(kiosk.url + "/ops/settings") as answer:
            assert "operator_dir" in await answer.text()
        assert (await post(session, kiosk, "/ops/settings", {}))[0] == 403
    config = main_file(tmp_path)
    async with running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk, cookies() as session:
        await enter(session, kiosk)
        (tmp_path / "operator" / operator_settings.FILE).write_text("[kiosk]\nlan = true\n")
        async with session.get(kiosk.url + "/ops/settings") as answer:
            page = await answer.text()
        assert answer.status == 503
        assert "is set in scanner.toml alone" in page
        assert 'value="90"' in page
        form = dict(choices.shown(settings.load(config)).texts)
        assert (await post(session, kiosk, "/ops/settings", form))[0] == 303
        assert operator_settings.load(config) == settings.load(config)
        (tmp_path / "operator" / operator_settings.FILE).unlink()
        (tmp_path / "operator").rmdir()
        status, page = await post(session, kiosk, "/ops/settings", form)
        assert status == 503
        assert "the operator&#x27;s settings" in page


async def test_operator_chooses_a_pin_and_the_technician_takes_it_back(tmp_path: Path) -> None:
    """The present PIN is asked for; then the new one counts, also after a restart, until the box is given another."""
    config = main_file(tmp_path)
    form = {"pin": PIN, "new": NEW_PIN, "again": NEW_PIN}
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk,
        cookies() as session,
        cookies() as colleague,
    ):
        await enter(session, kiosk)
        await enter(colleague, kiosk)
        for wrong, field in (
            ({"pin": "000000"}, "pin"),
            ({"again": "1"}, "again"),
            ({"new": "1", "again": "1"}, "new"),
        ):
            status, page = await post(session, kiosk, "/ops/pin", form | wrong)
            assert status == 422
            assert f'id="{field}-wrong"' in page
        assert (await post(session, kiosk, "/ops/pin", form))[0] == 303
        for one, status in ((session, 200), (colleague, 401)):
            async with one.get(kiosk.url + "/ops") as answer:
                assert answer.status == status
    kept = tmp_path / "operator" / "pin"
    assert NEW_PIN not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    async with running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk, cookies() as session:
        assert await enter(session, kiosk, PIN) == 401
        assert await enter(session, kiosk, NEW_PIN) == 303
    fresh = settings.load(config).kiosk.operator_dir
    assert fresh == str(tmp_path / "operator")
    (tmp_path / "operator" / "pin").write_text(f"{PIN_LINE}\n{'0' * 64}\n")
    async with running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk, cookies() as session:
        assert await enter(session, kiosk, PIN) == 303


async def test_a_count_is_judged_on_the_page(tmp_path: Path) -> None:
    """What the noise could explain and what is no number is refused beside the field; a good one is handed over."""
    config = main_file(tmp_path)
    counts = tmp_path / "operator" / operator_settings.COUNT
    quiet = snapshots.snapshot(int(snapshots.TUESDAY_S) - 12 * 3600)
    async with running_kiosk(tmp_path, quiet, config=config) as kiosk, cookies() as session:
        await enter(session, kiosk)
        for typed, told in (("", "a whole number"), ("999999", "must be 0 to 100000"), ("40", "too few devices")):
            status, page = await post(session, kiosk, "/ops/count", {"people": typed})
            assert (status, told in page, 'id="people-wrong"' in page) == (422, True, True), typed
        assert not counts.exists()
        assert (await post(session, kiosk, "/ops/count", {"people": "0"}, Origin="http://evil.example"))[0] == 403
        kiosk.write(snapshots.snapshot())
        assert (await post(session, kiosk, "/ops/count", {"people": "0"}))[0] == 303
        assert operator_settings.asked_count(counts).people == 0
        assert (await post(session, kiosk, "/ops/count", {"forget": "yes"}))[0] == 303
        assert operator_settings.asked_count(counts).people is None


async def test_a_running_box_follows_the_operator(tmp_path: Path) -> None:
    """Names, thresholds and theme are in the next snapshot; a file that cannot be is passed over, and said once."""
    folder = tmp_path / "operator"
    folder.mkdir()
    with Box(tmp_path, extra=f'[kiosk]\noperator_dir = "{folder}"\n') as box:
        box.start("--simulate", "20", "--speed", "60")

        def venue() -> snapshot.Venue:
            return snapshot.from_json((box.runtime / "snapshot.json").read_bytes()).venue

        await eventually((box.runtime / "snapshot.json").exists)
        assert (venue().name_en, venue().theme) == ("Bus station", "auto")
        main = settings.load(box.config)
        sent = dict(choices.shown(main).texts) | {"name_en": "Gate 3", "busy_from": "75", "theme": "night"}
        text = choices.taken(main, sent)[0]
        operator_settings.write(folder, operator_settings.FILE, text.encode())
        await eventually(lambda: venue().name_en == "Gate 3")
        assert (venue().thresholds.busy_from, venue().theme) == (75, "night")
        operator_settings.write(folder, operator_settings.FILE, b'[mqtt]\nhost = "evil.example"\n')
        await eventually(lambda: "passed over" in box.journal.read_text())
        assert venue().name_en == "Gate 3"
        (folder / operator_settings.FILE).unlink()
        await eventually(lambda: venue().name_en == "Bus station")
        assert box.stop() == 0
    assert box.journal.read_text().count("passed over") == 1
