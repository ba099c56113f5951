"""The stage: a throw-away fleet in one folder, and the real programs as processes on it.

Nothing is simulated but the crowd: mosquitto checks client certificates, the box seals its log to two recipients, the
kiosk serves its page. Leaving the context ends the processes, in the order in which they depend on each other, and
deletes the folder.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_scanner.core import hpke, recipients
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.recipients import Recipient, RecipientSet
from edge_scanner.device.identity import new_device_id
from provisioning import certificates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provisioning.certificates import Holder

REPOSITORY = Path(__file__).parents[2]
DAYS = 90
"""The throw-away certificates' life; less would light the warning lamp."""
STOP_S = 5.0
"""How long a program may take to end before it is killed; the scanner needs less than two seconds."""
COLLECTOR = "fleet-collector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where things are: files in `folder`, ports on this machine, and the running programs by name."""

    folder: Path
    device_id: str
    broker_port: int
    kiosk_port: int
    programs: dict[str, subprocess.Popen[bytes]]

    @property
    def kiosk_url(self) -> str:
        """The venue's page."""
        return f"http://127.0.0.1:{self.kiosk_port}/"

    @property
    def config(self) -> Path:
        """The box's settings."""
        return self.folder / "scanner.toml"

    def log(self, program: str) -> Path:
        """What a program wrote."""
        return self.folder / f"{program}.log"

    @property
    def subscribe(self) -> list[str]:
        """The command that shows every message at the broker."""
        return [
            "mosquitto_sub", "-V", "5", "-h", "127.0.0.1", "-p", str(self.broker_port),
            "--cafile", str(self.folder / "ca.pem"), "--cert", str(self.folder / f"{COLLECTOR}.crt"),
            "--key", str(self.folder / f"{COLLECTOR}.key"), "-t", "edge/v1/d/+/up/#", "-F", "%t %p",
        ]  # fmt: skip


@contextlib.contextmanager
def stage(*, phones: int, speed: float) -> Iterator[Stage]:
    """Everything built and running; raises UnavailableError when a program does not come up."""
    folder = Path(tempfile.mkdtemp(prefix="edge-scanner-demo-"))
    programs: dict[str, subprocess.Popen[bytes]] = {}
    try:
        here = Stage(
            folder=folder,
            device_id=new_device_id(),
            broker_port=_free_port(),
            kiosk_port=_free_port(),
            programs=programs,
        )
        _make_fleet(here)
        _start(here, "mosquitto", [_find("mosquitto"), "-c", str(folder / "mosquitto.conf")])
        _wait_for_port(here, "mosquitto", here.broker_port)
        command = [sys.executable, "-m", "edge_scanner.device.cli"]
        simulate = ["--simulate", str(phones), "--speed", str(speed)]
        _start(here, "collector", here.subscribe)
        _start(here, "scanner", [*command, "run", "--config", str(here.config), *simulate])
        _start(here, "kiosk", [*command, "kiosk", "--config", str(here.config)])
        _wait_for_port(here, "kiosk", here.kiosk_port)
        yield here
    finally:
        for name in ("kiosk", "scanner", "collector", "mosquitto"):
            if name in programs:
                _end(programs[name])
        shutil.rmtree(folder, ignore_errors=True)


def _make_fleet(here: Stage) -> None:
    """Certificates, recipients, broker and box settings."""
    now_s = time.time()
    root = certificates.new_ca("demo root", now_s=now_s, days=DAYS)
    ca = certificates.new_ca("demo issuing CA", now_s=now_s, days=DAYS, issuer=root)
    trust = root.certificate_pem + ca.certificate_pem
    _write(here, "ca.pem", trust)
    _write_holder(here, "broker", certificates.new_server(ca, ["localhost", "127.0.0.1"], now_s=now_s, days=DAYS), ca)
    for name, unit in ((here.device_id, "device"), (COLLECTOR, "collector")):
        _write_holder(here, name, certificates.new_client(ca, name, unit=unit, now_s=now_s, days=DAYS), ca)
    authority = Ed25519PrivateKey.generate()
    public = authority.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write(here, "authority-root.pem", public)
    _write(here, "recipients.json", recipients.sign(_recipients(int(now_s)), [authority]))
    # Started by root it would change to a user of its own, who cannot read this folder.
    user = "user root\n" if os.geteuid() == 0 else ""
    _write(here, "mosquitto.conf", (_BROKER.format(port=here.broker_port, folder=here.folder) + user).encode())
    shutil.copy(REPOSITORY / "config" / "broker" / "acl", here.folder / "acl")
    (here.folder / "state").mkdir(mode=0o700)
    (here.folder / "run").mkdir()
    _write(
        here,
        "scanner.toml",
        _BOX.format(id=here.device_id, port=here.broker_port, kiosk_port=here.kiosk_port, folder=here.folder).encode(),
    )


def _recipients(now_s: int) -> RecipientSet:
    """A health authority and a custodian, who open together."""
    suite = hpke.MLKEM768_X25519
    roles = {"health-authority": "Demo health authority", "custodian": "Demo custodian"}
    return RecipientSet(
        version=1,
        not_before_s=now_s - 3600,
        not_after_s=now_s + 84 * 86400,
        groups=(tuple(roles),),
        recipients=tuple(
            Recipient(
                role=role,
                name=name,
                suite=suite,
                public_key=hpke.public_key_of(suite, hpke.new_private_key(suite, _fill)),
                not_before_s=now_s - 3600,
            )
            for role, name in roles.items()
        ),
    )


def _fill(buffer: bytearray) -> None:
    buffer[:] = secrets.token_bytes(len(buffer))


_BROKER = """\
listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/broker.crt
keyfile {folder}/broker.key
require_certificate true
use_identity_as_username true
tls_version tlsv1.3
acl_file {folder}/acl
max_packet_size 65536
log_dest stderr
persistence false
"""

_BOX = """\
[device]
id = "{id}"
site = "demo"
name_vi = "Bến xe Miền Đông"
name_en = "Eastern Bus Station"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"

[log]
recipients = "{folder}/recipients.json"
authority_root = "{folder}/authority-root.pem"

[mqtt]
host = "127.0.0.1"
port = {port}
ca = "{folder}/ca.pem"
certificate = "{folder}/{id}.crt"
key = "{folder}/{id}.key"

[kiosk]
port = {kiosk_port}
ops_pin_file = "{folder}/ops-pin"
moderate_from = 50
busy_from = 90
notice_url = "https://example.vn/quyen-rieng-tu"
"""


def _write(here: Stage, name: str, content: bytes) -> None:
    path = here.folder / name
    path.write_bytes(content)
    path.chmod(0o600)


def _write_holder(here: Stage, name: str, holder: Holder, ca: Holder) -> None:
    _write(here, f"{name}.crt", holder.certificate_pem + ca.certificate_pem)
    _write(here, f"{name}.key", holder.key_pem)


def _start(here: Stage, name: str, command: list[str]) -> None:
    with here.log(name).open("wb") as output:
        here.programs[name] = subprocess.Popen(  # noqa: S603 (our own programs, no shell)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )


def _end(program: subprocess.Popen[bytes]) -> None:
    program.send_signal(signal.SIGTERM)
    try:
        program.wait(STOP_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


def _find(command: str) -> str:
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise UnavailableError(f"{command} is not installed", hint=f"apt-get install {command}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(here: Stage, name: str, port: int) -> None:
    """Return when the program listens."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if here.programs[name].poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    last = here.log(name).read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
    raise UnavailableError(f"{name} did not come up", where=last[0], hint="run make demo again")
