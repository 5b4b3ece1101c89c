"""Weight files read without running anything of them: named tensors, or one error that says what the file is.

`.safetensors` cannot hold code. A pickle (`.bin .pth .ckpt .pt`) can: torch's restricted reader refuses whatever is no
tensor. A TorchScript file is code: `load_script` takes one only with its pinned sha256 and a person's word.
"""

from __future__ import annotations

import io
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import bytes_sha256
from uniform_core.lazy import lazy, lazy_name

if TYPE_CHECKING:
    import safetensors
    import torch
    from torch import Tensor
else:
    safetensors = lazy("safetensors")
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")

PICKLES: Final = (".bin", ".pth", ".ckpt", ".pt")
_AGAIN: Final = "Get the file again (`uniform weights pull` where it has a name there), and `uniform weights verify`."
_SHOWN = 3  # names that stand for all of a kind in a message


def read_tensors(path: Path, *, key: str | None = None) -> dict[str, Tensor]:
    """The named tensors of a weights file, on the CPU, every number finite.

    `key` names the part of a pickled file that holds them ("state_dict", "generator"); without it they must stand at
    the top. Raises ConfigError for a file that is damaged, refused, something else, or holds NaN or infinity.
    """
    if path.suffix not in (".safetensors", *PICKLES):
        raise _unreadable(path, f"a file {path.name}", fix="Give a " + ", ".join((".safetensors", *PICKLES)) + " file.")
    _require_binary(path)
    if path.suffix != ".safetensors":
        tensors = _part(path, _unpickled(path), key)
    elif key is None:
        tensors = _from_safetensors(path)
    else:
        raise _unreadable(path, f"a safetensors file, which has no part {key!r}", fix="Leave the key out.")
    check_finite(tensors, item=str(path))
    return tensors


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


def check_finite(tensors: Mapping[str, Tensor], *, item: str) -> None:
    """Every number is finite. Raises one ConfigError that counts the tensors where one is not."""
    broken = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if broken:
        raise ConfigError(
            item,
            expected="finite numbers",
            found=f"NaN or infinity in {len(broken)} of {len(tensors)} tensors ({_some(broken)})",
            fix="These weights are broken: take another copy, or an earlier checkpoint.",
        )


def load_script(path: Path, *, sha256: str | None, allow_code: bool) -> Any:
    """The module of a TorchScript file, which is a program: run only where a person allows it and the bytes are known.

    Raises ConfigError without `allow_code`, without a pinned sha256, and for other bytes than those.
    """
    program = "TorchScript is a program, not only numbers"
    if not allow_code:
        raise _unreadable(path, program, fix="Say that its code may run, once you trust where it comes from.")
    if sha256 is None:
        raise _unreadable(path, f"{program}, and no sha256 says which", fix="Pin the sha256 of a file that you trust.")
    data = _bytes_of(path)  # those that are hashed are those that run
    if bytes_sha256(data) != sha256:
        raise _unreadable(path, f"sha256 {bytes_sha256(data)} and not the pinned {sha256}", fix=_AGAIN)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit.load.*is deprecated", category=FutureWarning)
            return torch.jit.load(io.BytesIO(data), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise _unreadable(path, f"no TorchScript ({_first_line(error)})", fix="Correct the path.") from error


def _from_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (safetensors.SafetensorError, ValueError) as error:
        raise _unreadable(path, f"cut short or damaged ({_first_line(error)})", fix=_AGAIN) from error


def _unpickled(path: Path) -> object:
    """What a pickled file holds, by torch's reader that makes tensors and plain containers and nothing else."""
    with path.open("rb") as file:
        magic = file.read(4)
    is_zip = magic == b"PK\x03\x04"
    if not is_zip and magic[:1] != b"\x80":
        raise _unreadable(path, "neither a zip archive nor a pickle", fix=_AGAIN)
    if is_zip:
        _check_archive(path)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=is_zip)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f"code: it asks for {wanted[1]}" if wanted else "a pickle that is no plain table of tensors"
        raise _unreadable(
            path, f"{what}, which was refused", fix="Take the .safetensors form, or a file with weights alone."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle raises whatever its broken bytes happen to mean
        raise _unreadable(path, f"cut short or damaged ({_first_line(error)})", fix=_AGAIN) from error


def _check_archive(path: Path) -> None:
    """A zip as torch writes it: whole, uncompressed, no TorchScript."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise _unreadable(path, f"cut short or damaged ({_first_line(error)})", fix=_AGAIN) from error
    if any(entry.filename.endswith("/constants.pkl") for entry in entries):
        raise _unreadable(path, "TorchScript, which is a program", fix="Take the weights alone (.safetensors).")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _unreadable(path, "a compressed archive, as torch never writes", fix=_AGAIN)


def _part(path: Path, whole: object, key: str | None) -> dict[str, Tensor]:
    """The tensors at the top of a file, or under one key of it."""
    part = whole
    if key is not None:
        if not isinstance(whole, Mapping) or key not in whole:
            raise _unreadable(
                path, f"no {key!r} but {_kinds(whole)}", fix="Correct the key.", expected=f"a part {key!r}"
            )
        part = whole[key]
    if not isinstance(part, Mapping) or not part or not all(isinstance(value, Tensor) for value in part.values()):
        fix = "Say with a key which part is meant." if key is None else "Correct the key."
        raise _unreadable(path, _kinds(part), fix=fix, expected="a table of tensors alone")
    return {str(name): tensor for name, tensor in part.items()}


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
        raise _unreadable(path, "an empty file", fix=_AGAIN)
    if head.lstrip()[:1] == b"<":
        raise _unreadable(path, "a web page (HTML)", fix=_AGAIN)
    if head.startswith(b"version https://git-lfs"):
        raise _unreadable(path, "a pointer of git LFS, without the file that it points to", fix=_AGAIN)
    if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head):
        raise _unreadable(path, "plain text", fix=_AGAIN)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), fix="Correct the path.") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), fix="Correct the path.") from error


def _is_finite(tensor: Tensor) -> bool:
    """By the extremes, which carry NaN: sixteen times faster than asking every number (measured, 50 M of float32)."""
    if tensor.numel() == 0 or not (tensor.is_floating_point() or tensor.is_complex()):
        return True
    numbers = torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor
    wide = numbers.float() if numbers.itemsize == 1 else numbers  # 8-bit floats have no extremes on the CPU
    low, high = torch.aminmax(wide.detach())
    return bool(torch.isfinite(low) and torch.isfinite(high))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]


def _unreadable(path: Path, found: str, *, fix: str, expected: str = "a file of weights") -> ConfigError:
    return ConfigError(str(path), expected=expected, found=found, fix=fix)
