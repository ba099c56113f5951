"""The compose file: what it names is there, and no container may do more than it needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped] # it has no hints of its own

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "packaging" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
CONTAINERFILE = (ROOT / "packaging" / "Containerfile").read_text()
OWN = {"./central", "./broker", "./queue"}
"""Folders that the guide has an operator fill."""


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_container_may_do_what_it_needs(name: str) -> None:
    """No service gains rights; all but the database, which sets its folder's owner, have none and a read-only root."""
    service = COMPOSE["services"][name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    if name != "database":
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "build" in service or int(service["user"].partition(":")[0]), "root without capabilities becomes nobody"
    assert re.search(r":[\w.]+$", service["image"]) or service["image"].startswith("localhost/")


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_what_a_service_names_is_there(name: str) -> None:
    """Files of the repository, secrets, volumes, networks, and the image's stage."""
    service = COMPOSE["services"][name]
    for mount in service.get("volumes", ()):
        source = mount.split(":")[0]
        assert source in COMPOSE["volumes"] or source in OWN or (FOLDER / source).is_file(), mount
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    if build := service.get("build"):
        assert (FOLDER / build["context"] / build["dockerfile"]).samefile(ROOT / "packaging" / "Containerfile")
        assert f" AS {build['target']}\n" in CONTAINERFILE


def test_only_what_is_meant_for_others_is_reached_from_outside() -> None:
    """The broker and the page by their own TLS; Grafana on this machine; the database nowhere."""
    ports = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert ports == {"broker": ["8883:8883"], "serve": ["8090:8090"], "grafana": ["127.0.0.1:3000:3000"]}
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert COMPOSE["services"]["database"]["networks"] == ["inside"]


def test_no_secret_stands_in_a_file_of_the_repository() -> None:
    """Each is a file that the operator makes, and git ignores the folders that they lie in."""
    text = (FOLDER / "compose.yaml").read_text()
    ignored = (FOLDER / ".gitignore").read_text().split()
    assert set(ignored) == {"/broker/", "/central/", "/queue/", "/secrets/"}
    assert all(secret["file"].startswith("./secrets/") for secret in COMPOSE["secrets"].values())
    assert not re.search(r"PASSWORD: ", text)


def test_an_image_holds_the_lock_and_no_root() -> None:
    """Every installation is by hash or of our own wheel, and both images end as an ordinary user."""
    installs = re.findall(r"pip install (.*)", CONTAINERFILE.replace("\\\n", ""))
    assert installs
    assert all("--require-hashes" in line or "--no-index /wheel" in line for line in installs)
    for stage in re.split(r"^FROM ", CONTAINERFILE, flags=re.MULTILINE):
        if stage.startswith(("base AS centre", "base AS laptop")):
            assert "USER 10001:10001" in stage
