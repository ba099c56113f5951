"""The unit that unblocks or resets an adapter: what it does for a file that the radio wrote, and for nobody else's."""

from __future__ import annotations

import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edge_scanner.core.errors import BadDataError, StorageError, UnavailableError
from edge_scanner.device.radio import reset

if TYPE_CHECKING:
    from pathlib import Path


class Machine:
    """A /sys and a /dev with one adapter on USB bus 1, device 4; its device files are plain files."""

    def __init__(self, folder: Path) -> None:
        self.sys, self.dev, self.run = folder / "sys", folder / "dev", folder / "run"
        self.run.mkdir()
        device = self.sys / "devices" / "usb1" / "1-2"
        self.adapter = device / "1-2:1.0" / "bluetooth" / "hci0"
        self.adapter.mkdir(parents=True)
        (device / "busnum").write_text("1\n")
        (device / "devnum").write_text("4\n")
        (self.adapter / "device").symlink_to("../..")
        (self.sys / "class" / "bluetooth").mkdir(parents=True)
        (self.sys / "class" / "bluetooth" / "hci0").symlink_to(self.adapter)
        self.usb = self.dev / "bus" / "usb" / "001" / "004"
        self.usb.parent.mkdir(parents=True)
        self.usb.touch()
        (self.dev / "rfkill").touch()

    def switch(self, index: int, *, soft: bool) -> None:
        """A switch of the adapter."""
        folder = self.adapter / f"rfkill{index}"
        folder.mkdir()
        (folder / "index").write_text(f"{index}\n")
        (folder / "soft").write_text(f"{int(soft)}\n")

    def grant(self, name: str = "hci0") -> str:
        """Ask as the radio does and grant as the unit does."""
        reset.ask(self.run, name)
        return reset.grant(self.run / reset.FILE, sys=self.sys, dev=self.dev)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """See `Machine`."""
    return Machine(tmp_path)


def test_a_soft_block_is_lifted(machine: Machine) -> None:
    """One event per blocked switch of this adapter, as the kernel takes it (struct rfkill_event), and no reset."""
    machine.switch(3, soft=True)
    machine.switch(4, soft=False)

    assert machine.grant() == "hci0 unblocked"
    assert (machine.dev / "rfkill").read_bytes() == struct.pack("=IBBBB", 3, 2, 2, 0, 0)


def test_without_a_block_the_usb_device_above_is_reset(machine: Machine) -> None:
    """The adapter's own USB device is found and the reset goes to its file, where this plain file refuses it."""
    machine.switch(3, soft=False)

    with pytest.raises(UnavailableError, match="cannot be reset: Inappropriate ioctl"):
        machine.grant()
    machine.usb.unlink()
    with pytest.raises(UnavailableError, match="cannot be reset: No such file"):
        machine.grant()


def test_an_adapter_that_is_not_on_usb_is_left_alone(machine: Machine) -> None:
    """As the one on a Raspberry Pi's board, which is on a serial line."""
    (machine.adapter / "device").unlink()
    (machine.adapter / "device").symlink_to(machine.sys / "devices")

    assert machine.grant() == "hci0 is not on USB: nothing to reset"


@pytest.mark.parametrize("name", ["", "hci", "../../block/sda", "hci0/..", "hci00000000", "wlan0", "hci0\nhci1"])
def test_nothing_else_is_touched(machine: Machine, name: str) -> None:
    """A file that names no adapter is refused, whoever wrote it."""
    with pytest.raises(BadDataError, match="no adapter is named"):
        machine.grant(name)


def test_an_adapter_that_is_not_there(machine: Machine) -> None:
    """A name of the right form is looked up among the kernel's Bluetooth adapters."""
    with pytest.raises(UnavailableError, match="not there"):
        machine.grant("hci7")


def test_no_link_is_followed(machine: Machine, tmp_path: Path) -> None:
    """Neither does the radio write through a link, nor does the unit read through one."""
    (tmp_path / "other").write_text("hci0")
    (machine.run / reset.FILE).symlink_to(tmp_path / "other")

    with pytest.raises(StorageError, match="cannot write"):
        reset.ask(machine.run, "hci0")
    with pytest.raises(UnavailableError, match="cannot read"):
        reset.grant(machine.run / reset.FILE, sys=machine.sys, dev=machine.dev)
    assert (tmp_path / "other").read_text() == "hci0"


def test_the_units_program_says_one_line(tmp_path: Path) -> None:
    """As the unit starts it: the reason and an exit code."""
    module = [sys.executable, "-m", "edge_scanner.device.radio.reset"]
    usage = subprocess.run(module, capture_output=True, text=True, check=False)
    reset.ask(tmp_path, "hci250")
    absent = subprocess.run([*module, str(tmp_path / reset.FILE)], capture_output=True, text=True, check=False)

    assert (usage.returncode, usage.stderr.count("\n")) == (1, 1)
    assert (absent.returncode, absent.stderr) == (69, "edge-scanner: the adapter is not there (hci250); plug it in\n")
