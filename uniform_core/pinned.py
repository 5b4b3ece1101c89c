"""What files were when they came: their size and sha256, kept beside them in `pins.json`."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError

from uniform_core.errors import ConfigError
from uniform_core.files import write_text
from uniform_core.fingerprint import canonical_json, file_sha256
from uniform_core.types import Frozen, NonNegative

PINS: Final = "pins.json"  # {path: Pin} of the files of a folder


class Pin(Frozen):
    """A file as it was when it came."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: NonNegative


_ALL: Final = TypeAdapter(dict[str, Pin])


def read_pins(root: Path) -> dict[str, Pin]:
    """What is pinned of a folder; nothing where nothing is. Raises ConfigError where the file cannot be read."""
    path = root / PINS
    if not path.is_file():
        return {}
    try:
        return _ALL.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            str(path), expected="pinned sha256 as JSON", found=found, fix="Remove it, and get the files anew."
        ) from error


def add_pin(root: Path, path: str, pin: Pin) -> None:
    """The pin stands in the folder's file, beside those that did; the file is replaced whole."""
    pins = {**read_pins(root), path: pin}
    write_text(root / PINS, json.dumps(json.loads(canonical_json(_ALL.dump_python(pins))), indent=1) + "\n")


def sha256_of(path: Path) -> str:
    """The sha256 of a file, computed once for each state of it: gigabytes take minutes."""
    state = path.stat()
    return _sha256_of(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return file_sha256(path)
