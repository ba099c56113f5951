"""Every kind of alarm that the centre raises has its name and its reason in both languages, on the page itself."""

from __future__ import annotations

import ast
import html
import json
import urllib.parse
import urllib.request
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner.central.store.model import Alarm, Batch
from edge_scanner.central.witness import follow
from edge_scanner.language import errors
from tests.support.serving import PASSWORD, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CENTRAL = Path(__file__).parents[4] / "edge_scanner" / "central"
TEXTS = json.loads(resources.files("edge_scanner.central.serve").joinpath("texts.json").read_text("utf-8"))
VIETNAMESE = set("ăâđêôơưáàảãạắằẳẵặấầẩẫậéèẻẽẹếềểễệíìỉĩịóòỏõọốồổỗộớờởỡợúùủũụứừửữựýỳỷỹỵ")


def _raised(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Kind and reason of each `Alarm(...)` of a file; a reason may be a constant that is assigned in the file."""
    named = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Alarm":
            given = {one.arg: one.value for one in node.keywords}
            kind, what = given["kind"], given["what"]
            if isinstance(kind, ast.Constant):
                assert isinstance(what, ast.Constant | ast.Name)
                yield str(kind.value), str(what.value if isinstance(what, ast.Constant) else named[what.id])


ALARMS = dict(follow._SENTENCES) | {
    kind: what
    for file in sorted(CENTRAL.rglob("*.py"))
    for kind, what in _raised(ast.parse(file.read_text(encoding="utf-8")))
}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an operator sees in each language at a centre with one alarm of each kind."""
    with serving(tmp_path_factory.mktemp("centre"), filled=False) as served:
        alarms = tuple(
            Alarm(device="", kind=kind, mark="1", raised=1_700_000_000 + number, what=what)
            for number, (kind, what) in enumerate(ALARMS.items())
        )
        served.store.keep(Batch(alarms=alarms), now_s=1_700_000_100)
        form = urllib.parse.urlencode({"name": "minh", "password": PASSWORD}).encode()
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.open(urllib.request.Request(f"{served.url}/login", form, {"Origin": served.url}), timeout=60).close()
        shown = {}
        for lang in ("vi", "en"):
            opener.open(f"{served.url}/language/{lang}", timeout=60).close()
            shown[lang] = html.unescape(opener.open(served.url, timeout=60).read().decode())
        return shown


def test_the_sources_raise_what_the_page_names() -> None:
    """The kinds below are found in the code, and they are those that the page has names for."""
    assert {"silence", "contradiction", follow.FORK} < set(ALARMS)
    assert set(ALARMS) == {key.removeprefix("alarm.") for key in TEXTS if key.startswith("alarm.")}


@pytest.mark.parametrize("kind", ALARMS)
def test_an_alarm_is_told_in_the_readers_language(kind: str, page: dict[str, str]) -> None:
    """Its name and its reason stand on the Vietnamese page in Vietnamese, and nothing of the English is left."""
    name, reason = TEXTS[f"alarm.{kind}"], errors.vietnamese(ALARMS[kind])

    for words in (name["vi"], reason):
        assert VIETNAMESE & set(words.lower())
        assert words in page["vi"]
    for words in (name["en"], ALARMS[kind]):
        assert words in page["en"]
        assert words not in page["vi"]
