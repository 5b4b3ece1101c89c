"""Weight files read without running anything of them: named tensors, or one error that says what the file is.

`.safetensors` cannot hold code. A pickle (`.bin .pth .ckpt .pt`) can: torch's restricted reader refuses whatever is no
tensor. A TorchScript file is code, and has a reader of its own (`script`).
"""

from __future__ import annotations

import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name
from uniform_core.weights.arrays import arrays_allowed, as_tensor

if TYPE_CHECKING:
    import safetensors
    import torch
    from torch import Tensor
else:
    safetensors = lazy("safetensors")
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

PICKLES: Final = (".bin", ".pth", ".ckpt", ".pt")
AGAIN: Final = "Get the file again (`uniform weights pull` where it has a name there), and `uniform weights verify`."
# The dtypes of safetensors whose every value is one number that torch can turn into float32.
_FLOATS, _WHOLE = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"), ("I64", "I32", "I16", "I8", "U8", "BOOL")
_PLAIN: Final = frozenset((*_FLOATS, *_WHOLE, "C64"))
_SHOWN = 3  # names that stand for all of a kind in a message


def read_tensors(path: Path, *, key: str | None = None, has_arrays: bool = False) -> dict[str, Tensor]:
    """The named tensors of a weights file, on the CPU, every number finite.

    `key` names the part of a pickled file that holds them ("state_dict", "generator"); without it they must stand at
    the top. `has_arrays`: the file is one that has NumPy arrays too, or in their place. Raises ConfigError for a file
    that is damaged, refused, something else, or holds NaN or infinity.
    """
    tensors = _tensors_of(path, key, has_numbers=True, has_arrays=has_arrays)
    check_finite(tensors, item=str(path))
    return tensors


def read_forms(path: Path, *, key: str | None = None, has_arrays: bool = False) -> dict[str, Tensor]:
    """What `read_tensors` would give, without the numbers (device "meta") of all but scalars.

    It takes moments where the numbers take minutes. Raises the same but for numbers that are not finite.
    """
    forms = {
        name: tensor.to("meta") if tensor.ndim else tensor
        for name, tensor in _tensors_of(path, key, has_numbers=False, has_arrays=has_arrays).items()
    }
    check_finite({name: tensor for name, tensor in forms.items() if not tensor.is_meta}, item=str(path))
    return forms


def _tensors_of(path: Path, key: str | None, *, has_numbers: bool, has_arrays: bool) -> dict[str, Tensor]:
    """The tensors of a file; without `has_numbers` all but scalars may be forms alone."""
    if path.suffix not in (".safetensors", *PICKLES):
        raise unreadable(path, f"a file {path.name}", fix="Give a " + ", ".join((".safetensors", *PICKLES)) + " file.")
    _require_binary(path)
    if path.suffix != ".safetensors":
        return _part(path, _unpickled(path, has_arrays=has_arrays), key)
    if key is not None:
        raise unreadable(path, f"a safetensors file, which has no part {key!r}", fix="Leave the key out.")
    return _from_safetensors(path, has_numbers=has_numbers)


def require_names(found: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], *, item: str) -> None:
    """The tensors have the expected names and shapes. Raises one ConfigError that counts all that is wrong."""
    missing = [f"{name} {list(shape)}" for name, shape in expected.items() if name not in found]
    unexpected = [name for name in found if name not in expected]
    reshaped = [
        f"{name} {list(found[name].shape)} instead of {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name].shape) != tuple(shape)
    ]
    wrong = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    if not any(wrong.values()):
        return
    is_other = 2 * len(missing) > len(expected)
    said = "; ".join(f"{len(names)} {kind} ({_some(names)})" for kind, names in wrong.items() if names)
    raise ConfigError(
        item,
        expected=f"{len(expected)} named tensors",
        found=("a checkpoint of another model: " if is_other else "") + said,
        fix="Give the weights of this model, in this form; or correct the config that says its size.",
    )


def require_kinds(path: Path, kinds: Mapping[str, str]) -> None:
    """Every tensor of a safetensors file has a plain dtype, by safetensors' words. Raises one ConfigError."""
    _require_none(path, [f"{name} ({kind})" for name, kind in kinds.items() if kind not in _PLAIN], of=kinds)


def check_finite(tensors: Mapping[str, Tensor], *, item: str) -> None:
    """Every number is finite, as float32 too. Raises one ConfigError that counts the tensors where one is not."""
    broken = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if broken:
        raise ConfigError(
            item,
            expected="finite numbers",
            found=f"NaN or infinity in {len(broken)} of {len(tensors)} tensors ({_some(broken)})",
            fix="These weights are broken: take another copy, or an earlier checkpoint.",
        )


def _from_safetensors(path: Path, *, has_numbers: bool) -> dict[str, Tensor]:
    def taken(file: Any, name: str) -> Tensor:
        shape = file.get_slice(name).get_shape()
        is_read = has_numbers or not shape
        tensor: Tensor = file.get_tensor(name) if is_read else torch.empty(shape, device="meta")
        return tensor

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            require_kinds(path, kinds)
            return {name: taken(file, name) for name in kinds}
    except (safetensors.SafetensorError, ValueError) as error:
        raise unreadable(path, f"cut short or damaged ({first_line(error)})", fix=AGAIN) from error


def _unpickled(path: Path, *, has_arrays: bool) -> object:
    """What a pickled file holds, by torch's reader that makes tensors and plain containers and nothing else."""
    with path.open("rb") as file:
        magic = file.read(4)
    is_zip = magic == b"PK\x03\x04"
    if not is_zip and magic[:1] != b"\x80":
        raise unreadable(path, "neither a zip archive nor a pickle", fix=AGAIN)
    if is_zip:
        _check_archive(path)
    try:
        with warnings.catch_warnings(), arrays_allowed(has_arrays):
            warnings.simplefilter("ignore")  # of protocols and kinds of tensors: what is wrong is refused below
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f"code: it asks for {wanted[1]}" if wanted else "a pickle that is no plain table of tensors"
        raise unreadable(
            path, f"{what}, which was refused", fix="Take the .safetensors form, or a file with weights alone."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its broken bytes happen to mean
        raise unreadable(path, f"cut short or damaged ({first_line(error)})", fix=AGAIN) from error


def _check_archive(path: Path) -> None:
    """A zip as torch writes it: whole, uncompressed, no TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise unreadable(path, f"cut short or damaged ({first_line(error)})", fix=AGAIN) from error
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise unreadable(path, "TorchScript, which is a program", fix="Take the weights alone (.safetensors).")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise unreadable(path, "a compressed archive, as torch never writes", fix=AGAIN)


def _part(path: Path, whole: object, key: str | None) -> dict[str, Tensor]:
    """The tensors at the top of a file, or under one key of it."""
    part = whole
    if key is not None:
        if not isinstance(whole, Mapping) or key not in whole:
            raise unreadable(
                path, f"no {key!r} but {_kinds(whole)}", fix="Correct the key.", expected=f"a part {key!r}"
            )
        part = whole[key]
    if isinstance(part, Mapping):
        part = {name: as_tensor(value) for name, value in part.items()}
    if not isinstance(part, Mapping) or not part or not all(isinstance(value, Tensor) for value in part.values()):
        fix = "Say with a key which part is meant." if key is None else "Correct the key."
        raise unreadable(path, _kinds(part), fix=fix, expected="a table of tensors alone")
    tensors = {str(name): tensor for name, tensor in part.items()}
    _require_plain(path, tensors)
    return tensors


def _require_plain(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Every tensor is a block of numbers that the file holds. Raises one ConfigError that counts those that are not."""
    others = [f"{name} ({kind})" for name, tensor in tensors.items() if (kind := _kind_of(tensor)) is not None]
    _require_none(path, others, of=tensors)


def _require_none(path: Path, others: list[str], *, of: Collection[str]) -> None:
    """There are no tensors that are not plain. Raises ConfigError."""
    if others:
        raise unreadable(
            path,
            f"{len(others)} of {len(of)} tensors of another kind: {_some(others)}",
            fix="Save them dense, on the CPU and in a plain dtype, or take the .safetensors form.",
            expected="tensors that are plain blocks of numbers",
        )


def _kind_of(tensor: Tensor) -> str | None:
    """What a tensor is that is no plain block of numbers; None of one that is."""
    if tensor.is_nested:
        return "nested"
    if tensor.layout is not torch.strided:
        return str(tensor.layout).removeprefix("torch.")
    if tensor.device.type != "cpu":
        return f"on device {tensor.device}"
    if tensor.is_quantized or tensor.dtype not in _dtypes():
        return str(tensor.dtype).removeprefix("torch.")
    told = math.prod(tensor.shape) * tensor.itemsize
    if told > (held := tensor.untyped_storage().nbytes()):  # one number expanded to terabytes
        return f"{told:,} bytes, of which the file holds {held:,}"
    return None


def _dtypes() -> frozenset[torch.dtype]:
    """Those whose every value is one number that torch can turn into float32."""
    floats = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn, torch.float8_e5m2)
    whole = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool)
    return frozenset((*floats, *whole, torch.complex64, torch.complex128))


def _kinds(value: object) -> str:
    """What a value that is no table of tensors is, in words."""
    if not isinstance(value, Mapping):
        return f"a {type(value).__name__}"
    others = [f"{name} ({type(part).__name__})" for name, part in value.items() if not isinstance(part, Tensor)]
    tensors = f"{len(value) - len(others)} tensors" if len(others) < len(value) else ""
    return " and ".join(filter(None, (tensors, _some(others)))) or "nothing at all"


def _require_binary(path: Path) -> None:
    """A page of text in place of a file of numbers: what a server sends that wants a login, or git without LFS."""
    head = _head(path)
    if not head:
        raise unreadable(path, "an empty file", fix=AGAIN)
    if head.lstrip()[:1] == b"<" and b"\0" not in head:  # a safetensors file begins with a length, which may be "<"
        raise unreadable(path, "a web page (HTML)", fix=AGAIN)
    if head.startswith(b"version https://git-lfs"):
        raise unreadable(path, "a pointer of git LFS, without the file that it points to", fix=AGAIN)
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        raise unreadable(path, "plain text", fix=AGAIN)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), fix="Correct the path.") from error


def _is_finite(tensor: Tensor) -> bool:
    """By the extremes, which carry NaN: sixteen times faster than asking every number (measured, 50 M of float32)."""
    if tensor.numel() == 0 or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    numbers = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    wide = numbers.float() if numbers.itemsize == 1 else numbers  # 8-bit floats have no extremes on the CPU
    low, high = (extreme.float() for extreme in torch.aminmax(wide.detach()))  # float64 may be beyond float32
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def first_line(error: Exception) -> str:
    """What an error of a library says first."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def unreadable(path: Path, found: str, *, fix: str, expected: str = "a file of weights") -> ConfigError:
    """The error of a file that is not to be used."""
    return ConfigError(str(path), expected=expected, found=found, fix=fix)
