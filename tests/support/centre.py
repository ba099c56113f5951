"""The centre of a throw-away fleet: the shipped broker configurations on real mosquittos, with the fleet's own CAs.

Only paths, ports and the user that the broker becomes are the test's.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edge_scanner.mqtt.brokerlink import BrokerSettings
from provisioning import certificates
from provisioning.fleet.fleet import Endpoint
from tests.support.installed import program
from tests.support.mosquitto import RUNS, SAYS_MORE, read_again, settled
from tests.support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from provisioning.certificates import Holder
    from provisioning.fleet.fleet import Fleet

CONFIG = Path(__file__).parents[2] / "config" / "broker"


class ShippedBroker:
    """One mosquitto that runs `conf` of config/broker; leaving the context ends it."""

    def __init__(
        self, folder: Path, fleet: Fleet, *, conf: str, acl: str, port: int = 0, extra_ca: bytes = b""
    ) -> None:
        self._program = program("mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.fleet = fleet
        self.port = port or free_port()
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        now_s = time.time()
        server = certificates.new_server(fleet.issuing, ["localhost", "127.0.0.1"], now_s=now_s, days=30)
        (folder / "ca.pem").write_bytes(fleet.trust_pem + extra_ca)
        (folder / "broker.crt").write_bytes(server.certificate_pem + fleet.issuing.certificate_pem)
        (folder / "broker.key").write_bytes(server.key_pem)
        if not (folder / "crl.pem").exists():
            (folder / "crl.pem").write_bytes(certificates.revocation_list(fleet.issuing, (), number=1, now_s=now_s))
        (folder / "acl").write_text((CONFIG / acl).read_text())
        text = (CONFIG / conf).read_text()
        text = re.sub(r"^listener \d+", f"listener {self.port} 127.0.0.1", text, flags=re.MULTILINE)
        text = re.sub(r"/etc/mosquitto/(edge|enrolment)/", f"{folder}/", text)
        text = text.replace("/var/lib/mosquitto/", f"{folder}/")
        text += SAYS_MORE
        if os.geteuid() == 0:
            text += "user root\n"
        (folder / "mosquitto.conf").write_text(text)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(host="127.0.0.1", port=self.port)

    def start(self) -> None:
        """Start, and return when it listens and takes signals."""
        with self.log.open("ab") as log, settled(self.log, RUNS):
            self._process = subprocess.Popen(
                [self._program, "-c", str(self.folder / "mosquitto.conf")], stdout=log, stderr=log
            )

    def stop(self, *, kill: bool = False) -> None:
        """SIGTERM, or SIGKILL as a power cut does, and wait."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """End it and start it again on the same port."""
        self.stop()
        self.start()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def reload(self) -> None:
        """SIGHUP; returns when it has read its lists again."""
        assert self._process is not None
        with read_again(self.log):
            self._process.send_signal(signal.SIGHUP)

    def resident_mb(self) -> float:
        """Its memory now."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def settings(self, name: str, holder: Holder) -> BrokerSettings:
        """How the holder of a certificate reaches this broker."""
        for suffix, content in (("crt", holder.certificate_pem), ("key", holder.key_pem)):
            path = self.folder / f"client-{name}.{suffix}"
            path.write_bytes(content)
            path.chmod(0o600)
        return BrokerSettings(
            host="127.0.0.1",
            port=self.port,
            ca=self.folder / "ca.pem",
            certificate=self.folder / f"client-{name}.crt",
            key=self.folder / f"client-{name}.key",
        )

    def client(self, name: str, *, unit: str = "device", days: int = 1) -> BrokerSettings:
        """The settings of a client with a fresh certificate of the issuing CA."""
        holder = certificates.new_client(self.fleet.issuing, name, unit=unit, now_s=time.time(), days=days)
        return self.settings(name, holder)


def central(folder: Path, fleet: Fleet, *, port: int = 0) -> ShippedBroker:
    """The central broker."""
    return ShippedBroker(folder, fleet, conf="mosquitto.conf", acl="acl", port=port)


def enrolment(folder: Path, fleet: Fleet, batch_ca: bytes, *, port: int = 0) -> ShippedBroker:
    """The enrolment broker."""
    return ShippedBroker(folder, fleet, conf="enrolment.conf", acl="acl-enrolment", port=port, extra_ca=batch_ca)
