"""The images of the centre and of the laptop's tools: built by buildah on a Debian tree, and used as they are meant."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge_scanner import __version__
from tests.support.debian import base
from tests.support.fresh import THE_WAY_OUT
from tests.support.installed import program

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BASE = "localhost/debian-base"
PASSPHRASE = "bốn từ ngẫu nhiên"

pytestmark = pytest.mark.system


def shelves() -> list[str]:
    """Folders that this machine's pip is set to take packages from; a registry of images is not in reach."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    named = re.findall(r"(?:file://|=')(/[^\s']+)", done.stdout.replace(" file://", "\nfile://"))
    return ["/etc/ssl/certs", *sorted({place.removesuffix("/simple") for place in named if Path(place).is_dir()})]


class Builder:
    """buildah with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self._command = [program("buildah"), "--root", str(folder / "store"), "--runroot", str(folder / "run")]

    def __call__(self, *words: str) -> str:
        """What it, or the program in the container, said."""
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def inside(self, image: str, folder: Path, at: str, *words: str) -> str:
        """A command as the image's user, with `folder` mounted."""
        container = self("from", "--pull-never", image).strip().splitlines()[-1]
        try:
            return self("run", "--isolation", "chroot", "--volume", f"{folder}:{at}", container, "--", *words)
        finally:
            self("rm", container)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    """Both images."""
    folder = tmp_path_factory.mktemp("images")
    builder, context = Builder(folder), folder / "context"
    context.mkdir()
    for name in ("edge_scanner", "provisioning", "packaging"):
        shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, context)
    container = builder("from", "scratch").strip()
    subprocess.run(["tar", "-C", str(base("trixie")), "-cf", str(folder / "base.tar"), "."], check=True)
    builder("add", container, str(folder / "base.tar"), "/")
    builder("commit", "--quiet", container, BASE)
    mounts = [f"--volume={place}:{place}:ro" for place in (*THE_WAY_OUT, *shelves()) if Path(place).exists()]
    for target in ("centre", "laptop"):
        builder(
            *("build", "--isolation", "chroot", "--network", "host", "--pull-never", "--layers", *mounts),
            *("--build-arg", f"BASE={BASE}", "--file", "packaging/Containerfile", "--target", target),
            *("--tag", target, str(context)),
        )
    yield builder
    shutil.rmtree(folder / "store", ignore_errors=True)


def test_the_centre_makes_its_tables_as_an_ordinary_user(buildah: Builder, tmp_path: Path) -> None:
    """On the settings that are mounted; no pip and no compiler is in the image, and nothing of it can be changed."""
    tmp_path.chmod(0o777)
    (tmp_path / "central.toml").write_text('[database]\nurl = "sqlite:////etc/edge-central/central.db"\n')
    place = (tmp_path, "/etc/edge-central")

    assert buildah.inside("centre", *place, "edge-central", "--version").strip() == __version__
    assert "0 boxes" in buildah.inside("centre", *place, "edge-central", "database")
    assert (tmp_path / "central.db").stat().st_uid == 10001
    buildah.inside("centre", *place, "sh", "-c", "! touch /opt/edge/x && ! command -v cc && ! command -v pip")
    buildah.inside("centre", *place, "python3", "-c", "import fastapi, psycopg, polars")


def test_the_laptop_s_tools_make_a_fleet_and_a_health_officer(buildah: Builder, tmp_path: Path) -> None:
    """Keys are written to the mounted folder alone."""
    tmp_path.chmod(0o777)
    (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
    secret = ("--passphrase-file", "passphrase")

    fleet = ("--fleet", "fleet", "--broker", "h", "--hotline", "1", "--label-address", "HTTPS://Q.HCM.TEST/D/")
    buildah.inside("laptop", tmp_path, "/work", "edge-provision", "fleet", "new", "thu", *fleet, *secret)
    officer = ("--role", "health-officer", "--name", "An")
    buildah.inside("laptop", tmp_path, "/work", "edge-authority", "keys", "new", "desk", *officer, *secret)

    assert (tmp_path / "fleet").is_dir()
    assert list((tmp_path / "desk").glob("*.key"))
