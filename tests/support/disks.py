"""Disks in trouble: a small one that fills up, one that became read-only. Real mounts where root can make them."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def without_end(path: Path, what: str) -> Path:
    """What a damaged directory entry makes of a private file: `endless`, a terabyte; `pipe`, where nobody writes."""
    path.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(path, 0o600)
    else:
        with path.open("wb") as file:
            file.truncate(1 << 40)
        path.chmod(0o600)
    return path


@contextmanager
def tmpfs(folder: Path, megabytes: int) -> Iterator[None]:
    """A memory disk of that size on `folder`. For root: a test that asks for it is marked `system`."""
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700,uid={os.getuid()}", "tmpfs", str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def overlay(folder: Path, megabytes: int) -> Iterator[None]:
    """`folder` under an overlay whose upper layer is in memory, as a read-only root has it. For root."""
    memory = folder.with_name(f"{folder.name}-memory")
    memory.mkdir()
    with tmpfs(memory, megabytes):
        for layer in ("upper", "work"):
            (memory / layer).mkdir(mode=0o700)
        layers = f"lowerdir={folder},upperdir={memory}/upper,workdir={memory}/work"
        _run("mount", "-t", "overlay", "-o", layers, "overlay", str(folder))
        try:
            yield
        finally:
            _run("umount", "--lazy", str(folder))


@contextmanager
def bound(store: Path, folder: Path) -> Iterator[None]:
    """`store` mounted on `folder`, as a partition of its own is. For root."""
    _run("mount", "--bind", str(store), str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """`folder` cannot be written: a read-only bind mount for root, whom no mode stops, and mode 0500 for others."""
    if os.geteuid() == 0:
        _run("mount", "--bind", str(folder), str(folder))
        try:
            _run("mount", "-o", "remount,bind,ro", str(folder))
            yield
        finally:
            _run("umount", "--lazy", str(folder))
        return
    folder.chmod(0o500)
    try:
        yield
    finally:
        folder.chmod(0o700)


def fill(folder: Path) -> Path:
    """A file that takes every byte left; deleting it frees them."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return ballast


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def disk_image(image: Path, folder: Path, *, megabytes: int) -> Iterator[None]:
    """An ext4 disk in a file, mounted on `folder` with the defaults of a box's card: what is copied of the file is what
    the card has at that moment. For root.
    """
    image.unlink(missing_ok=True)
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted(image, folder):
        yield


@contextmanager
def when_power_returns(image: Path, folder: Path) -> Iterator[None]:
    """A copied image after the file system check that a start makes, mounted on `folder`."""
    card = image.with_name(f"{image.name}.started")
    card.unlink(missing_ok=True)
    shutil.copy(image, card)
    subprocess.run(("e2fsck", "-fy", str(card)), check=False, capture_output=True)
    with _mounted(card, folder):
        yield


@contextmanager
def _mounted(image: Path, folder: Path) -> Iterator[None]:
    """For an image file that was never mounted before: the kernel may still hold the device of the one before, with all
    that it cached of it, and would mount that.
    """
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        folder.chmod(0o700)
        yield
    finally:
        _run("umount", "--lazy", str(folder))
