"""A third language by a file of the technician's: in place of English, checked, and English where it is silent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from edge_scanner.core.errors import ConfigurationError
from edge_scanner.device.kiosk import translations
from tests.support import snapshots
from tests.support.disks import without_end
from tests.support.kiosk import running_kiosk
from tests.support.kiosk_client import until

if TYPE_CHECKING:
    from pathlib import Path

KOREAN = {
    "language": "한국어",
    "level.quiet": "한산",
    "why.fresh": "{time} 기준, {minutes}분 전 <b>",
    "page.estimate": "블루투스로 추정한 값입니다.",
}


async def test_page_and_stream_in_a_third_language(tmp_path: Path) -> None:
    """The file's words stand where English stood, escaped and with their language named; the rest stays English."""
    folder = tmp_path / "languages"
    folder.mkdir()
    (folder / "ko.json").write_text(json.dumps(KOREAN), encoding="utf-8")
    (folder / "zh.json").write_text('{"language": "中文", "level.silent": "?"}', encoding="utf-8")
    config = tmp_path / "scanner.toml"
    config.write_text("")
    async with (
        running_kiosk(tmp_path, snapshots.snapshot(), config=config) as kiosk,
        aiohttp.ClientSession() as session,
    ):
        pages = {}
        for code in ("", "ko", "zh", "<b>"):
            async with session.get(kiosk.url + "/", params={"lang": code}) as answer:
                pages[code] = await answer.text()
        got = await until(session, kiosk.url + "/events?lang=ko", "state", "fresh")
        plain = await until(session, kiosk.url + "/events", "state", "fresh")
    assert 'lang="ko" data-text="word.en">한산<' in pages["ko"]
    assert "분 전 &lt;b&gt;" in pages["ko"]
    assert ">What is recorded?<" in pages["ko"]
    assert '<a href="/?lang=ko" lang="ko">한국어</a>' in pages[""]
    assert "한산" not in pages[""]
    assert pages["zh"] == pages["<b>"] == pages[""]
    assert (got["word"]["vi"], got["word"]["en"], plain["word"]["en"]) == ("Vắng", "한산", "Quiet")
    journal = (tmp_path / "journal").read_text()
    assert "level.silent is no text of the page" in journal


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        ([], "own name"),
        ({"level.quiet": "한산"}, "own name"),
        ({"language": "한국어", "why.fresh": "{time}"}, "other blanks"),
        ({"language": "한국어", "level.quiet": "{now}"}, "other blanks"),
        ({"language": "한국어", "level.quiet": "{"}, "other blanks"),
        ({"language": "한국어", "level.quiet": 3}, "other blanks"),
        ({"language": "한국어", "level.silent": "x"}, "no text of the page"),
    ],
)
def test_a_wrong_file_is_refused_by_its_first_mistake(tmp_path: Path, texts: Any, complaint: str) -> None:
    """A text whose blanks would stay empty never reaches the page."""
    file = tmp_path / "ko.json"
    file.write_text(json.dumps(texts), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=complaint):
        translations.other(file)


def test_rubbish_and_other_files_are_no_language(tmp_path: Path) -> None:
    """No JSON, or no file, is said; names that are no code, and the two languages that are there, are passed over."""
    for name, text in (("ko.json", "{"), ("README.md", ""), ("KO-kr.json", "{}"), ("vi.json", "{}"), ("en.json", "{}")):
        (tmp_path / name).write_text(text)
    without_end(tmp_path / "fr.json", "pipe")
    without_end(tmp_path / "zh.json", "endless")
    found = dict(translations.others(tmp_path))
    assert list(found) == ["fr", "ko", "zh"]
    assert all(isinstance(one, ConfigurationError) for one in found.values())
    assert dict(translations.others(tmp_path / "none")) == {}
