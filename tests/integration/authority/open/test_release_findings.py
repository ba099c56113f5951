"""What the evidence says against a bundle reaches the custodian before he types the figures."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from edge_scanner.authority import translations
from edge_scanner.authority.open import register
from edge_scanner.core import messages
from edge_scanner.core.model import MessageKind
from tests.support.answered import NOW_S, Scene
from tests.support.authority import Outcome, edge_authority
from tests.support.office import HOUR_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("in_files")


def release(folder: Path, name: str, figures: str) -> Outcome:
    """The custodian's command, with what boxes published."""
    return edge_authority(
        "custodian", "release", folder / "bundles", "--request", folder / "approved.json", "--root",
        folder / "root.pem", "--boxes", folder / "boxes.csv", "--keys", folder / "custodian", "--passphrase-file",
        folder / "secret", "--checkpoints", folder / "published.txt", "--out", folder / name, "--confirm", figures,
        now_s=NOW_S,
    )  # fmt: skip


def audit_line(scene: Scene, request: str) -> str:
    """An entry of the box's trail as the collector wrote it, two hours after the answer."""
    device = scene.box.identity.device_id
    head = json.loads((scene.folder / "manifest.json").read_bytes())["body"]["audit"]["head"]
    body = {
        "kind": "audit", "device": device, "at": NOW_S + 2 * HOUR_S, "action": "request", "request": request,
        "head": head,
    }  # fmt: skip
    return f"{messages.topic(device, MessageKind.AUDIT)} {json.dumps(body).encode().hex()}\n"


@pytest.mark.parametrize("figures", ["1 1:40", "9 9"])
async def test_the_custodian_reads_of_a_finding_before_he_agrees(scene: Scene, tmp_path: Path, figures: str) -> None:
    """In both languages and with its topic, whether he types the order's figures then or others."""
    device = scene.box.identity.device_id
    (tmp_path / "published.txt").write_text(audit_line(scene, "ab" * 32))

    done = await asyncio.to_thread(release, tmp_path, "one.release", figures)

    assert done.code == (0 if figures == "1 1:40" else 77), done
    for language in translations.LANGUAGES:
        line = translations.say(language, "finding_unannounced", source=messages.topic(device, MessageKind.AUDIT))
        assert f"{translations.device_name(device)}: {line}" in done.stderr
    assert len(register.read(tmp_path / "custodian").entries) == (1 if figures == "1 1:40" else 0)


async def test_nothing_is_said_where_the_evidence_fits(scene: Scene, tmp_path: Path) -> None:
    """The box announced the order."""
    (tmp_path / "published.txt").write_text(audit_line(scene, scene.request.digest.hex()))

    done = await asyncio.to_thread(release, tmp_path, "one.release", "1 1:40")

    assert done.code == 0, done
    assert scene.box.identity.device_id[:4] not in done.stderr


async def test_a_release_that_cannot_be_written_is_not_entered(scene: Scene, tmp_path: Path) -> None:
    """Its name is taken: nothing is asked, and the register holds no release that nobody has."""
    (tmp_path / "published.txt").write_text(audit_line(scene, scene.request.digest.hex()))
    (tmp_path / "one.release").write_text("last week's")

    done = await asyncio.to_thread(release, tmp_path, "one.release", "1 1:40")

    assert done.code == 74, done
    assert register.read(tmp_path / "custodian").entries == ()
    assert (tmp_path / "one.release").read_text() == "last week's"
