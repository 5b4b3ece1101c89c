"""A checkpoint in the hub's form: `config.json` and safetensors, whole or in shards with their index.

Nothing of it is run, and no tensor is read to know what is there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy
from uniform_core.weights.found import FoundWeights

if TYPE_CHECKING:
    import safetensors
else:
    safetensors = lazy("safetensors")

WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
MAX_JSON_BYTES: Final = 64 << 20  # an index of a hundred thousand tensors has 10 MB
AGAIN: Final = "Take the folder as its hub has it (`uniform weights pull` where it has a name there)."


def tensor_files(found: FoundWeights) -> dict[str, Path]:
    """Where each tensor of the checkpoint lies, by name. Raises ConfigError where no safetensors or a shard are."""
    if WHOLE in found.files:
        return dict.fromkeys(tensor_forms(found.files[WHOLE]), found.files[WHOLE])
    if INDEX not in found.files:
        raise ConfigError(
            f"weights {found.word}",
            expected=f"{WHOLE}, or {INDEX} and its shards",
            found=", ".join(sorted(found.files)[:8]) or "an empty folder",
            fix="Take the safetensors form of the checkpoint.",
        )
    listed = read_json(found.files[INDEX]).get("weight_map")
    if not isinstance(listed, dict):
        raise wrong_file(found.files[INDEX], "a weight_map", "none")
    # A shard is a file of this folder by its plain name: `FoundWeights.file` knows no other.
    return {name: found.file(str(shard)) for name, shard in listed.items()}


class TensorForm(NamedTuple):
    """The shape of a tensor in a file, and its dtype in safetensors' words."""

    shape: tuple[int, ...]
    kind: str


def tensor_forms(path: Path) -> dict[str, TensorForm]:
    """The forms of the tensors of a safetensors file, by name. Raises ConfigError for a damaged one."""
    with opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        return {name: TensorForm(tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}


def opened(path: Path) -> Any:
    """The safetensors file, open. Raises ConfigError."""
    try:
        return safetensors.safe_open(path, framework="pt")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise wrong_file(path, "safetensors", f"a file that is cut short or damaged ({error})") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of the checkpoint. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JSON_BYTES + 1)
        if len(data) > MAX_JSON_BYTES:
            raise wrong_file(path, f"at most {MAX_JSON_BYTES:,} bytes", "more")
        values = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise wrong_file(path, "JSON", str(error)) from error
    if not isinstance(values, dict):
        raise wrong_file(path, "a JSON object", type(values).__name__)
    return values


def wrong_file(path: Path, expected: str, found: str) -> ConfigError:
    """The error of a file that is not what a checkpoint has there."""
    return ConfigError(str(path), expected=expected, found=found, fix=AGAIN)
