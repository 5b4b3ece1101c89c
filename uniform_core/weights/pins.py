"""What a file of weights must be: as it was published, else as it was when it came."""

from __future__ import annotations

from collections.abc import Mapping

from uniform_core.pinned import PINS as PINS
from uniform_core.pinned import Pin as Pin
from uniform_core.pinned import add_pin as add_pin
from uniform_core.pinned import read_pins as read_pins
from uniform_core.pinned import sha256_of as sha256_of
from uniform_core.weights.record import WeightsFile


def expected_sha256(file: WeightsFile, pins: Mapping[str, Pin]) -> str | None:
    """What the file must be: as published, else as it was when it came; None at first sight."""
    pin = pins.get(file.path)
    return file.sha256 or (pin.sha256 if pin else None)


def expected_bytes(file: WeightsFile, pins: Mapping[str, Pin]) -> int | None:
    """How long the file must be: as published, else as it was when it came; None at first sight."""
    pin = pins.get(file.path)
    return file.size_bytes or (pin.size_bytes if pin else None)
