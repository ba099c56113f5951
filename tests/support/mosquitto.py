"""A private mosquitto for one test: free ports, throw-away certificates, an ACL that can be changed while it runs.

    with Mosquitto(tmp_path, listen="mutual") as broker:
        settings = broker.settings(client="K7MP2R9CX4")

Listeners: `open` (loopback, no name), `password`, `tls` (server certificate only), `mutual` (client certificates whose
name is the user, as in config/broker/mosquitto.conf).
"""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import time
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_scanner.mqtt.brokerlink import BrokerSettings
from tests.support.installed import program
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

Listener = Literal["open", "password", "tls", "mutual"]
READS, RUNS = "Reloading config.", " running\n"
"""What it says when it has answered SIGHUP, and when it takes it: earlier it would die of it."""
SAYS_MORE = "\nlog_type information\nlog_type subscribe\n"
"""What tests wait for: that it has read its lists again, and who has subscribed."""
_DAY = dt.timedelta(days=1)
USER, PASSWORD = "tram", "mat-khau"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A throw-away certificate authority that writes PEM files into `folder`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test {name}")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def write_crl(self, file: Path, *revoked: Certified) -> None:
        """The certificates that are no longer good, in a list that holds for a day."""
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._name)
            .last_update(now - _DAY)
            .next_update(now + _DAY)
        )
        for one in revoked:
            number = x509.load_pem_x509_certificate(one.certificate.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now - _DAY).build()
            builder = builder.add_revoked_certificate(entry)
        file.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        server: bool = False,
        valid_from: dt.timedelta = -_DAY,
        valid_to: dt.timedelta = _DAY,
    ) -> Certified:
        """A certificate for `name`, which may be none, valid between two offsets from now.

        A `server` called localhost is 127.0.0.1, too.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + valid_from)
            .not_valid_after(now + valid_to)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if server:
            names: list[x509.GeneralName] = [x509.DNSName(name)]
            if name == "localhost":
                names.append(x509.IPAddress(IPv4Address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        files = Certified(certificate=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")
        files.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        files.key.chmod(0o600)
        return files


@contextmanager
def settled(log: Path, word: str) -> Iterator[None]:
    """Whatever the block does: go on once the broker with this log has said `word` once more."""
    before = log.read_text().count(word)
    yield
    deadline = time.monotonic() + PATIENCE_S
    while log.read_text().count(word) == before:
        assert time.monotonic() < deadline, f"mosquitto did not say {word!r}:\n{log.read_text()}"
        time.sleep(0.01)


def read_again(log: Path) -> AbstractContextManager[None]:
    """Whatever the block does: go on once the broker with this log has read its lists again; it answers SIGHUP late."""
    return settled(log, READS)


def has_subscriber(log: Path, client: str) -> bool:
    """Whether this client has subscribed to something since the broker with this log was started."""
    return re.search(rf": {client} [012] ", log.read_text()) is not None


class Mosquitto:
    """A broker process of our own; leaving the context ends it.

    `server` changes what `Authority.issue` makes for the broker: its name (localhost) or when it is valid. `config` is
    a whole configuration whose paths and port become this test's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        listen: Listener = "open",
        acl: str | None = None,
        options: str = "",
        server: dict[str, Any] | None = None,
        config: str | None = None,
        start: bool = True,
    ) -> None:
        self._program = program("mosquitto")
        self.folder = folder
        self.port = free_port()
        self.listen = listen
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at_once = start
        self.authority = Authority(folder)
        self._server = {"name": "localhost", **(server or {})}
        self.log = folder / "mosquitto.log"
        self._acl = folder / "acl"
        self._config = folder / "mosquitto.conf"
        self._config.write_text(self._text(acl is not None, options) if config is None else self._shipped(config))
        if acl is not None:
            self.set_acl(acl)

    def _text(self, has_acl: bool, options: str) -> str:
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "log_dest stderr", "log_type all"]
        if os.geteuid() == 0:
            lines.append("user root")
        if self.listen in ("tls", "mutual"):
            server = self.authority.issue(server=True, **self._server)
            lines += [
                f"cafile {self.authority.file}",
                f"certfile {server.certificate}",
                f"keyfile {server.key}",
            ]
        if self.listen == "mutual":
            lines += ["require_certificate true", "use_identity_as_username true"]
        if self.listen == "password":
            secrets = self.folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", secrets, USER, PASSWORD], check=True, capture_output=True)
            (self.folder / "password").write_text(f"{PASSWORD}\n")
            lines.append(f"password_file {secrets}")
        else:
            lines.append("allow_anonymous true" if self.listen in ("open", "tls") else "allow_anonymous false")
        if has_acl:
            lines.append(f"acl_file {self._acl}")
        return "\n".join([*lines, options, ""])

    def _shipped(self, config: str) -> str:
        """A configuration as it is installed, with its paths moved into the test's folder."""
        server = self.authority.issue(server=True, **self._server)
        self.authority.write_crl(self.folder / "crl.pem")
        moved = {
            "/etc/mosquitto/edge/ca.pem": self.authority.file,
            "/etc/mosquitto/edge/broker.crt": server.certificate,
            "/etc/mosquitto/edge/broker.key": server.key,
            "/etc/mosquitto/edge/crl.pem": self.folder / "crl.pem",
            "/etc/mosquitto/edge/acl": self._acl,
            "/var/lib/mosquitto/": f"{self.folder}/",
            "listener 8883": f"listener {self.port} 127.0.0.1",
        }
        for installed, here in moved.items():
            assert installed in config, f"{installed} is not in the configuration"
            config = config.replace(installed, str(here))
        self._acl.write_text("")
        return config + SAYS_MORE + ("user root\n" if os.geteuid() == 0 else "")

    def __enter__(self) -> Self:
        if self._start_at_once:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start, and return when it listens and takes signals."""
        with self.log.open("ab") as log, settled(self.log, RUNS):
            self._process = subprocess.Popen([self._program, "-c", self._config], stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: it says goodbye to its clients."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Kill and start again on the same port."""
        self.kill()
        self.start()

    def set_acl(self, text: str) -> None:
        """Write the ACL and make a running broker read it; returns when it does."""
        self._acl.write_text(text)
        self._acl.chmod(0o600)
        if self._process is not None:
            with read_again(self.log):
                self._process.send_signal(signal.SIGHUP)

    def settings(
        self,
        *,
        client: str | None = None,
        files: Certified | None = None,
        ca: Path | None = None,
        protocol: Literal["auto", "5", "3.1.1"] = "auto",
        host: str = "127.0.0.1",
        port: int | None = None,
    ) -> BrokerSettings:
        """How to reach this broker; `client` is the name in the certificate of a mutual listener."""
        tls = self.listen in ("tls", "mutual")
        if files is None and client is not None and self.listen == "mutual":
            files = self.authority.issue(client)
        return BrokerSettings(
            host=host,
            port=port or self.port,
            tls=tls,
            ca=(ca or self.authority.file) if tls else None,
            certificate=files.certificate if files else None,
            key=files.key if files else None,
            username=USER if self.listen == "password" else "",
            password_file=self.folder / "password" if self.listen == "password" else None,
            protocol=protocol,
        )

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()
            self._process = None
