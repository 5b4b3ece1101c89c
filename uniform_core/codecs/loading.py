"""Where a codec's weights lie among the files of a word, and whether their config is ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name
from uniform_core.weights import FoundWeights

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

CHECKPOINT: Final = ".ckpt"  # a training's file, which holds its weights under a key


@dataclass(frozen=True)
class PartFiles:
    """The file of weights of one part of a model, and the config beside it where there is one."""

    weights: Path
    config: Path | None

    @property
    def is_checkpoint(self) -> bool:
        """Whether the weights stand under a key, among other things."""
        return self.weights.suffix == CHECKPOINT


def part_files(found: FoundWeights, *, folder: str, names: Sequence[str]) -> PartFiles:
    """The first of `names` in `folder/` or at the top; else the only checkpoint or, of a path to a file, that file.

    Raises ConfigError where there is none of them, or several checkpoints.
    """
    for place in (f"{folder}/", ""):
        for name in names:
            if (path := place + name) in found.files:
                return PartFiles(found.files[path], found.files.get(f"{place}config.json"))
    checkpoints = [path for path in found.files.values() if path.suffix == CHECKPOINT]
    single = checkpoints or (list(found.files.values()) if len(found.files) == 1 else [])
    if len(single) != 1:
        raise ConfigError(
            f"weights {found.word}",
            expected=f"{' or '.join(names)} in {folder}/ or at the top, or one {CHECKPOINT}",
            found=", ".join(sorted(found.files)[:8]) or "an empty folder",
            fix="Give the folder that has it, or the path of the file itself.",
        )
    return PartFiles(single[0], None)


def read_config(path: Path) -> dict[str, Any]:
    """The values of a `config.json`. Raises ConfigError where it is not one."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), expected="JSON", found=str(error), fix="Get the file again.") from error
    if not isinstance(values, dict):
        raise ConfigError(
            str(path), expected="a table of values", found=type(values).__name__, fix="Get the file again."
        )
    return values


def require_config(path: Path, expected: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a `config.json` that says what we are going to build. Raises ConfigError that names what differs.

    Shapes alone do not tell: strides, groups of a norm and activations have none.
    """
    values = read_config(path)
    other = [key for key, value in expected.items() if values.get(key) != _plain(value)]
    if other:
        raise ConfigError(
            str(path),
            expected=", ".join(f"{key} {json.dumps(expected[key])}" for key in other),
            found=", ".join(f"{json.dumps(values[key])}" if key in values else f"no {key}" for key in other),
            fix="Give other weights, or their sizes in the config.",
        )
    return values


def in_chunks(batch: Tensor, size: int, *, made: Callable[[Tensor], Tensor]) -> Tensor:
    """What `made` makes of a batch, `size` of it at a time; float32, on the device that the batch came from."""
    pieces = [made(part).to(device=batch.device, dtype=torch.float32) for part in torch.split(batch, size)]
    return torch.cat(pieces)


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
