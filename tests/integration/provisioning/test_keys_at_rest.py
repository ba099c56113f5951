"""Keys of fleets and batches: what guessing costs, whose passphrase opens what, and a token instead of files."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from edge_scanner import passphrases
from edge_scanner.core.errors import BadDataError, ConfigurationError, RefusedError
from edge_scanner.device.enrolment.card_client import CardLink
from edge_scanner.device.enrolment.steps import enrol, report
from provisioning.bench import card
from provisioning.fleet import commands, revoke
from provisioning.fleet.fleet import Endpoint, new_fleet, open_fleet
from provisioning.hsm import Token
from provisioning.inventory import State, open_inventory
from provisioning.vault import Ring
from tests.support.dialogue import Dialogue
from tests.support.fleet import BATCH_PASSPHRASE, PASSPHRASE, Workshop, box_in, make_batch, open_bench, workshop
from tests.support.installed import program
from tests.support.provision_cli import root_words
from tests.support.recipients import parties

PROVISION = [sys.executable, "-m", "provisioning.cli"]
ROOT = Path(__file__).parents[3]
BATCH = "EDGE_PROVISION_BATCH_PASSPHRASE"
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
WORDS = ("--hotline", "1", "--label-address", "HTTPS://Q.HCM.TEST/D/")
WHERE = Endpoint(host="mqtt.example.vn", port=8883)


def _costly(content: bytes) -> bool:
    """Whether a guess costs an Argon2id run with 64 MB, three passes."""
    document = json.loads(content)
    return bool(document["format"] == "edge-scanner/fleet-key/1" and document["memory_kib"] >= 65536) and (
        document["iterations"] >= 3
    )


def test_every_key_at_rest_costs_memory_to_guess(tmp_path: Path) -> None:
    """The fleet's three keys and the batch's three; no file of either holds a key in the clear or under PBKDF2."""
    shop = workshop(tmp_path, costly=True)
    keys = [path.read_bytes() for path in shop.fleet.folder.rglob("*.key")]
    with zipfile.ZipFile(shop.batch.path) as archive:
        keys += [archive.read(name) for name in ("batch-ca.key", "bench.key", "enrol.secret")]
        everything = b"".join(archive.read(name) for name in archive.namelist())
    everything += b"".join(path.read_bytes() for path in shop.fleet.folder.rglob("*") if path.is_file())

    assert [_costly(key) for key in keys] == [True] * 6
    assert b"PRIVATE KEY" not in everything
    assert shop.batch.enrol_secret.hex().encode() not in everything


def test_the_fleet_s_passphrase_does_not_open_a_batch(tmp_path: Path) -> None:
    """Nor the batch's the fleet; a file cannot be passed off as another."""
    shop = workshop(tmp_path)
    with zipfile.ZipFile(shop.batch.path) as archive:
        bench, ca = archive.read("bench.key"), archive.read("batch-ca.key")

    with pytest.raises(RefusedError):
        Ring(PASSPHRASE).open(bench, "B-014 bench")
    with pytest.raises(RefusedError):
        open_fleet(shop.fleet.folder, BATCH_PASSPHRASE)
    with pytest.raises(BadDataError):
        Ring(BATCH_PASSPHRASE).open(ca, "B-014 bench")
    renamed = ca.replace(b"B-014 CA", b"B-014 bench")
    with pytest.raises(RefusedError):
        Ring(BATCH_PASSPHRASE).open(renamed, "B-014 bench")


@pytest.mark.parametrize("text", ["", "a", "elevenchars", "aaaaaaaaaaaaaaaa", "abcabcabcabcabc"])
def test_a_weak_passphrase_is_refused(tmp_path: Path, text: str) -> None:
    """Fewer than twelve characters, or hardly any different ones; nothing is written."""
    with pytest.raises(BadDataError, match="12 characters"):
        passphrases.check(text)
    with pytest.raises(BadDataError):
        new_fleet(tmp_path / "fleet", name="thu", broker=WHERE, enrol=WHERE, passphrase=text, now_s=time.time())
    assert not (tmp_path / "fleet").exists()


@pytest.mark.parametrize("name", ['hcm"', "hcm\n", "", "H C M"])
def test_a_fleet_s_name_can_be_read_back(tmp_path: Path, name: str) -> None:
    """A name that fleet.toml could not hold makes no fleet."""
    with pytest.raises(ConfigurationError):
        new_fleet(tmp_path / "fleet", name=name, broker=WHERE, enrol=WHERE, passphrase=PASSPHRASE, now_s=time.time())


def test_a_passphrase_is_asked_twice(tmp_path: Path) -> None:
    """A weak one is asked again, and so is one that was typed in two ways."""
    fleet = tmp_path / "fleet"
    command = [*PROVISION, "fleet", "new", "thu", "--broker", "mqtt.example.vn", "--fleet", str(fleet), *WORDS]
    with Dialogue(command, {"EDGE_PROVISION_PASSPHRASE": "", "PYTHONPATH": str(ROOT)}) as typed:
        typed.answer("of the fleet: ", text="a")
        typed.answer("12 characters", "of the fleet: ", text=PASSPHRASE)
        typed.answer("Repeat: ", text="mat-khau-thy")
        typed.answer("not the same", "of the fleet: ", text=PASSPHRASE)
        typed.answer("Repeat: ", text=PASSPHRASE)
        assert typed.end() == 0
    assert open_fleet(fleet, PASSPHRASE).name == "thu"


def _run(*command: str | Path, expect: int = 0, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [*PROVISION, *map(str, command)],
        capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"} | (environment or {}),
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_batch_has_a_passphrase_of_its_own(tmp_path: Path) -> None:
    """The fleet's is refused for it, however it is given; a file and the environment are two ways to give one."""
    who, fleet = parties(time.time()), tmp_path / "fleet"
    for name, content in (("a", who.root_pem), ("c", who.custodian_pem), ("r", who.document)):
        (tmp_path / name).write_bytes(content)
    (tmp_path / "sites.csv").write_text("site,room,name_vi,name_en\nok,,A,\n")
    (tmp_path / "secret").write_text(f"{PASSPHRASE}\n")
    (tmp_path / "batch-secret").write_text(f"{BATCH_PASSPHRASE}\n")
    _run("fleet", "new", "thu", "--broker", "h", "--fleet", fleet, "--passphrase-file", tmp_path / "secret", *WORDS)
    command: tuple[str | Path, ...] = (
        "batch", "new", "B-1", "--sites", tmp_path / "sites.csv", "--count", "1", "--authority-root", tmp_path / "a",
        "--custodian-root", tmp_path / "c", "--recipients", tmp_path / "r", "--fleet", fleet,
        "--out", tmp_path / "b.zip", "--passphrase-file", tmp_path / "secret",
        *root_words(tmp_path / "a", tmp_path / "c"),
    )  # fmt: skip

    _run(*command, expect=65, environment={BATCH: PASSPHRASE})
    _run(*command, expect=65, environment={BATCH: "short"})
    assert not (tmp_path / "b.zip").exists()
    _run(*command, "--batch-passphrase-file", tmp_path / "batch-secret")
    show = ("bench", "show", tmp_path / "b.zip", "--home", tmp_path / "laptop")
    _run(*show, expect=77, environment={BATCH: PASSPHRASE})
    _run(*show, "--passphrase-file", tmp_path / "batch-secret")


def test_the_fleet_s_passphrase_is_changed(tmp_path: Path) -> None:
    """All three keys or, with a wrong old one, none."""
    shop = workshop(tmp_path)
    folder, new = shop.fleet.folder, "mot-mat-khau-moi"
    before = {path: path.read_bytes() for path in folder.rglob("*.key")}
    change = ("fleet", "passphrase", "--fleet", folder)

    wrong = {"EDGE_PROVISION_PASSPHRASE": "sai-sai-sai-sai", "EDGE_PROVISION_NEW_PASSPHRASE": new}
    _run(*change, expect=77, environment=wrong)
    assert {path: path.read_bytes() for path in folder.rglob("*.key")} == before
    told = _run(*change, environment={**wrong, "EDGE_PROVISION_PASSPHRASE": PASSPHRASE})
    assert told.count("sealed anew") == len(before)
    assert open_fleet(folder, new).signer.private_bytes_raw() == shop.fleet.signer.private_bytes_raw()
    with pytest.raises(RefusedError):
        open_fleet(folder, PASSPHRASE)


@pytest.mark.parametrize("name", ["coll_2", "a.b", "a b", "", "x" * 65, "a/b", "#"])
def test_a_name_that_could_not_be_revoked_is_not_issued(tmp_path: Path, name: str) -> None:
    """Neither a certificate nor an entry in the inventory; the revocation list can still be written."""
    shop = workshop(tmp_path)

    with pytest.raises(ConfigurationError, match="could not be revoked"):
        commands.issue(shop.fleet, name, unit="client", hosts=(), target=tmp_path / "out")

    assert not (tmp_path / "out").exists()
    with open_inventory(shop.fleet.inventory) as inventory:
        assert inventory.newest_certificate(name) is None
        inventory.revoke(name, "lost", now_s=time.time())
        (tmp_path / "acl").write_text(f"{revoke.MARK} ----\n")
        revoke.write_lists(shop.fleet, inventory, tmp_path, now_s=time.time())


def test_a_name_that_is_issued_is_revoked(tmp_path: Path) -> None:
    """The longest one that is allowed, too: the list names its certificate, the ACL silences it."""
    shop, name = workshop(tmp_path), "a-9" + "Z" * 61
    commands.issue(shop.fleet, name, unit="client", hosts=(), target=tmp_path / "out")
    (tmp_path / "acl").write_text(f"{revoke.MARK} ----\n")
    with open_inventory(shop.fleet.inventory) as inventory:
        assert inventory.revoke(name, "lost", now_s=time.time()) == 1
        revoke.write_lists(shop.fleet, inventory, tmp_path, now_s=time.time())

    assert f"user {name}\ntopic deny #\n" in (tmp_path / "acl").read_text()
    assert revoke.look(tmp_path, now_s=time.time()).revoked == 1


def _card(place: Workshop, target: Path) -> Path:
    """A card's folder, written while its batch was open."""
    (target.parent / "edge-scanner_1_arm64.deb").write_bytes(b"a package")
    shop = make_batch(place.folder, place.fleet, name="B-015", software=(target.parent / "edge-scanner_1_arm64.deb",))
    with open_inventory(target.parent / "laptop.db") as inventory:
        card.write_card(shop.batch, inventory, target, signer=place.fleet.signer.public_key(), now_s=time.time())
    return target / card.FOLDER


@pytest.mark.parametrize("whose", ["bench", "box", "box with a card"])
def test_a_manifest_of_an_ended_batch_installs_nothing(tmp_path: Path, whose: str) -> None:
    """By the bench's clock or by the box's own: no key of a broker or an authority, no name, no certificate."""
    place, later_s = workshop(tmp_path), 91 * 86400.0
    box = box_in(tmp_path / "box")
    if whose != "bench":
        box.now = lambda: time.time() + later_s
    with open_bench(place, clock_off_s=later_s if whose == "bench" else 0.0) as bench:
        link = CardLink(_card(place, tmp_path / "boot")) if whose == "box with a card" else bench.link
        steps = enrol(box, link)

    assert (steps[-1].name, steps[-1].code) == ("clock", "PRV-10")
    assert {path.name for path in box.state.iterdir()} == {"manifest.json"}
    assert {path.name for path in box.etc.iterdir()} == {"fleet.pub", "enrol.secret"}


def test_a_bench_whose_batch_was_ended_names_nobody(tmp_path: Path) -> None:
    """Once it has heard so from headquarters; a box that it named before may still come back and report."""
    place = workshop(tmp_path)
    with open_bench(place) as bench:
        first = box_in(tmp_path / "first")
        enrol(first, bench.link)
        with open_inventory(bench.inventory) as inventory:
            inventory.end_batch("B-014", now_s=time.time())

        steps = enrol(box_in(tmp_path / "second", serial="other"), bench.link)
        assert (steps[-1].name, steps[-1].code) == ("name", "PRV-10")
        report(first, bench.link, steps)
        with open_inventory(bench.inventory) as inventory:
            assert [row.state for row in inventory.boxes()].count(State.ENROLLED) == 1


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Token:
    """A SoftHSM token of its own."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    command = [
        program("softhsm2-util"),
        "--init-token",
        "--free",
        "--label",
        "hq",
        "--so-pin",
        "12345678",
        "--pin",
        PASSPHRASE,
    ]
    subprocess.run(command, check=True, capture_output=True)
    return Token(module=SOFTHSM, label="hq")


def test_headquarters_keys_in_a_token(token: Token, tmp_path: Path) -> None:
    """Fleet, batch, certificate, revocation list and a box's first day, both keys inside; no other PIN opens."""
    folder = tmp_path / "fleet"
    script = tmp_path / "day.py"
    script.write_text(_DAY.format(folder=str(folder), tmp=str(tmp_path), passphrase=PASSPHRASE, batch=BATCH_PASSPHRASE))
    # A process of its own: a PKCS #11 library is initialised once in each.
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "SOFTHSM2_CONF": str(tmp_path / "softhsm2.conf"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.rglob("*.key")} == {"root.key"}
    root = x509.load_pem_x509_certificate((folder / "root.crt").read_bytes())
    issuing = x509.load_pem_x509_certificate((folder / "issuing.crt").read_bytes())
    issuing.verify_directly_issued_by(root)
    x509.load_pem_x509_certificate((tmp_path / "out" / "fleet-tail.crt").read_bytes()).verify_directly_issued_by(
        issuing
    )
    crl = x509.load_pem_x509_crl((tmp_path / "crl.pem").read_bytes())
    public = issuing.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(public)
    with pytest.raises(RefusedError):
        token.open("sai-sai-sai-sai")


_DAY = '''
"""Headquarters' day with a token, as a process of its own."""
import sys, time
from pathlib import Path
from edge_scanner.core.errors import RefusedError
from edge_scanner.device.enrolment.steps import enrol
from provisioning.fleet import commands, revoke
from provisioning.fleet.fleet import Endpoint, new_fleet, open_fleet
from provisioning.hsm import Token
from provisioning.inventory import open_inventory
from tests.support.fleet import Workshop, box_in, make_batch, open_bench

folder, tmp = Path({folder!r}), Path({tmp!r})
here = Endpoint(host="mqtt.example.vn", port=8883)
token = Token(module=Path("/usr/lib/softhsm/libsofthsm2.so"), label="hq")
made = new_fleet(folder, name="thu", broker=here, enrol=here, passphrase={passphrase!r}, now_s=time.time(), token=token)
for secret in (made.issuing.key.private_bytes, made.signer.private_bytes_raw):
    try:
        secret()
    except RefusedError:
        continue
    sys.exit("a key left the token")
fleet = open_fleet(folder, {passphrase!r})
commands.issue(fleet, "fleet-tail", unit="client", hosts=(), target=tmp / "out")
(tmp / "acl").write_text(revoke.MARK + " ----\\n")
with open_inventory(fleet.inventory) as inventory:
    inventory.revoke("fleet-tail", "lost", now_s=time.time())
    revoke.write_lists(fleet, inventory, tmp, now_s=time.time())
place = make_batch(tmp, fleet)
with open_bench(place) as bench:
    steps = enrol(box_in(tmp / "box"), bench.link)
assert {{step.verdict for step in steps}} == {{"PASS"}}, steps
'''
