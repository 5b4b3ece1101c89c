"""Weights on this machine: the files that a config's word stands for, and a digest of what they are.

A word is a name of the manifest, whose files lie under `UNIFORM_WEIGHTS_DIR`, or the path of a file or a folder (it
begins with `/`, `./`, `../` or `~`).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from uniform_core.errors import ConfigError
from uniform_core.files import expanded, reading
from uniform_core.fingerprint import digest
from uniform_core.settings import load_settings
from uniform_core.weights.manifest import MANIFEST
from uniform_core.weights.pins import PINS, Pin, read_pins, sha256_of
from uniform_core.weights.record import Weights, WeightsFile


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
    with reading(f"weights {word}"):
        return _at_path(word) if is_path(word) else _in_folder(known_weights(word))


def _in_folder(weights: Weights) -> FoundWeights:
    """The files of an entry, all of them there and as long as they came."""
    word = weights.name
    root = folder_of(weights)
    absent = absent_files(weights)
    if absent:
        raise ConfigError(
            f"weights {word}",
            expected=f"{', '.join(f'{file.path} ({size_text(file)})' for file in absent)} in {root}",
            found="no such file" if len(absent) == 1 else "none of them",
            fix=f"`uniform weights pull {word}` gets it; its licence is {licence_text(weights)}.",
        )
    _require_sizes(weights)
    return FoundWeights(word, root, {file.path: root / file.path for file in weights.files})


def absent_files(weights: Weights) -> list[WeightsFile]:
    """Those of its files that are not in its folder."""
    root = folder_of(weights)
    with reading(str(root)):
        return [file for file in weights.files if not (root / file.path).is_file()]


def _require_sizes(weights: Weights) -> None:
    """No file is shorter or longer than it came: a look at each, while their sha256 would take minutes."""
    root = folder_of(weights)
    for path, pin in read_pins(root).items():
        found = (root / path).stat().st_size if (root / path).is_file() else None
        if found is not None and found != pin.size_bytes:
            raise ConfigError(
                f"weights {weights.name}: {root / path}",
                expected=f"{pin.size_bytes:,} bytes, as it came",
                found=f"{found:,}",
                fix=f"It is damaged or another: `uniform weights pull {weights.name}` gets it again.",
            )


def is_path(word: str) -> bool:
    """Whether a word means a place on this machine."""
    return word.startswith(("/", "./", "../", "~"))


def known_weights(name: str) -> Weights:
    """An entry of the manifest. Raises ConfigError for a name that it does not have."""
    if name not in MANIFEST:
        near = difflib.get_close_matches(name, MANIFEST, n=1)
        raise ConfigError(
            f"weights {name!r}",
            expected="one of " + ", ".join(sorted(MANIFEST)) + "; or a path that begins with / ./ ../ or ~",
            found=name,
            fix=f"Did you mean {near[0]!r}?" if near else "Correct it.",
        )
    return MANIFEST[name]


def folder_of(weights: Weights) -> Path:
    """Where the files of an entry lie, or would lie."""
    return load_settings().weights_root / weights.name


def licence_text(weights: Weights) -> str:
    """The licence, and said aloud whether it forbids commercial use."""
    return weights.licence if weights.is_commercial else f"{weights.licence}: NO COMMERCIAL USE"


def size_text(file: WeightsFile) -> str:
    """How large a file is, in words: exact, rounded, or that nobody said."""
    if file.likely_bytes is None:
        return "size not published"
    return f"{'' if file.size_bytes else 'about '}{file.likely_bytes / 1e6:,.1f} MB"


def weights_digest(word: str) -> str | None:
    """32 hex digits of what the files are (names and sha256), for fingerprints; None where they are not there yet.

    A file that is pinned and still as long as its pin is believed; any other is read. One that is not there counts as
    the published one. Raises ConfigError for one that cannot be read, and for one that is not what was published.
    """
    with reading(f"weights {word}"):
        if not is_path(word):
            weights = known_weights(word)
            pins = read_pins(folder_of(weights))
            known = {file.path: _sha256_here(weights, file, pins.get(file.path)) for file in weights.files}
            return None if None in known.values() else digest(known)
        if not expanded(word).exists():
            return None
        return digest({name: sha256_of(file) for name, file in _at_path(word).files.items()})


def _sha256_here(weights: Weights, file: WeightsFile, pin: Pin | None) -> str | None:
    """What the bytes of a file are; of one that is not there what was published, None where nothing was."""
    path = folder_of(weights) / file.path
    if not path.is_file():
        return file.sha256
    is_pinned = pin is not None and path.stat().st_size == pin.size_bytes
    found = pin.sha256 if pin is not None and is_pinned else sha256_of(path)
    if not file.is_published(found):
        raise ConfigError(
            f"weights {weights.name}: {path}",
            expected=f"sha256 {file.published_sha256}, as published",
            found=found,
            fix="It is damaged or another file: move it away, or name your own by its path; `uniform weights pull "
            f"{weights.name}` gets the published one.",
        )
    return found


def _at_path(word: str) -> FoundWeights:
    root = expanded(word)
    if root.is_file():
        return FoundWeights(word, root.parent, {root.name: root})
    if not root.is_dir():
        raise ConfigError(
            f"weights {word}", expected="a file or a folder", found="neither", fix="Correct the path of the weights."
        )
    files = {path.relative_to(root): path for path in sorted(root.rglob("*")) if path.is_file()}
    shown = {name: path for name, path in files.items() if not any(part.startswith(".") for part in name.parts)}
    return FoundWeights(word, root, {name.as_posix(): path for name, path in shown.items() if name.name != PINS})
