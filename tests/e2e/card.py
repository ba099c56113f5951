"""What a guest's card carries besides the package: settings, recipients, the story told inside; and a disk image."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from tests.e2e import inside

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.recipients import Parties

LIBRARY = "usr/local/lib"
STORY = f"{LIBRARY}/e2e-story.py"
SETTINGS = '[device]\nsite = "e2e"\nname_vi = "Bến xe"\nname_en = "Bus station"\n'
TELLER = f"[Service]\nExecStart=/usr/bin/python3 -u /{STORY}\nStandardOutput=journal+console\n"


def furnish(tree: Path, who: Parties, story: Path, units: Mapping[str, str]) -> None:
    """Settings and recipients of a box, the `story` as a unit, and this test's other `units`, by name."""
    etc, system = tree / "etc" / "edge-scanner", tree / "etc" / "systemd" / "system"
    (etc / "scanner.toml").write_text(SETTINGS)
    who.install(etc)
    # As in a stock image: the machine gets its id, and systemd enables what presets say, at the first start.
    (tree / "etc" / "machine-id").write_text("uninitialized\n")
    shared = tree / LIBRARY / "tests" / "e2e"
    shared.mkdir(parents=True)
    shutil.copy(inside.__file__, shared)
    shutil.copy(story, tree / STORY)
    for name, text in {**units, "e2e-story.service": TELLER}.items():
        (system / name).write_text(text)
        (system / "multi-user.target.wants" / name).symlink_to(f"/etc/systemd/system/{name}")


def image(tree: Path, file: Path, size: str) -> None:
    """The tree as an ext4 file system of `size` (as mke2fs takes it)."""
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, file, size], check=True, stdout=subprocess.DEVNULL)
