"""Checkpoints that are there whole or not at all: safetensors and JSON in a folder, its marker written last.

    step_000000600/  model.safetensors  ema.safetensors  optimizer.safetensors  state.json  COMPLETE
                     guide.safetensors, where the run keeps a guide of sampling and has come so far

COMPLETE is JSON: the size and sha256 of every other file. A folder without it, or that disagrees with it, is no
checkpoint. The folder is filled under a temporary name, flushed to the disk, and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from uniform_core.errors import ConfigError, FormatTooNewError, StorageError
from uniform_core.files import MARKER, find_damage, fsync
from uniform_core.fingerprint import file_sha256

FORMAT = 1
PREFIX = "step_"
TEMPORARY = ".partial-"
PARTS = ("model", "ema", "optimizer")
GUIDE = "guide.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """All that a run needs to go on: after `step` optimizer steps, with exactly these bits."""

    step: int
    fingerprint: str  # of the training run: config, model, objective, data
    model: Mapping[str, Tensor]
    ema: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    extra: Mapping[str, Any]  # JSON: latent scale, world size, …
    guide: Mapping[str, Tensor] = field(default_factory=dict)  # an early moving average; empty where there is none


class CheckpointStore:
    """The checkpoints of one run in one folder; only one process writes."""

    def __init__(self, directory: Path, *, keep: int) -> None:
        self.directory, self._keep = directory, keep

    def save(self, checkpoint: Checkpoint) -> Path:
        """The folder of the checkpoint, on disk when this returns; older ones beyond `keep` are removed.

        Raises StorageError where the disk is full or cannot be written; then nothing half-written is in the way.
        """
        target = self.directory / f"{PREFIX}{checkpoint.step:09d}"
        with whole_folder(target) as folder:
            for name in PARTS:
                save_tensors(folder / f"{name}.safetensors", getattr(checkpoint, name))
            if checkpoint.guide:
                save_tensors(folder / GUIDE, checkpoint.guide)
            state = {
                "format": FORMAT,
                "step": checkpoint.step,
                "fingerprint": checkpoint.fingerprint,
                "torch": torch.__version__,
                "extra": dict(checkpoint.extra),
            }
            (folder / "state.json").write_text(json.dumps(state, sort_keys=True, allow_nan=False))
        for _, old in self._folders()[self._keep :]:
            shutil.rmtree(old)
        return target

    def latest(self, *, fingerprint: str) -> tuple[Checkpoint | None, tuple[str, ...]]:
        """The newest checkpoint that is whole, and a note for each newer one that is not.

        Raises ConfigError where it was written by another configuration, FormatTooNewError by a newer program.
        """
        notes: list[str] = []
        for step, folder in self._folders():
            problem = find_damage(folder)
            if problem is not None:
                notes.append(f"checkpoint {folder.name} skipped: {problem}")
                continue
            return self._load(folder, step, fingerprint), tuple(notes)
        return None, tuple(notes)

    def _load(self, folder: Path, step: int, fingerprint: str) -> Checkpoint:
        state = json.loads((folder / "state.json").read_text())
        if state["format"] > FORMAT:
            raise FormatTooNewError(
                f"checkpoint {folder}", expected=f"format {FORMAT} or older", found=str(state["format"]), fix=UPGRADE
            )
        if state["fingerprint"] != fingerprint:
            raise ConfigError(
                f"checkpoint {folder}",
                expected=f"the fingerprint of this run, {fingerprint}",
                found=state["fingerprint"],
                fix="Give the run the configuration and data that it was started with, or another checkpoint folder.",
            )
        parts = {name: load_tensors(folder / f"{name}.safetensors") for name in PARTS}
        guide = load_tensors(folder / GUIDE) if (folder / GUIDE).exists() else {}
        return Checkpoint(step=step, fingerprint=fingerprint, extra=state["extra"], guide=guide, **parts)

    def _folders(self) -> list[tuple[int, Path]]:
        """Folders that are named like checkpoints, newest first."""
        found = self.directory.glob(f"{PREFIX}*") if self.directory.is_dir() else ()
        steps = [(path.name.removeprefix(PREFIX), path) for path in found if path.is_dir()]
        return sorted(((int(step), path) for step, path in steps if step.isdecimal()), reverse=True)


UPGRADE = "Upgrade this program, or train anew in another folder."


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` at the end of the block, marked, or leaves nothing behind.

    An older `target` is replaced. Raises StorageError where the disk refuses.
    """
    temporary = target.parent / f"{TEMPORARY}{target.name}-{os.getpid()}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_partials(target)
        temporary.mkdir()
        yield temporary
        _seal(temporary)
        if target.exists():  # moved aside in one step, so that no moment shows half of either
            target.rename(temporary.with_name(temporary.name + "-old"))
        temporary.rename(target)
        fsync(target.parent)
        remove_partials(target)
    except (OSError, safetensors.SafetensorError) as error:
        raise StorageError(
            f"folder {target}",
            expected="room and permission to write",
            found=getattr(error, "strerror", None) or str(error),
            fix="Free space or set UNIFORM_HOME elsewhere; what was complete before is still there.",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_partials(target: Path) -> None:
    """Clear away what killed writers of this folder left behind."""
    for litter in target.parent.glob(f"{TEMPORARY}{target.name}-*"):
        shutil.rmtree(litter, ignore_errors=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, contiguous and on the CPU."""
    safetensors.torch.save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a safetensors file, on the CPU."""
    loaded: dict[str, Tensor] = safetensors.torch.load_file(path)
    return loaded


def _seal(folder: Path) -> None:
    """Flush every file, then write the marker that names them."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    for path in files:
        fsync(path)
    facts = {path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in files}
    marker = folder / MARKER
    marker.write_text(json.dumps(facts, sort_keys=True, indent=1))
    fsync(marker)
    fsync(folder)
