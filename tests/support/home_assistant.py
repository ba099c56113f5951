"""What Home Assistant's MQTT integration documents of a device discovery, as a JSON Schema that allows nothing else.

Written from its pages "MQTT Discovery" and "MQTT Sensor" (home-assistant.io), for the keys that a sensor may have.
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string", "minLength": 1}
_TOPIC = {"type": "string", "pattern": "^[^+#]+$"}
_AVAILABILITY: dict[str, Any] = {
    "availability_topic": _TOPIC,
    "availability_template": _TEXT,
    "payload_available": _TEXT,
    "payload_not_available": _TEXT,
}
SENSOR: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["platform", "unique_id"],
    "properties": {
        **_AVAILABILITY,
        "platform": {"enum": ["sensor", "binary_sensor"]},
        "unique_id": _TEXT,
        "name": {"type": ["string", "null"]},
        "icon": {"type": "string", "pattern": "^mdi:[a-z-]+$"},
        "state_topic": _TOPIC,
        "value_template": _TEXT,
        "json_attributes_topic": _TOPIC,
        "json_attributes_template": _TEXT,
        "unit_of_measurement": _TEXT,
        "state_class": {"enum": ["measurement", "total", "total_increasing"]},
        "device_class": {"enum": ["enum", "timestamp", "problem", "safety"]},
        "options": {"type": "array", "items": _TEXT, "minItems": 1},
        "entity_category": {"enum": ["diagnostic"]},
        "expire_after": {"type": "integer", "minimum": 0},
        "payload_on": _TEXT,
        "payload_off": _TEXT,
        "enabled_by_default": {"type": "boolean"},
    },
    # An enum has options and neither unit nor class of statistics; a figure with options is an enum.
    "allOf": [
        {
            "if": {"properties": {"device_class": {"const": "enum"}}, "required": ["device_class"]},
            "then": {
                "required": ["options"],
                "properties": {"state_class": False, "unit_of_measurement": False},
            },
            "else": {"properties": {"options": False}},
        }
    ],
}
DEVICE_DISCOVERY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["device", "origin", "components"],
    "properties": {
        **_AVAILABILITY,
        "device": {
            "type": "object",
            "additionalProperties": False,
            "required": ["identifiers"],
            "properties": {
                "identifiers": {"type": "array", "items": _TEXT, "minItems": 1},
                "name": _TEXT,
                "manufacturer": _TEXT,
                "model": _TEXT,
                "serial_number": _TEXT,
                "sw_version": _TEXT,
                "configuration_url": _TEXT,
                "suggested_area": _TEXT,
            },
        },
        "origin": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": _TEXT, "sw_version": _TEXT, "support_url": _TEXT},
        },
        "state_topic": _TOPIC,
        "qos": {"enum": [0, 1, 2]},
        "encoding": _TEXT,
        "components": {"type": "object", "minProperties": 1, "additionalProperties": SENSOR},
    },
}
DISCOVERY_TOPIC = r"[a-zA-Z0-9_-]+/device/[a-zA-Z0-9_-]+/config"
