"""The locks are complete, agree with each other, and are all that an installation asks."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.locks import LOCKS, taken

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HOLDS = {
    "box": PROJECT["project"]["dependencies"],
    "laptop": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["authority"],
        *PROJECT["project"]["optional-dependencies"]["hsm"],
    ],
    "central": [
        *PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"]["central"],
        *PROJECT["project"]["optional-dependencies"]["parquet"],
    ],
    "demo": [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["central"]],
    "developer": [
        *PROJECT["project"]["dependencies"],
        *(line for extra in PROJECT["project"]["optional-dependencies"].values() for line in extra),
        *PROJECT["dependency-groups"]["build"],
    ],
    "build": PROJECT["dependency-groups"]["build"],
}
MACHINES = [(minor, machine) for minor in range(11, 15) for machine in ("x86_64", "aarch64")]
TEXTS = [
    path
    for place in ("Makefile", "README.md", "CONTRIBUTING.md", "docs", "tools", ".github", ".ci", "edge_scanner",
                  "provisioning", "config", "packaging", "systemd")
    for path in ([ROOT / place] if (ROOT / place).is_file() else sorted((ROOT / place).rglob("*")))
    if path.is_file() and path.suffix not in {".lock", ".pyc", ".png", ".woff2"}
]  # fmt: skip


def _machine(minor: int, machine: str) -> dict[str, str]:
    """What a marker asks about a Linux machine with CPython 3.`minor`."""
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"3.{minor}.0",
        "python_version": f"3.{minor}",
        "sys_platform": "linux",
    }


@pytest.mark.parametrize(("minor", "machine"), MACHINES)
@pytest.mark.parametrize("lock", HOLDS)
def test_a_lock_holds_every_dependency_of_its_packages(lock: str, minor: int, machine: str) -> None:
    """From what pyproject.toml asks for to the last dependency, on every machine that the lock serves."""
    target = _machine(minor, machine)
    versions = taken(lock, target)
    asked = [(line, frozenset[str]()) for line in HOLDS[lock]]
    seen: set[tuple[str, frozenset[str]]] = set()

    while asked:
        line, extras = asked.pop()
        if (line, extras) in seen:
            continue
        seen.add((line, extras))
        wanted = Requirement(line)
        if wanted.marker and not any(wanted.marker.evaluate(target | {"extra": extra}) for extra in extras or {""}):
            continue
        name = canonicalize_name(wanted.name)
        assert name in versions, f"{line}: not in {lock}.lock"
        assert wanted.specifier.contains(versions[name], prereleases=True), f"{line}: {versions[name]} in {lock}.lock"
        try:
            asked += [(needed, frozenset(wanted.extras)) for needed in requires(wanted.name) or ()]
        except PackageNotFoundError:  # a package that only other machines have: this one cannot say what it needs
            continue


@pytest.mark.parametrize(("minor", "machine"), MACHINES)
def test_a_package_has_one_version_in_every_lock(minor: int, machine: str) -> None:
    """What the tests ran with is what box and laptop get."""
    target = _machine(minor, machine)
    everything = taken("developer", target)

    for lock in ("box", "laptop", "central", "demo", "build"):
        assert taken(lock, target).items() <= everything.items()


def test_every_pin_has_hashes() -> None:
    """A pin without a hash would make pip refuse the whole lock."""
    for lock in LOCKS.glob("*.lock"):
        for block in re.split(r"\n(?=[A-Za-z0-9])", lock.read_text()):
            assert "--hash=sha256:" in block, f"{lock.name}: {block.splitlines()[0]}"


def test_nothing_is_resolved_and_nothing_comes_by_name() -> None:
    """Each pip command of guides, messages and tools takes wheels of a lock or our own, never our name."""
    wrong = []
    for path in TEXTS:
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        for command in re.findall(r"\bpip3?\b[\"',\s]+(?:install|download|wheel)\b.*", text):
            ours = re.search(r"-e \.$|--wheel-dir \S+ \.$|edge_scanner-\S+\.whl", command)
            locked = "--require-hashes" in command and "--only-binary=:all:" in command
            if "--no-deps" not in command or not (ours or locked or "--no-index" in command):
                wrong.append((path.name, command))
        wrong += [(path.name, name) for name in re.findall(r"edge-scanner\[|requirements\.(?:lock|txt)", text)]

    assert wrong == []
    assert any("--require-hashes" in path.read_text() for path in TEXTS)
