"""Headquarters and bench read no file without end, and none of their own in another encoding is a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError, MalformedError
from provisioning import files
from provisioning.bench.commands.bench import pinned_signer
from provisioning.fleet.fleet import write_words
from tests.support.disks import without_end

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_without_end_is_one_line(tmp_path: Path) -> None:
    """The largest document may be read, and not a byte more."""
    path = tmp_path / "sites.csv"
    path.write_bytes(bytes(files.MAX_BYTES))
    assert len(files.read(path, hint="x")) == files.MAX_BYTES

    with pytest.raises(BadDataError, match="larger than 8388608 bytes"):
        files.read(without_end(path, "endless"), hint="x")


def test_a_pin_in_another_encoding_is_no_key(tmp_path: Path) -> None:
    """It is refused in one line, and no other fleet is pinned in its place."""
    (tmp_path / "fleet.pub").write_bytes(b"\xe1")
    with pytest.raises(MalformedError):
        pinned_signer(tmp_path, tmp_path / "batch.zip")


def test_new_words_leave_the_rest_of_the_file_as_it_is(tmp_path: Path) -> None:
    """Byte by byte: also a line separator that only Python's text knows, and another encoding."""
    rest = b'name = "m\xe1y" # \xe2\x80\xa8 x\n'
    (tmp_path / "fleet.toml").write_bytes(rest + b'hotline = "1"\n')

    write_words(tmp_path, hotline="2", label_address="HTTPS://X/")

    assert (tmp_path / "fleet.toml").read_bytes() == rest + b'hotline = "2"\nlabel_address = "HTTPS://X/"\n'
