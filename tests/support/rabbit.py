"""A RabbitMQ cluster of this machine's Debian package with its MQTT plugin, for one measurement: nodes of our own.

Ports, cookie, data and epmd are private to `folder`; a running RabbitMQ of the system is not touched.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support.mosquitto import free_port

if TYPE_CHECKING:
    from types import TracebackType

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_S = 120.0
"""An Erlang node on a busy machine; half of it is waiting for other members."""
MIRRORS = '{"ha-mode":"all","ha-sync-mode":"automatic"}'


@dataclass(slots=True, kw_only=True)
class Node:
    """One node: its MQTT port, and its process while it runs."""

    name: str
    mqtt_port: int
    folder: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and return at once."""
        with (self.folder / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                [str(PROGRAMS / "rabbitmq-server")],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Return when it has started."""
        deadline = time.monotonic() + START_S
        output = self.folder / "output.txt"
        while "Server startup complete" not in output.read_text(errors="replace"):
            assert self.process is not None
            assert self.process.poll() is None, output.read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, output.read_text(errors="replace")[-2000:]
            time.sleep(0.2)

    def kill(self) -> None:
        """SIGKILL to the node and what it started, as a power cut."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
            deadline = time.monotonic() + 5
            while _listens(self.mqtt_port):
                assert time.monotonic() < deadline, f"{self.name} still listens after its death"
                time.sleep(0.01)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Cluster:
    """`nodes` nodes; leaving the context kills them."""

    def __init__(self, folder: Path, *, nodes: int) -> None:
        self.folder = folder
        (folder / ".erlang.cookie").write_text("EDGE" * 5)
        (folder / ".erlang.cookie").chmod(0o400)
        self._epmd = free_port()
        self._names: subprocess.Popen[bytes] | None = None
        names = [f"edge{number}@localhost" for number in range(nodes)]
        self.nodes = [self._node(name, names) for name in names]

    def _node(self, name: str, names: list[str]) -> Node:
        folder = self.folder / name.partition("@")[0]
        folder.mkdir()
        mqtt_port = free_port()
        (folder / "plugins").write_text("[rabbitmq_mqtt].\n")
        members = [
            f"cluster_formation.classic_config.nodes.{number} = {one}"
            for number, one in enumerate(dict.fromkeys((names[0], name)), 1)
        ]
        (folder / "rabbitmq.conf").write_text(
            "\n".join(
                [
                    f"listeners.tcp.default = 127.0.0.1:{free_port()}",
                    f"mqtt.listeners.tcp.default = 127.0.0.1:{mqtt_port}",
                    "mqtt.allow_anonymous = true",
                    "log.console = true",
                    "cluster_formation.peer_discovery_backend = classic_config",
                    *members,
                    "",
                ]
            )
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self._epmd),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
        }
        return Node(name=name, mqtt_port=mqtt_port, folder=folder, environment=environment)

    def __enter__(self) -> Self:
        # Erlang's name server; a node that finds none would leave a daemon behind.
        self._names = subprocess.Popen(["epmd", "-port", str(self._epmd)], stderr=subprocess.DEVNULL)
        for node in self.nodes:
            node.start()
            node.wait()
        self.control("set_policy", "mirrors", "^mqtt-subscription-", MIRRORS, "--apply-to", "queues")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.kill()
        if self._names is not None:
            self._names.kill()
            self._names.wait()

    def control(self, *words: str) -> str:
        """`rabbitmqctl` on the first node that runs; its output."""
        node = next(one for one in self.nodes if one.process is not None)
        return subprocess.run(
            [str(PROGRAMS / "rabbitmqctl"), "-n", node.name, "-q", *words],
            env=node.environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
