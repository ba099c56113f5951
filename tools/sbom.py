"""The package's bill of materials, as CycloneDX 1.6: which wheels and which files of others the .deb carries.

Made by tools/make-deb from the wheels that it has just unpacked, so the list cannot differ from the package; it is
bound to the package by its SHA-256. One component a wheel: the package has wheels for two Pythons, and a hash belongs
to a file. The same commit gives the same bytes. It beat the generators that read an environment: those list what is
installed on the builder's machine. What depends on what is not said, because a flat list is what a search for an
advisory reads.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
import zipfile
from email.parser import Parser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VENDORED = {
    "uplot": {"version": "1.6.32", "purl": "pkg:npm/uplot@1.6.32", "licence": "MIT"},
    "be-vietnam-pro": {
        "version": "5.3.0",
        "purl": "pkg:npm/%40fontsource/be-vietnam-pro@5.3.0",
        "licence": "OFL-1.1",
    },
}
"""Files of others in the `vendor` folder of the pages, by how their names begin."""


def bill(package: Path, *, version: str, wheels: Iterable[Path], vendored: Path, made_s: int) -> str:
    """The document for `package`; `vendored` is the folder of the pages' foreign files, `made_s` the commit's time."""
    components = [wheel_component(wheel) for wheel in sorted(wheels, key=lambda wheel: wheel.name)]
    components += [
        file_component(file) for file in sorted(vendored.iterdir()) if file.suffix in {".js", ".css", ".woff2"}
    ]
    digest = sha256(package)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.UUID(digest[:32], version=4).urn,
        "version": 1,
        "metadata": {
            "timestamp": dt.datetime.fromtimestamp(made_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": package.name,
                "name": "edge-scanner",
                "version": version,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": [{"alg": "SHA-256", "content": digest}],
                "properties": [{"name": "file", "value": package.name}],
            },
        },
        "components": components,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def wheel_component(wheel: Path) -> dict[str, Any]:
    """A wheel by its own metadata: name, version, licence, and the file's hash."""
    with zipfile.ZipFile(wheel) as archive:
        (place,) = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        said = Parser().parsestr(archive.read(place).decode(), headersonly=True)
    name, version = re.sub(r"[-_.]+", "-", said["Name"]).lower(), said["Version"]
    component = {
        "type": "library",
        "bom-ref": wheel.name,
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name}@{version}?file_name={wheel.name}",
        "hashes": [{"alg": "SHA-256", "content": sha256(wheel)}],
    }
    if expression := said["License-Expression"]:
        component["licenses"] = [{"expression": expression}]
    elif (text := said["License"]) and "\n" not in text.strip():
        component["licenses"] = [{"license": {"name": text.strip()}}]
    return component


def file_component(file: Path) -> dict[str, Any]:
    """A file of others in the kiosk's pages."""
    (name,) = [name for name in VENDORED if file.name.startswith(name)]
    known = VENDORED[name]
    return {
        "type": "library",
        "bom-ref": file.name,
        "name": name,
        "version": known["version"],
        "purl": f"{known['purl']}#{file.name}",
        "licenses": [{"license": {"id": known["licence"]}}],
        "hashes": [{"alg": "SHA-256", "content": sha256(file)}],
    }


def sha256(file: Path) -> str:
    """In hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
