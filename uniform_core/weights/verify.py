"""Are the weights that are here still what they were when they came, and what was published?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uniform_core.errors import ConfigError
from uniform_core.files import reading
from uniform_core.progress import Listener, ProgressEvent, silent
from uniform_core.weights.found import folder_of, known_weights
from uniform_core.weights.manifest import MANIFEST
from uniform_core.weights.pins import Pin, expected_bytes, expected_sha256, read_pins, sha256_of
from uniform_core.weights.record import Weights, WeightsFile
from uniform_core.weights.settle import difference

Verdict = Literal["whole", "missing", "damaged", "unknown", "unreadable"]


@dataclass(frozen=True)
class Finding:
    """One file of an entry: whole, missing, damaged (or changed), not to be read here, or unknown: nothing says what
    it should be.
    """

    name: str
    path: str
    verdict: Verdict
    detail: str


def names_here() -> list[str]:
    """The entries of which something is here."""
    return [
        name
        for name, weights in MANIFEST.items()
        if any(_is_here(folder_of(weights) / file.path) for file in weights.files)
    ]


def _is_here(path: Path) -> bool:
    with reading(str(path)):
        return path.is_file()


def verify_weights(names: Sequence[str], *, on_progress: Listener = silent) -> list[Finding]:
    """A finding for every file of the entries; each that is here is read whole."""
    files = [(weights, file) for weights in map(known_weights, names) for file in weights.files]
    findings = []
    for count, (weights, file) in enumerate(files):
        on_progress(ProgressEvent("verify", count, len(files), note=f"{weights.name}: {file.path}"))
        findings.append(_verified(weights, file))
    return findings


def _verified(weights: Weights, file: WeightsFile) -> Finding:
    """The finding of a file; that one cannot be read hides no other."""
    root = folder_of(weights)
    pins = read_pins(root)
    try:
        with reading(str(root / file.path)):
            return _compared(weights, file, root / file.path, pins)
    except ConfigError as error:
        return Finding(weights.name, file.path, "unreadable", f"{error.found}: {error.item}")


def _compared(weights: Weights, file: WeightsFile, path: Path, pins: Mapping[str, Pin]) -> Finding:
    if not path.is_file():
        return Finding(weights.name, file.path, "missing", f"`uniform weights pull {weights.name}` gets it")
    sha256 = expected_sha256(file, pins)
    wrong = difference(file, path, sha256=sha256, size_bytes=expected_bytes(file, pins))
    if wrong:
        detail = f"expected {wrong[0]}, found {wrong[1]}; remove {path}, then pull"
        return Finding(weights.name, file.path, "damaged", detail)
    if sha256 is None:
        detail = "its sha256 was not published, and it was put here by hand: `pull` pins it as it is"
        return Finding(weights.name, file.path, "unknown", detail)
    return Finding(weights.name, file.path, "whole", f"sha256 {sha256_of(path)[:16]}…")
