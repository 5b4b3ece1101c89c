"""A file of weights from its partial form to its own name: measured, on the disk, pinned."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from uniform_core.download import Remote, drop
from uniform_core.errors import ConfigError, ServiceError
from uniform_core.files import move
from uniform_core.progress import ProgressEvent
from uniform_core.weights.pins import Pin, add_pin, expected_bytes, expected_sha256, read_pins, sha256_of
from uniform_core.weights.record import Weights, WeightsFile

BY_HAND: Final = "Get the file by hand, and give it with `uniform weights pull NAME --from PATH`."
ROOM: Final = "Make room, or set UNIFORM_WEIGHTS_DIR to a larger disk."
PARTIAL: Final = ".partial"  # the folder of what is on its way; what begins with a dot is no part of the weights
State = Literal["was here", "came", "came again", "taken"]


@dataclass(frozen=True)
class Pulled:
    """One file that is here now, and how it came to be."""

    path: str
    state: State
    size_bytes: int
    sha256: str


def part_of(root: Path, file: WeightsFile) -> Path:
    return root / PARTIAL / file.path


def settle(
    weights: Weights, root: Path, file: WeightsFile, part: Path, *, state: State, remote: Remote | None = None
) -> Pulled:
    """The partial file, measured, on the disk, under its own name and pinned. Raises ServiceError for a wrong one.

    It must be as published, else as it first came, else as the server said before it came.
    """
    pins = read_pins(root)
    sha256, size_bytes = expected_sha256(file, pins), expected_bytes(file, pins)
    if remote is not None:
        sha256, size_bytes = sha256 or remote.sha256, size_bytes or remote.size_bytes
    wrong = difference(file, part, sha256=sha256, size_bytes=size_bytes)
    if wrong:
        drop(part)
        raise ServiceError(
            f"weights {weights.name}: {file.path}",
            expected=wrong[0],
            found=wrong[1],
            fix="What came was damaged or is another file, and was thrown away: run the same command again.",
        )
    pin = Pin(sha256=sha256_of(part), size_bytes=part.stat().st_size)
    path = root / file.path
    move(part, path)
    drop(part)
    add_pin(root, file.path, pin)
    return Pulled(file.path, state, pin.size_bytes, pin.sha256)


def require_right(weights: Weights, file: WeightsFile, path: Path) -> None:
    """A file that a person has is the published one, as far as that is known."""
    wrong = difference(file, path, sha256=file.sha256, size_bytes=file.size_bytes)
    if wrong:
        raise ConfigError(
            f"weights {weights.name}: {path}",
            expected=wrong[0],
            found=wrong[1],
            fix="It is damaged or another file: move it away, then `uniform weights pull` gets the published one.",
        )


def difference(file: WeightsFile, path: Path, *, sha256: str | None, size_bytes: int | None) -> tuple[str, str] | None:
    """What a file must be and is, where these differ."""
    found = path.stat().st_size
    if size_bytes is not None and found != size_bytes:
        return f"{size_bytes:,} bytes", f"{found:,}"
    about = file.about_bytes
    if size_bytes is None and about is not None and not about * 3 // 4 <= found <= about * 5 // 4:
        return f"about {about:,} bytes", f"{found:,}"
    if sha256 is not None and sha256_of(path) != sha256:
        return f"sha256 {sha256}", sha256_of(path)
    if file.sha256_prefix is not None and not file.is_published(sha256_of(path)):
        return f"sha256 {file.published_sha256}", sha256_of(path)
    return None


def event(weights: Weights, count: int, path: str) -> ProgressEvent:
    """How many MB of an entry are here, where its size is known."""
    total = weights.likely_bytes if weights.is_size_known else 0
    return ProgressEvent(f"{weights.name}, MB", count // 10**6, max(total, count) // 10**6, note=path)
