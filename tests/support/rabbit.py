"""A RabbitMQ cluster of a test's own in a Debian tree: config/broker/rabbitmq.conf, a fleet's certificates, its ACL.

    with Cluster(folder, fleet, nodes=3, names=["K7MP2R9CX4"]) as cluster:
        settings = cluster.client("K7MP2R9CX4")

Debian 12 has no RabbitMQ that speaks MQTT 5, so it comes from Debian 13, in a tree that is made once (root, a network,
some minutes). Ports, cookie, data and epmd are private to `folder`. Paths, ports and the names of nodes are the test's.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from edge_scanner.mqtt.brokerlink import BrokerSettings
from provisioning import certificates
from tests.support import debian
from tests.support.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from provisioning.certificates import Holder
    from provisioning.fleet.fleet import Fleet

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "broker"
PROGRAMS = "/usr/lib/rabbitmq/bin"
START_S = 300.0
"""An Erlang node on a busy machine; half of it is waiting for other members."""
HERE = "/srv/rabbit"
"""Where `folder` of the test lies inside the tree."""


@dataclass(slots=True, kw_only=True)
class Node:
    """One node: its MQTT port, and its process while it runs. `folder` is ours, `environment` is for inside."""

    name: str
    mqtt_port: int
    folder: Path
    tree: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start and return at once."""
        with (self.folder / "output.txt").open("wb") as output:
            self.process = subprocess.Popen(
                ["chroot", str(self.tree), f"{PROGRAMS}/rabbitmq-server"],
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
    """`nodes` nodes that know `names` by the shipped ACL; leaving the context kills them."""

    def __init__(self, folder: Path, fleet: Fleet, *, nodes: int, names: list[str]) -> None:
        self.fleet = fleet
        self.names = names
        self.nodes: list[Node] = []
        self.folder = folder
        self._count = nodes
        self._epmd = free_port()
        self._known: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()
        self._tree = Path()
        self._inside = Path()

    def __enter__(self) -> Self:
        """Make, start and furnish it: one call."""
        try:
            tree = self._stack.enter_context(debian.machine(self.folder, "rabbitmq", size="2g"))
            self._tree, self._inside = tree.root, tree.path(HERE)
            self._inside.mkdir()
            self._write_files()
            names = [f"edge{number}@localhost" for number in range(1, self._count + 1)]
            self.nodes = [self._node(name, names) for name in names]
            # Erlang's name server; a node that finds none would leave a daemon behind.
            self._known = subprocess.Popen(
                ["chroot", str(self._tree), "epmd", "-port", str(self._epmd)], stderr=subprocess.DEVNULL
            )
            for node in self.nodes:
                node.start()
            for node in self.nodes:
                node.wait()
            self.permit(self.names)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self.nodes:
            node.kill()
        if self._known is not None:
            self._known.kill()
            self._known.wait()
        self._stack.close()

    def _write_files(self) -> None:
        server = certificates.new_server(self.fleet.issuing, ["localhost", "127.0.0.1"], now_s=time.time(), days=30)
        for name, content in (
            ("ca.pem", self.fleet.trust_pem),
            ("broker.crt", server.certificate_pem + self.fleet.issuing.certificate_pem),
            ("broker.key", server.key_pem),
            (".erlang.cookie", b"EDGE" * 5),
        ):
            (self._inside / name).write_bytes(content)
        (self._inside / ".erlang.cookie").chmod(0o400)
        (self._inside / "plugins").write_text("[rabbitmq_mqtt].\n")

    def _node(self, name: str, names: list[str]) -> Node:
        short = name.partition("@")[0]
        folder = self._inside / short
        folder.mkdir()
        mqtt_port = free_port()
        text = (CONFIG / "rabbitmq.conf").read_text()
        text = text.replace("/etc/rabbitmq/edge/", f"{HERE}/")
        text = text.replace("ssl.default = 8883", f"ssl.default = 127.0.0.1:{mqtt_port}")
        text = re.sub(r"^cluster_formation\.classic_config\.nodes.*\n", "", text, flags=re.MULTILINE)
        for number, one in enumerate(names, 1):
            text += f"cluster_formation.classic_config.nodes.{number} = {one}\n"
        (folder / "rabbitmq.conf").write_text(text + "log.console = true\n")
        inside = f"{HERE}/{short}"
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": HERE,
            "ERL_EPMD_PORT": str(self._epmd),
            "RABBITMQ_NODENAME": name,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{inside}/mnesia",
            "RABBITMQ_LOG_BASE": f"{inside}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{HERE}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq.conf",
            "RABBITMQ_PID_FILE": f"{inside}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2",
        }
        return Node(name=name, mqtt_port=mqtt_port, folder=folder, tree=self._tree, environment=environment)

    def control(self, *words: str) -> str:
        """`rabbitmqctl` on the first node that runs; its output."""
        node = next(one for one in self.nodes if one.process is not None)
        done = subprocess.run(
            ["chroot", str(self._tree), f"{PROGRAMS}/rabbitmqctl", "-n", node.name, "-q", *words],
            env=node.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    def permit(self, names: list[str]) -> None:
        """Make the users of these names, with what the shipped ACL lets them do."""
        made = subprocess.run(
            [sys.executable, str(ROOT / "tools" / "rabbitmq-definitions"), str(CONFIG / "acl")],
            input="\n".join(names).encode(), capture_output=True, check=True,
        )  # fmt: skip
        (self._inside / "definitions.json").write_bytes(made.stdout)
        self.control("import_definitions", f"{HERE}/definitions.json")

    def revoke(self, name: str) -> None:
        """What docs/fleet.md has for it: no user, no connection, no session."""
        self.control("delete_user", name)
        self.control("close_all_user_connections", name, "revoked")
        queues = self.control("list_queues", "name").split()
        for queue in queues:
            if re.fullmatch(rf"mqtt-(subscription|will)-{name}(qos[01])?", queue):
                self.control("delete_queue", queue)

    def settings(self, name: str, holder: Holder, *, port: int = 0) -> BrokerSettings:
        """How the holder of a certificate reaches the first node, or whoever listens at `port`."""
        for suffix, content in (("crt", holder.certificate_pem), ("key", holder.key_pem)):
            path = self.folder / f"client-{name}.{suffix}"
            path.write_bytes(content)
            path.chmod(0o600)
        (self.folder / "ca.pem").write_bytes(self.fleet.trust_pem)
        return BrokerSettings(
            host="127.0.0.1",
            port=port or self.nodes[0].mqtt_port,
            ca=self.folder / "ca.pem",
            certificate=self.folder / f"client-{name}.crt",
            key=self.folder / f"client-{name}.key",
        )

    def client(self, name: str, *, unit: str = "device", port: int = 0) -> BrokerSettings:
        """The settings of a client with a fresh certificate of the issuing CA."""
        holder = certificates.new_client(self.fleet.issuing, name, unit=unit, now_s=time.time(), days=1)
        return self.settings(name, holder, port=port)
