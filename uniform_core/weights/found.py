"""Weights on this machine: the files that a config's word stands for, and a digest of what they are.

A word is a name of the manifest, whose files lie under `UNIFORM_WEIGHTS_DIR`, or the path of a file or a folder (it
begins with `/`, `./`, `../` or `~`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest, file_sha256
from uniform_core.settings import load_settings
from uniform_core.weights.manifest import MANIFEST, Weights

PINS = "pins.json"  # {path: {"sha256", "size_bytes"}} of the files of a folder, as they were when they came


@dataclass(frozen=True)
class FoundWeights:
    """Weights that are there. `files` has each by its path within the folder; a single file by its own name."""

    word: str
    root: Path
    files: Mapping[str, Path]

    def file(self, path: str) -> Path:
        """One of the files. Raises ConfigError where there is no such file."""
        if path not in self.files:
            raise ConfigError(
                f"weights {self.word}",
                expected=f"a file {path}",
                found=", ".join(sorted(self.files)[:8]) or "an empty folder",
                fix="Give the folder that has it, or `uniform weights pull` its name.",
            )
        return self.files[path]


def find_weights(word: str) -> FoundWeights:
    """The files of a name or a path. Raises ConfigError that says what is missing, its licence and how to get it."""
    if is_path(word):
        return _at_path(word)
    weights = known_weights(word)
    root = folder_of(weights)
    absent = [file for file in weights.files if not (root / file.path).is_file()]
    if absent:
        sizes = [f"{file.path} ({_size_text(file.size_bytes)})" for file in absent]
        raise ConfigError(
            f"weights {word}",
            expected=f"{', '.join(sizes)} in {root}",
            found="no such file" if len(absent) == 1 else "none of them",
            fix=f"`uniform weights pull {word}` gets it; its licence is {licence_text(weights)}.",
        )
    return FoundWeights(word, root, {file.path: root / file.path for file in weights.files})


def is_path(word: str) -> bool:
    """Whether a word means a place on this machine."""
    return word.startswith(("/", "./", "../", "~"))


def known_weights(name: str) -> Weights:
    """An entry of the manifest. Raises ConfigError for a name that it does not have."""
    if name not in MANIFEST:
        raise ConfigError(
            f"weights {name!r}",
            expected="one of " + ", ".join(sorted(MANIFEST)) + "; or a path that begins with / ./ ../ or ~",
            found=name,
            fix="Correct it.",
        )
    return MANIFEST[name]


def folder_of(weights: Weights) -> Path:
    """Where the files of an entry lie, or would lie."""
    return load_settings().weights_root / weights.name


def licence_text(weights: Weights) -> str:
    """The licence, and said aloud whether it forbids commercial use."""
    return weights.licence if weights.is_commercial else f"{weights.licence}: NO COMMERCIAL USE"


def weights_digest(word: str) -> str | None:
    """32 hex digits of what the files are (names and sha256), for fingerprints; None where they are not there yet."""
    if is_path(word):
        path = Path(word).expanduser()
        if not path.exists():
            return None
        found = _at_path(word).files
        return digest({name: _sha256_of(file, *_stamp(file)) for name, file in found.items()})
    weights = known_weights(word)
    root = folder_of(weights)
    pins = read_pins(root)
    known = {file.path: file.sha256 or pins.get(file.path, {}).get("sha256") for file in weights.files}
    for name, sha256 in known.items():
        if sha256 is None and (root / name).is_file():
            known[name] = _sha256_of(root / name, *_stamp(root / name))
    return None if None in known.values() else digest(known)


def read_pins(root: Path) -> dict[str, dict[str, str]]:
    """What is pinned of a folder; nothing where nothing is. Raises ConfigError where the file cannot be read."""
    path = root / PINS
    if not path.is_file():
        return {}
    try:
        pins: dict[str, dict[str, str]] = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(
            str(path), expected="pinned sha256 as JSON", found=str(error), fix="Remove it, and `uniform weights pull`."
        ) from error
    return pins


def _at_path(word: str) -> FoundWeights:
    root = Path(word).expanduser()
    if root.is_file():
        return FoundWeights(word, root.parent, {root.name: root})
    if not root.is_dir():
        raise ConfigError(
            f"weights {word}", expected="a file or a folder", found="neither", fix="Correct the path of the weights."
        )
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != PINS)
    return FoundWeights(word, root, {path.relative_to(root).as_posix(): path for path in files})


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=64)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    """Once for each state of a file: gigabytes take minutes."""
    return file_sha256(path)


def _size_text(size_bytes: int | None) -> str:
    return "size not published" if size_bytes is None else f"{size_bytes / 1e6:,.1f} MB"
