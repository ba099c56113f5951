"""A published release is what its releasers signed and what its tag gives: signed and checked with a throw-away key."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_scanner import __version__
from tests.support.debian import source

ROOT = Path(__file__).parents[3]
PACKAGE = "edge-scanner_9.9_amd64.deb"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A folder as somebody downloads it, and the keys that belong to it."""

    folder: Path
    keys: Path

    def sign(self) -> None:
        """As docs/release.md says, with a key that has no password."""
        command = ["minisign", "-S", "-m", str(self.folder / "SHA256SUMS"), "-s", str(self.keys / "secret")]
        subprocess.run([*command, "-t", "edge_scanner 9.9"], check=True, capture_output=True)

    def verify(self, tool: Path = ROOT / "tools" / "verify-release", tag: str = "v9.9") -> tuple[int, str]:
        """Exit code, and all that was said."""
        command: list[str | Path] = [sys.executable, tool, tag, self.folder, "--key", self.keys / "public"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


def _keys(folder: Path) -> Path:
    folder.mkdir()
    command = ["minisign", "-G", "-W", "-p", str(folder / "public"), "-s", str(folder / "secret")]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """One signed package, of a version that nobody has tagged."""
    folder = tmp_path / "download"
    folder.mkdir()
    (folder / PACKAGE).write_bytes(b"a package")
    digest = hashlib.sha256(b"a package").hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {PACKAGE}\n")
    made = Release(folder=folder, keys=_keys(tmp_path / "keys"))
    made.sign()
    return made


def test_a_signed_file_is_named_before_anything_is_built(release: Release) -> None:
    """Signature and hash are right, and the tag is not in this repository: the last line says how to get it."""
    code, said = release.verify()

    assert code == 65
    assert "signed   SHA256SUMS: edge_scanner 9.9" in said
    assert f"intact   {PACKAGE}" in said
    assert "has no tag v9.9: git fetch --tags" in said


def test_a_list_that_was_changed_after_signing_is_refused(release: Release) -> None:
    """Whoever exchanges a package must exchange its hash, too, and cannot sign it."""
    (release.folder / PACKAGE).write_bytes(b"another")
    digest = hashlib.sha256(b"another").hexdigest()
    (release.folder / "SHA256SUMS").write_text(f"{digest}  {PACKAGE}\n")

    code, said = release.verify()

    assert (code, "do not use this release" in said) == (65, True)


def test_a_package_that_was_exchanged_is_refused(release: Release) -> None:
    """The list is as it was signed, and the package is another one."""
    (release.folder / PACKAGE).write_bytes(b"another")

    code, said = release.verify()

    assert (code, f"{PACKAGE} is not the file that was signed" in said) == (65, True)


def test_the_key_of_somebody_else_is_refused(release: Release, tmp_path: Path) -> None:
    """A list that a stranger signed is not a release."""
    stranger = Release(folder=release.folder, keys=_keys(tmp_path / "stranger"))

    code, said = stranger.verify()

    assert (code, "is not signed with" in said) == (65, True)


@pytest.mark.parametrize("missing", ["SHA256SUMS", "SHA256SUMS.minisig"])
def test_an_incomplete_download_is_named(release: Release, missing: str) -> None:
    """One line with the file that is not there."""
    (release.folder / missing).unlink()

    assert release.verify() == (65, f"verify-release: {release.folder / missing} is not there\n")


@pytest.mark.parametrize("text", ["", "not a hash\n", f"{'0' * 64}  ../../etc/passwd\n"])
def test_a_signed_list_of_another_kind_is_refused(release: Release, text: str) -> None:
    """Only names of our own packages are looked up, and an empty list proves nothing."""
    (release.folder / "SHA256SUMS").write_text(text)
    release.sign()

    code, said = release.verify()

    assert (code, "is no list of a release's files" in said) == (65, True)


def _run(tree: Path, *command: str) -> None:
    person = {f"GIT_{who}_{what}": "test@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | person | {"PYTHON": sys.executable}
    subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True)


def _tag(tree: Path, tag: str) -> None:
    """The folder becomes a repository of one commit, with an annotated tag."""
    shutil.copy(ROOT / ".gitignore", tree)
    _run(tree, "git", "init", "--quiet")
    _run(tree, "git", "add", "--all")
    _run(tree, "git", "commit", "--quiet", "--message", "a release")
    _run(tree, "git", "tag", "--annotate", tag, "--message", "a release")


@pytest.mark.parametrize(
    ("made", "code", "line"), [("a package", 0, f"rebuilt  {PACKAGE}"), ("another", 65, f"DIFFERS  {PACKAGE}")]
)
def test_what_the_tag_gives_decides(release: Release, tmp_path: Path, made: str, code: int, line: str) -> None:
    """The tag's own make-release is asked (here one of two lines); the work tree's is not, and is left as it was."""
    tree = tmp_path / "repository"
    (tree / "tools").mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "verify-release", tree / "tools")
    script = tree / "tools" / "make-release"
    script.write_text(f"#!/bin/sh\ncd $(dirname $0)/..\nmkdir dist\nprintf '{made}' >dist/edge-scanner_9.9_$1.deb\n")
    script.chmod(0o755)
    _tag(tree, "v9.9")
    script.write_text("#!/bin/sh\nexit 1\n")

    found, said = release.verify(tree / "tools" / "verify-release")

    assert (found, line in said.splitlines()) == (code, True), said
    assert script.read_text() == "#!/bin/sh\nexit 1\n"


@pytest.mark.system
def test_anybody_rebuilds_a_release_from_its_tag(tmp_path: Path) -> None:
    """Tagged, made, signed, and verified by a second making: package, bill of materials and wheel are the same."""
    tree = source(tmp_path / "repository")
    _tag(tree, f"v{__version__}")
    _run(tree, "tools/make-release", "amd64")
    release = Release(folder=tree / "dist", keys=_keys(tmp_path / "keys"))
    release.sign()

    code, said = release.verify(tree / "tools" / "verify-release", f"v{__version__}")

    assert code == 0, said
    assert said.count("intact ") == said.count("rebuilt ") == 3
