"""What leaves the box is what the contract says, byte for byte."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge_scanner.core import messages
from edge_scanner.core.health import LIFE_S, Health, HealthLight, Light, to_message
from edge_scanner.core.messages import AuditAction, AuditEntry, Birth, Calibration, Sender
from edge_scanner.core.model import (
    BootRecord,
    ClockQuality,
    Link,
    Message,
    MessageKind,
    Report,
)
from edge_scanner.core.pull import answer
from tests.support import schema_check

NOW = 1_795_507_803.75
SENDER = Sender(device="K7MP2R9CX4", site="ben-xe-mien-dong-3", boot=12)
REPORT = Report(
    ledger="broker",
    bin_start_s=1_795_503_600,
    bin_s=3600,
    minutes_covered=60,
    epsilon=0.25,
    scale=264.0,
    figures={"nearby": 2442, "bluezone": 1843, "gaen": -12},
)
LINK = Link(seq=411, digest=bytes(range(32)))
BIRTH = Birth(software="0.1.0", clock=ClockQuality.NTP, settings_digest=b"\1" * 32, key_digest=b"\2" * 32)
HEALTH = Health(
    at_s=NOW,
    uptime_s=2100.5,
    lights={"radio": HealthLight(light=Light.OK), "storage": HealthLight(light=Light.WARN, code="STO-01")},
    recoveries={"scanner": 1},
    outbox_rows=2,
    outbox_dropped_total=0,
    pubacks={"accepted": 9},
    last_contact_s=None,
    certificate_expires_s=1_829_779_200.0,
    recipients_expire_s=1_797_926_400.0,
    oldest_record_s=1_794_297_600.0,
    retention_days=14,
    loop_lag_ms=1.44,
    rss_mb=41.27,
)
AUDIT = AuditEntry(
    number=3,
    action=AuditAction.REFUSAL,
    authority="authority-hcm",
    case="HCM-2026-0417",
    request=b"\3" * 32,
    code="too_wide",
    from_s=1_795_420_800.0,
    to_s=1_795_593_600.0,
    head=b"\4" * 32,
)
NOTE = "edge-scanner/K7MP2R9CX4\n411\nAAAA\n\n\u2014 edge-scanner/K7MP2R9CX4 AAAA\n"


def _counts(**changes: Any) -> Message:
    options: dict[str, Any] = {"sender": SENDER, "link": LINK, "clock": ClockQuality.NTP, "created_s": NOW, **changes}
    return messages.counts(options.pop("report", REPORT), **options)


REPORTED = [kind for kind in MessageKind if kind not in {MessageKind.PULL, MessageKind.ENROL}]
"""What a box says about itself; a pull has its own formats."""
EVERY = {
    "counts": _counts(),
    "counts before the first frame": _counts(link=None),
    "counts with tracing figures": _counts(report=replace(REPORT, tracing_scale=264.0)),
    "counts with people": _counts(
        calibration=Calibration(people_per_device=1.3, low=1.1, high=1.6, measured_s=1_794_000_000.0)
    ),
    "health": to_message(HEALTH, sender=SENDER, seq=7),
    "status": messages.status(BIRTH, sender=SENDER, seq=1, created_s=NOW),
    "will": messages.will(sender=SENDER, created_s=NOW),
    "checkpoint": messages.checkpoint(NOTE, sender=SENDER, segments=411, created_s=NOW),
    "audit": messages.audit(AUDIT, sender=SENDER, created_s=NOW),
    "boot": messages.boot(BootRecord(number=12, record=b"\0\xff" * 60), sender=SENDER, created_s=NOW),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_message_keeps_the_contract(name: str) -> None:
    """Topic and payload follow the AsyncAPI document and its schema, with no field that the schema does not name."""
    message = EVERY[name]

    body = schema_check.validate(message.topic, message.payload)

    assert message.topic == f"edge-scanner/v1/d/K7MP2R9CX4/up/{message.kind}"
    assert body["key"] == message.key
    assert body["kind"] == message.kind
    assert body.get("expires") == (None if message.expires_s is None else int(message.expires_s))


@pytest.mark.parametrize("name", EVERY)
def test_payload_is_canonical(name: str) -> None:
    """Sorted keys, no spaces, UTF-8 as it is, and within the size that every broker takes."""
    payload = EVERY[name].payload

    again = json.dumps(json.loads(payload), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    assert payload == again
    assert len(payload) < messages.MAX_PAYLOAD_BYTES / 8


@pytest.mark.parametrize("name", EVERY)
def test_delivery_is_as_the_document_says(name: str) -> None:
    """QoS, retain and expiry of each message equal the operation's MQTT binding."""
    message = EVERY[name]

    binding = schema_check.asyncapi()["operations"][f"send_{message.kind}"]["bindings"]["mqtt"]

    assert (message.qos, message.retain) == (binding["qos"], binding["retain"])
    life = None if message.expires_s is None else message.expires_s - message.created_s
    assert life == binding.get("messageExpiryInterval")


def test_counts_byte_for_byte() -> None:
    """One counts message, written out by hand."""
    expected = (
        b'{"at":1795507803,"bin_s":3600,"bin_start":1795503600,"boot":12,"clock":"ntp","device":"K7MP2R9CX4",'
        b'"epsilon":0.25,"expires":1796717403,"figures":{"bluezone":1843,"gaen":-12,"nearby":2442},'
        b'"key":"K7MP2R9CX4/counts/broker/1795503600","kind":"counts","ledger":"broker",'
        b'"link":{"link":"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f","segment":411},'
        b'"minutes_covered":60,"parts":1,"scale":264.0,"site":"ben-xe-mien-dong-3","v":1}'
    )

    assert _counts().payload == expected


def test_keys_tell_messages_apart() -> None:
    """No two of these messages share a key, except the one bin that was said four ways."""
    keys = [message.key for message in EVERY.values()]

    assert len(set(keys)) == len(keys) - 3


def test_same_bin_has_the_same_key_in_every_run() -> None:
    """The key of counts names device, ledger and bin, so a collector that saw it keeps the first."""
    later = Sender(device=SENDER.device, site=SENDER.site, boot=13)

    assert _counts(sender=later, created_s=NOW + 60).key == _counts().key


def test_checkpoints_of_two_runs_have_two_keys() -> None:
    """A new run repeats the last statement with another time, which is another payload and needs another key."""
    later = Sender(device=SENDER.device, site=SENDER.site, boot=13)

    repeated = messages.checkpoint(NOTE, sender=later, segments=411, created_s=NOW)

    assert repeated.key != EVERY["checkpoint"].key


def test_certificate_and_audit_head_in_the_birth() -> None:
    """What a box knows about itself is in the birth."""
    birth = Birth(
        software="0.1.0",
        clock=ClockQuality.NONE,
        settings_digest=b"\1" * 32,
        key_digest=b"\2" * 32,
        certificate_expires_s=1_829_779_200.9,
        audit_head=b"\5" * 32,
    )

    message = messages.status(birth, sender=SENDER, seq=2, created_s=NOW)
    body = schema_check.validate(message.topic, message.payload)

    assert (body["certificate_expires"], body["audit_head"], body["clock"]) == (1_829_779_200, "05" * 32, "none")


def test_note_travels_unchanged() -> None:
    """A checkpoint's signature covers its bytes, so they come out of the JSON as they went in."""
    assert json.loads(EVERY["checkpoint"].payload)["note"] == NOTE


def test_oversized_message_is_our_bug() -> None:
    """A message beyond the bound is never made."""
    figures = {f"figure_{number}": number for number in range(1000)}
    report = Report(
        ledger="broker", bin_start_s=0, bin_s=60, minutes_covered=1, epsilon=1.0, scale=66.0, figures=figures
    )

    with pytest.raises(ValueError, match="exceeds 8192"):
        _counts(report=report)


def test_no_number_that_json_lacks() -> None:
    """NaN is not JSON; it is refused instead of written."""
    report = Report(
        ledger="broker", bin_start_s=0, bin_s=60, minutes_covered=1, epsilon=float("nan"), scale=66.0, figures={}
    )

    with pytest.raises(ValueError, match="not JSON compliant"):
        _counts(report=report)


@pytest.mark.parametrize("name", EVERY)
def test_reader_accepts_unknown_fields(name: str) -> None:
    """A version 1 reader passes over what a later box adds, at the top and inside; our own strict check sees it."""
    message = EVERY[name]
    body = {**json.loads(message.payload), "invented_later": {"deep": 1}}
    payload = json.dumps(body).encode()

    schema_check.validate(message.topic, payload, strict=False)

    with pytest.raises(AssertionError, match="invented_later"):
        schema_check.validate(message.topic, payload)


@pytest.mark.parametrize("name", EVERY)
def test_schema_misses_nothing_required(name: str) -> None:
    """Each required field is really required: without it the message is refused."""
    message = EVERY[name]
    schema = schema_check.schemas()[f"{message.kind}.schema.json"]
    envelope = schema_check.schemas()["envelope.schema.json"]

    for field in [*schema["required"], *envelope["required"]]:
        body = json.loads(message.payload)
        del body[field]
        with pytest.raises((AssertionError, KeyError)):
            schema_check.validate(message.topic, json.dumps(body).encode(), strict=False)


@pytest.mark.parametrize("kind", REPORTED)
def test_schema_examples_hold(kind: MessageKind) -> None:
    """Every kind has a schema that is one itself, with examples that follow it strictly."""
    schema = schema_check.schemas()[f"{kind}.schema.json"]

    Draft202012Validator.check_schema(schema)

    assert schema["examples"]
    for example in schema["examples"]:
        schema_check.validate(messages.topic(example["device"], kind), json.dumps(example).encode())


def test_examples_without_an_envelope_hold() -> None:
    """What is no report of a box has examples, too, that the whole contract holds for."""
    others = {name: schema for name, schema in schema_check.schemas().items() if "allOf" not in schema}
    del others["envelope.schema.json"]

    assert others
    for name, schema in others.items():
        strict = Draft202012Validator(schema_check.closed(schema), registry=schema_check.registry())
        assert schema["examples"], name
        for example in schema["examples"]:
            assert strict.is_valid(example), name
            assert not strict.is_valid({**example, "device": "K7MP2R9CX4"}), name


def test_every_reference_of_the_document_resolves() -> None:
    """Each $ref of the AsyncAPI document leads to something in it, or to a schema file beside it."""
    document = schema_check.asyncapi()

    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = references(document)

    assert len(found) > 30
    for reference in found:
        file, _, pointer = reference.partition("#")
        target: Any = schema_check.schemas()[file] if file else document
        for step in filter(None, pointer.split("/")):
            target = target[step]
        assert target


def test_document_covers_every_kind() -> None:
    """AsyncAPI 3 with a channel, an operation and a message for every kind; every address parameter is declared."""
    document = schema_check.asyncapi()

    assert document["asyncapi"].startswith("3.")
    assert {str(kind) for kind in REPORTED} <= set(document["channels"])
    for name, channel in document["channels"].items():
        named = {part[1:-1] for part in channel["address"].split("/") if part.startswith("{")}
        assert named == set(channel["parameters"]), name
        assert any(operation["channel"]["$ref"].endswith(f"/{name}") for operation in document["operations"].values())


def test_pull_topics_are_in_the_document() -> None:
    """The topics of a pull are channels of the document; what is opaque to the broker is not looked into."""
    told = {
        answer.request_topic("K7MP2R9CX4"): "pull_request",
        answer.answer_topic("authority-hcm", "K7MP2R9CX4"): "pull_answer",
        answer.piece_topic("authority-hcm", "K7MP2R9CX4"): "pull_piece",
    }

    assert {topic: schema_check.channel_of(topic) for topic in told} == told
    assert schema_check.validate(answer.piece_topic("authority-hcm", "K7MP2R9CX4"), b"\0\xff") == {}


def test_topic_without_a_channel_is_found_out() -> None:
    """The check that later tests lean on does fail: for a topic nobody described, a wrong device, a wrong value."""
    message = EVERY["counts"]
    body = json.loads(message.payload)

    for topic, payload in (
        ("edge-scanner/v1/d/K7MP2R9CX4/up/rumours", message.payload),
        ("edge-scanner/v1/d/AAAAAAAAAA/up/counts", message.payload),
        (message.topic, json.dumps({**body, "v": 2}).encode()),
        (message.topic, json.dumps({**body, "figures": {"02:11:22:33:44:55": 1}}).encode()),
        (message.topic, json.dumps({**body, "link": {**body["link"], "address": 1}}).encode()),
    ):
        with pytest.raises(AssertionError):
            schema_check.validate(topic, payload)


def test_health_says_what_the_box_says() -> None:
    """Each figure is the one that was handed over, times in whole seconds, milliseconds and megabytes to a tenth."""
    message = to_message(HEALTH, sender=SENDER, seq=7)
    body = json.loads(message.payload)

    assert (message.kind, message.qos, message.expires_s) == (MessageKind.HEALTH, 0, NOW + LIFE_S)
    assert {
        "seq": 7,
        "uptime_s": 2100,
        "lights": {"radio": {"light": "ok", "code": ""}, "storage": {"light": "warn", "code": "STO-01"}},
        "recoveries": {"scanner": 1},
        "outbox_rows": 2,
        "outbox_dropped_total": 0,
        "pubacks": {"accepted": 9},
        "last_contact": None,
        "certificate_expires": 1_829_779_200,
        "recipients_expire": 1_797_926_400,
        "oldest_record": 1_794_297_600,
        "retention_days": 14,
        "loop_lag_ms": 1.4,
        "rss_mb": 41.3,
        "key": "K7MP2R9CX4/health/12/7",
    }.items() <= body.items()
