"""What Home Assistant is told so that a camera's numbers appear in it by themselves.

Reference:
    Home Assistant, MQTT discovery: https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from argos.publishing.delivery import Message
from argos.version import VERSION

EXPIRES_S = 30
"""A number not told again for so long is unavailable: the camera is lost."""


def discovery(camera: str, zones: Sequence[str], topics: str, discovery_prefix: str) -> list[Message]:
    """Configuration of a sensor for the people of a camera, and of a binary sensor for each zone.

    Args:
        camera: its name.
        zones: their names.
        topics: what its topics begin with, ``argos/door``.
        discovery_prefix: where Home Assistant looks, ``homeassistant``.
    """
    device = {
        "identifiers": [f"argos_{camera}"],
        "name": f"ARGOS {camera}",
        "manufacturer": "ARGOS",
        "model": "camera",
        "sw_version": VERSION,
    }
    common = {"availability_topic": f"{topics}/availability", "expire_after": EXPIRES_S, "device": device}
    people: dict[str, Any] = {
        **common,
        "name": "People",
        "unique_id": f"argos_{camera}_people",
        "state_topic": f"{topics}/people",
        "unit_of_measurement": "people",
        "state_class": "measurement",
        "icon": "mdi:account-multiple",
    }
    messages = [_message(f"{discovery_prefix}/sensor/argos_{camera}/people/config", people)]
    for zone in zones:
        occupied = {
            **common,
            "name": f"{zone} occupied",
            "unique_id": f"argos_{camera}_zone_{zone}",
            "state_topic": f"{topics}/zone/{zone}/occupied",
            "device_class": "occupancy",
            "payload_on": "ON",
            "payload_off": "OFF",
        }
        messages.append(_message(f"{discovery_prefix}/binary_sensor/argos_{camera}/zone_{zone}/config", occupied))
    return messages


def _message(topic: str, config: dict[str, Any]) -> Message:
    return Message(topic, topic, json.dumps(config).encode(), retained=True)
