"""Holds a message to the published contract: the AsyncAPI document says which schema a topic has.

validate(topic, payload)             # what we emit: nothing that the schema does not name
validate(topic, payload, strict=False)   # what a reader of version 1 accepts
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

ENVELOPE = "https://edge-scanner.example/schemas/v1/envelope.schema.json"
FOLDER = resources.files("edge_scanner.schemas")
"""Where the contract is installed."""


@cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document."""
    document: dict[str, Any] = json.loads(FOLDER.joinpath("asyncapi.json").read_text(encoding="utf-8"))
    return document


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """Every message schema by file name."""
    return {
        entry.name: json.loads(entry.read_text(encoding="utf-8"))
        for entry in FOLDER.iterdir()
        if entry.name.endswith(".schema.json")
        and "edge-scanner.example/schemas/v1/" in entry.read_text(encoding="utf-8")
    }


@cache
def registry() -> Registry[Any]:
    """So that schemas find each other without a network."""
    found = [Resource.from_contents(schema) for schema in schemas().values()]
    return Registry().with_resources((str(resource.id()), resource) for resource in found)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema as we hold ourselves to it: readers accept unknown fields, writers emit none, at any depth."""

    def close(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        inner = {name: close(value) for name, value in node.items()}
        return (
            {**inner, "additionalProperties": False} if node.get("type") == "object" and "properties" in node else inner
        )

    properties = {name: close(value) for name, value in schema["properties"].items()}
    own = {name: value for name, value in schema.items() if name != "$id"}
    common = {"allOf": [{"$ref": ENVELOPE}]} if enveloped(schema) else {}
    return {**own, **common, "properties": properties, "unevaluatedProperties": False}


def enveloped(schema: dict[str, Any]) -> bool:
    """Whether the message carries the common envelope: everything that a box reports does."""
    return "allOf" in schema


def channel_of(topic: str) -> str:
    """The one channel whose address `topic` follows; AssertionError if there is none or more than one."""
    found = [
        name
        for name, channel in asyncapi()["channels"].items()
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(channel["address"])), topic)
    ]
    assert len(found) == 1, f"{topic} follows {found or 'no channel'} of the AsyncAPI document"
    return str(found[0])


def validate(topic: str, payload: bytes, *, strict: bool = True) -> dict[str, Any]:
    """The decoded payload, empty where the contract calls it opaque; AssertionError when anything breaks it."""
    message = asyncapi()["components"]["messages"][channel_of(topic)]
    if message["contentType"] != "application/json":
        return {}
    body: dict[str, Any] = json.loads(payload)
    if "payload" in message:
        schema = schemas()[message["payload"]["schema"]["$ref"]]
        validator = Draft202012Validator(closed(schema) if strict else schema, registry=registry())
        problems = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
        assert not problems, f"{topic}: {problems}"
        if enveloped(schema):
            assert topic.split("/")[3] == body["device"], f"{topic} speaks for {body['device']}"
    return body
