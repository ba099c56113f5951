"""The stage: a throw-away fleet in one folder, and the real programs as processes on it.

Nothing is simulated but the crowd: mosquitto checks client certificates, the box seals its log to two recipients, the
kiosk serves its page. It is afternoon at the venue, and three weeks lie behind it (history.py). Leaving the context
ends the processes, in the order in which they depend on each other, and deletes the folder.
"""

from __future__ import annotations

import asyncio
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

from edge_scanner.core import operator_pin as pin
from edge_scanner.core import signed
from edge_scanner.core.errors import UnavailableError
from edge_scanner.core.log import hpke, recipients
from edge_scanner.core.log.recipients import Party, Recipient, RecipientSet
from edge_scanner.core.snapshot import VIET_NAM_OFFSET_S
from edge_scanner.demo import history
from edge_scanner.device import settings
from edge_scanner.device.enrolment.identity import new_device_id
from edge_scanner.device.simulation import crowd
from provisioning import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from provisioning.certificates import Holder

REPOSITORY = Path(__file__).parents[2]
DAYS = 90
"""The throw-away certificates' life; less would light the warning lamp."""
STOP_S = 5.0
"""How long a program may take to end before it is killed; the scanner needs less than two seconds."""
START_S = 60.0
"""How long a program may take to come up on a busy machine."""
COLLECTOR = "fleet-collector"
TAIL = "fleet-tail"
"""Who looks at every message; two clients of one name would end each other's sessions."""
SITE = "demo"
CENTRE, CENTRE_PASSWORD, CENTRE_USER = "centre", "password", "demo"
"""The centre's folder, which is its program's name, too; a file there with the password; the one operator."""
AUTHORITY = "authority-hcm"
"""The health authority's name at the broker, as the shipped permissions have it."""
OPENS_HOUR = 15
"""The venue's hour when the demo begins: the crowd grows, and night comes after three minutes of the usual speed."""
DAY_S, HOUR_S = 86_400, 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where things are: files in `folder`, ports on this machine, and the running programs by name.

    `pin` opens the operator's page; `begins_s` is when the box's time begins, UTC seconds, at or after now. Where there
    is a centre, `centre_password` lets CENTRE_USER in at `centre_port`.
    """

    folder: Path
    device_id: str
    broker_port: int
    kiosk_port: int
    pin: str
    begins_s: int
    programs: dict[str, subprocess.Popen[bytes]]
    centre_port: int = 0
    centre_password: str = ""

    @property
    def centre_url(self) -> str:
        """The page of the ministry."""
        return f"http://127.0.0.1:{self.centre_port}/"

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
            find("mosquitto_sub", "mosquitto-clients"), "-V", "5", "-h", "127.0.0.1", "-p", str(self.broker_port),
            "--cafile", str(self.folder / "ca.pem"), "--cert", str(self.folder / f"{TAIL}.crt"),
            "--key", str(self.folder / f"{TAIL}.key"), "-t", "edge-scanner/v1/d/+/up/#", "-F", "%t %p",
        ]  # fmt: skip

    def box(self, *words: str) -> list[str]:
        """The command `edge-scanner WORDS --config …` of this box."""
        return [sys.executable, "-m", "edge_scanner.device.cli", *words, "--config", str(self.config)]


@contextlib.contextmanager
def stage(
    *, phones: int, speed: float, prepare: Callable[[Stage], None] | None = None, centre: bool = False
) -> Iterator[Stage]:
    """Everything built and running; raises UnavailableError when a program is missing or does not come up.

    `centre` adds the centre, which needs packages of its own. `prepare` may change the fleet's files and the box's past
    before any program runs; without it the box has three weeks behind it.
    """
    broker = find("mosquitto", "mosquitto")
    find("mosquitto_sub", "mosquitto-clients")
    folder = Path(tempfile.mkdtemp(prefix="edge-scanner-demo-"))
    programs: dict[str, subprocess.Popen[bytes]] = {}
    try:
        here = Stage(
            folder=folder,
            device_id=new_device_id(),
            broker_port=_free_port(),
            kiosk_port=_free_port(),
            pin=f"{secrets.randbelow(10**6):06}",
            begins_s=next_opening_s(time.time()),
            programs=programs,
            centre_port=_free_port() if centre else 0,
            centre_password=secrets.token_urlsafe(12) if centre else "",
        )
        make_fleet(here, phones=phones)
        if prepare is None:
            make_history(here, phones=phones)
        else:
            prepare(here)
        start(here, "mosquitto", [broker, "-c", str(folder / "mosquitto.conf")])
        wait_for_port(here, "mosquitto", here.broker_port)
        start(here, "tail", here.subscribe)
        if centre:
            start_centre(here)
        start(here, "scanner", here.box("run", "--simulate", str(phones), "--daily", "--speed", str(speed)))
        start(here, "kiosk", here.box("kiosk"))
        wait_for_port(here, "kiosk", here.kiosk_port)
        yield here
    finally:
        for name in ("kiosk", "scanner", CENTRE, "tail", "mosquitto"):
            if name in programs:
                _end(programs[name])
        shutil.rmtree(folder, ignore_errors=True)


def start_centre(here: Stage) -> None:
    """Returns when its page answers: then it hears the broker, and misses nothing that the box will say."""
    (here.folder / CENTRE).mkdir(mode=0o700)
    _write(here, f"{CENTRE}/{CENTRE_PASSWORD}", here.centre_password.encode())
    figures = (here.broker_port, here.centre_port, here.begins_s)
    words = [str(here.folder), here.device_id, *map(str, figures)]
    start(here, CENTRE, [sys.executable, "-m", "edge_scanner.demo.centre", *words])
    wait_for_port(here, CENTRE, here.centre_port)


def next_opening_s(now_s: float) -> int:
    """The venue's next OPENS_HOUR, UTC seconds."""
    hour_s = OPENS_HOUR * HOUR_S - VIET_NAM_OFFSET_S
    return int(-((hour_s - now_s) // DAY_S)) * DAY_S + hour_s


def make_history(here: Stage, *, phones: int) -> None:
    """Three weeks of the hall's life in the box's database."""
    plan = crowd.bus_station(phones, utc_offset_s=VIET_NAM_OFFSET_S)
    asyncio.run(history.store(settings.load(here.config), here.folder / "state", plan, end_s=here.begins_s))


def make_fleet(here: Stage, *, phones: int) -> None:
    """Certificates, recipients, broker, box settings and the operator's PIN."""
    now_s = time.time()
    root = certificates.new_ca("demo root", now_s=now_s, days=DAYS)
    ca = certificates.new_ca("demo issuing CA", now_s=now_s, days=DAYS, issuer=root)
    trust = root.certificate_pem + ca.certificate_pem
    _write(here, "ca.pem", trust)
    _write_holder(here, "broker", certificates.new_server(ca, ["localhost", "127.0.0.1"], now_s=now_s, days=DAYS), ca)
    for name, unit in (
        (here.device_id, "device"),
        (COLLECTOR, "collector"),
        (TAIL, "collector"),
        (AUTHORITY, "authority"),
    ):
        _write_holder(here, name, certificates.new_client(ca, name, unit=unit, now_s=now_s, days=DAYS), ca)
    roots = {"authority": Ed25519PrivateKey.generate(), "custodian": Ed25519PrivateKey.generate()}
    for name, key in roots.items():
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _write(here, f"{name}-root.pem", public)
    _write(here, "recipients.json", recipients.sign(_recipients(int(now_s), roots), list(roots.values())))
    # Started by root it would change to a user of its own, who cannot read this folder.
    user = "user root\n" if os.geteuid() == 0 else ""
    _write(here, "mosquitto.conf", (_BROKER.format(port=here.broker_port, folder=here.folder) + user).encode())
    shutil.copy(REPOSITORY / "config" / "broker" / "acl", here.folder / "acl")
    (here.folder / "state").mkdir(mode=0o700)
    (here.folder / "run").mkdir()
    (here.folder / "operator").mkdir()
    _write(here, "ops-pin", pin.hash_pin(here.pin, secrets.token_bytes(pin.SALT_BYTES)).encode())
    # Four of five devices of the crowd are phones (simulation/crowd.py), and the word counts phones.
    moderate_from = max(1, round(0.48 * phones))
    box = _BOX.format(
        id=here.device_id,
        port=here.broker_port,
        kiosk_port=here.kiosk_port,
        folder=here.folder,
        site=SITE,
        moderate_from=moderate_from,
        busy_from=max(moderate_from + 1, round(0.8 * phones)),
    )
    _write(here, "scanner.toml", box.encode())


def _recipients(now_s: int, roots: dict[str, Ed25519PrivateKey]) -> RecipientSet:
    """A health authority and a custodian, who open together."""
    suite = hpke.MLKEM768_X25519
    roles = {"authority": "Demo health authority", "custodian": "Demo custodian"}
    return RecipientSet(
        version=1,
        not_before_s=now_s - 3600,
        not_after_s=now_s + 84 * 86400,
        parties=tuple(
            Party(name=name, root=signed.key_name(roots[role].public_key()), roles=(role,))
            for role, name in roles.items()
        ),
        parts=tuple((role,) for role in roles),
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
max_packet_size 262144
log_dest stderr
persistence false
"""

_BOX = """\
[device]
id = "{id}"
site = "{site}"
name_vi = "Bến xe Miền Đông"
name_en = "Eastern Bus Station"
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"

[log]
recipients = "{folder}/recipients.json"
authority_root = "{folder}/authority-root.pem"
custodian_root = "{folder}/custodian-root.pem"

[mqtt]
host = "127.0.0.1"
port = {port}
ca = "{folder}/ca.pem"
certificate = "{folder}/{id}.crt"
key = "{folder}/{id}.key"

[counts]
tracing_figures = true

[kiosk]
port = {kiosk_port}
ops_pin_file = "{folder}/ops-pin"
operator_dir = "{folder}/operator"
moderate_from = {moderate_from}
busy_from = {busy_from}
notice_url = "https://ben-xe.example/quyen-rieng-tu"
"""


def _write(here: Stage, name: str, content: bytes) -> None:
    path = here.folder / name
    path.write_bytes(content)
    path.chmod(0o600)


def _write_holder(here: Stage, name: str, holder: Holder, ca: Holder) -> None:
    _write(here, f"{name}.crt", holder.certificate_pem + ca.certificate_pem)
    _write(here, f"{name}.key", holder.key_pem)


def start(here: Stage, name: str, command: list[str]) -> None:
    """One of the stage's programs, in a session of its own, so that Ctrl-C reaches only us."""
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


def find(command: str, package: str) -> str:
    """The path of a command; raises UnavailableError with the package to install."""
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        raise UnavailableError(f"{command} is not installed", hint=f"run: sudo apt-get install {package}")
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(here: Stage, name: str, port: int) -> None:
    """Return when the program listens."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if here.programs[name].poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise UnavailableError(f"{name} did not start", where=last_words(here, name), hint="run make demo again")


def last_words(here: Stage, name: str) -> str:
    """The last line that a program wrote."""
    return (here.log(name).read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"])[0]
