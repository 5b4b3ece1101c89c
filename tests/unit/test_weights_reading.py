"""Weight files: what is read, and one clear error for each file that is damaged, dangerous or another's."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import file_sha256
from uniform_core.weights.reading import check_finite, read_forms, read_tensors, require_names
from uniform_core.weights.script import load_script

TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3, dtype=torch.bfloat16)}
SHAPES = {"a.weight": (3, 4), "a.bias": (3,)}


class RunsCode:
    """A pickle that runs a command where it is read without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def saved(path: Path, value: object = TENSORS, *, zipped: bool = True) -> Path:
    if path.suffix == ".safetensors":
        save_file(value, path)
    else:
        torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def refusal(path: Path, *, key: str | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        read_tensors(path, key=key)
    assert str(path) == error.value.item
    return f"{error.value.found}. {error.value.fix}"


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "w.pth", "w.ckpt", "w.pt"])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_form_gives_the_same_tensors(name: str, zipped: bool, tmp_path: Path) -> None:
    read = read_tensors(saved(tmp_path / name, zipped=zipped))
    assert list(read) == sorted(TENSORS) if name == "w.safetensors" else list(TENSORS)
    assert all(torch.equal(read[name], TENSORS[name]) and read[name].dtype == TENSORS[name].dtype for name in TENSORS)
    require_names(read, SHAPES, item="w")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_forms_are_the_same_names_and_shapes_without_the_numbers(name: str, tmp_path: Path) -> None:
    scalar = {"factor": torch.tensor(0.5), "one": torch.ones(1, 1)}
    path = saved(tmp_path / name, {**TENSORS, **scalar, "broken": torch.tensor([float("nan")])})
    forms = read_forms(path)
    assert {name: tuple(form.shape) for name, form in forms.items()} == {
        **SHAPES, "factor": (), "one": (1, 1), "broken": (1,)
    }  # fmt: skip
    assert {name for name, form in forms.items() if not form.is_meta} == {"factor"}
    assert forms["factor"].item() == 0.5
    infinite = saved(tmp_path / f"infinite-{name}", {**TENSORS, "factor": torch.tensor(float("inf"))})
    with pytest.raises(ConfigError, match=r"NaN or infinity in 1 of 1 tensors \(factor\)"):
        read_forms(infinite)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ConfigError, match="damaged"):
        read_forms(path)


def test_a_part_of_a_file_is_taken_only_where_it_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.ckpt", {"state_dict": TENSORS, "epoch": 3, "generator": {}})
    assert set(read_tensors(path, key="state_dict")) == set(TENSORS)
    assert refusal(path).startswith("state_dict (dict), epoch (int), generator (dict). Say with a key")
    assert refusal(path, key="ema").startswith("no 'ema' but state_dict (dict)")
    assert refusal(path, key="epoch").startswith("a int. Correct the key")
    assert refusal(path, key="generator").startswith("nothing at all")
    assert "no part 'state_dict'" in refusal(saved(tmp_path / "w.safetensors"), key="state_dict")
    mixed = saved(tmp_path / "mixed.pth", {**TENSORS, "step": 7})
    assert refusal(mixed).startswith("2 tensors and step (int)")
    assert refusal(saved(tmp_path / "list.pth", [1])).startswith("a list")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_named(zipped: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"a": RunsCode(tmp_path / "mark")}, zipped=zipped)
    assert refusal(path).startswith("code: it asks for posix.system, which was refused")
    (tmp_path / "raw.bin").write_bytes(pickle.dumps({"a": RunsCode(tmp_path / "mark")}))
    assert "refused" in refusal(tmp_path / "raw.bin")
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("name", "zipped"), [("w.safetensors", True), ("w.pth", True), ("w.pth", False)])
def test_a_file_that_is_cut_anywhere_is_said_to_be(name: str, zipped: bool, tmp_path: Path) -> None:
    whole = saved(tmp_path / f"whole-{name}", zipped=zipped).read_bytes()
    path = tmp_path / name
    for length in (9, len(whole) // 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert "damaged" in refusal(path) or "refused" in refusal(path), length


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\n <!DOCTYPE html><html>Sign in</html>", r"a web page \(HTML\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a pointer of git LFS"),
        (b"Entry not found", "plain text"),
        (b"\x00\x01\x02\x03" * 99, "neither a zip archive nor a pickle"),
        (b"\xff" * 600, "neither a zip archive nor a pickle"),
    ],
)
def test_what_is_no_weights_file_is_told_by_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        read_tensors(tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_bytes(content)
    refusal(tmp_path / "w.safetensors")


@pytest.mark.parametrize("length", [0x3C, 0x3C20])
def test_a_file_whose_first_byte_is_that_of_a_web_page_is_read(length: int, tmp_path: Path) -> None:
    """The first bytes are the length of the header: "<" or " <" by chance."""
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
    path = tmp_path / "w.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + header + bytes(4))
    assert read_tensors(path)["a"].tolist() == [0.0]


def test_a_place_without_a_file_and_a_foreign_ending(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "w.pth")
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04")
    assert "Give a .safetensors, .bin" in refusal(tmp_path / "w.npz")


def test_an_archive_that_would_swell_is_refused(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(saved(tmp_path / "w.pth")) as plain,
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    assert "a compressed archive" in refusal(tmp_path / "bomb.pth")


OTHER_KINDS = {
    "sparse_coo": lambda: torch.eye(3).to_sparse(),
    "sparse_csr": lambda: torch.eye(3).to_sparse_csr(),
    "on device meta": lambda: torch.empty(3, device="meta"),
    "qint8": lambda: torch._empty_affine_quantized([3], scale=0.1, zero_point=0, dtype=torch.qint8),
    "40,000,000,000,000 bytes, of which the file holds 4": lambda: torch.zeros(1).expand(10**13),
    "12 bytes, of which the file holds 4": lambda: torch.zeros(1).expand(3),
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # what torch thinks of making such tensors
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_tensors_that_are_no_plain_blocks_of_numbers_are_refused(kind: str, zipped: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {**TENSORS, "a": OTHER_KINDS[kind]()}, zipped=zipped)
    assert path.stat().st_size < 10_000
    assert refusal(path).startswith(f"1 of 3 tensors of another kind: a ({kind}). Save them dense")


@pytest.mark.parametrize(("kind", "size"), [("F4", 4), ("F8_E8M0", 8), ("F6_E2M3", 6), ("U64", 64)])
def test_numbers_of_a_rare_kind_are_refused_in_safetensors_too(kind: str, size: int, tmp_path: Path) -> None:
    header = json.dumps({"scales": {"dtype": kind, "shape": [8], "data_offsets": [0, size]}}).encode().ljust(80)
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    for read in (read_tensors, read_forms):
        with pytest.raises(ConfigError, match=rf"1 of 1 tensors of another kind: scales \({kind}\)"):
            read(path)


def test_views_of_a_file_are_plain(tmp_path: Path) -> None:
    whole = torch.arange(12.0)
    views = {"some": whole[3:7], "turned": whole.reshape(3, 4).T, "none": whole[:0], "one": whole[5]}
    read = read_tensors(saved(tmp_path / "w.pth", views))
    assert all(torch.equal(read[name], value) for name, value in views.items())


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_a_number_beyond_float32_is_not_finite(dtype: torch.dtype, tmp_path: Path) -> None:
    large = saved(tmp_path / "w.pth", {"a": torch.tensor([1.0, 1e300], dtype=dtype)})
    assert refusal(large).startswith("NaN or infinity in 1 of 1 tensors (a)")
    fits = saved(tmp_path / "fits.pth", {"a": torch.tensor([1.0, 1e38], dtype=dtype)})
    assert read_tensors(fits)["a"].dtype == dtype


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64, torch.complex64])
def test_weights_that_are_not_finite_are_named(number: float, dtype: torch.dtype, tmp_path: Path) -> None:
    broken = torch.ones(5, 7, dtype=dtype)
    broken[2, 3] = number
    path = saved(tmp_path / "w.pth", {**TENSORS, "b": broken})
    assert refusal(path).startswith("NaN or infinity in 1 of 3 tensors (b)")


def test_whole_numbers_empty_tensors_and_eight_bit_floats_are_finite() -> None:
    good = {"n": torch.tensor([1, 2]), "flag": torch.tensor([True]), "none": torch.zeros(0)}
    eight = torch.tensor([1.0, 2.0]).to(torch.float8_e5m2)
    check_finite({**good, "eight": eight}, item="w")
    with pytest.raises(ConfigError, match=r"1 of 4 tensors \(eight\)"):
        check_finite({**good, "eight": torch.tensor([float("nan")]).to(torch.float8_e5m2)}, item="w")


def test_names_and_shapes_that_are_wrong_are_counted_in_one_error() -> None:
    expected = {**SHAPES, **{f"c.{i}": (i, 2) for i in range(2)}}
    found = {"a.weight": torch.zeros(4, 3), "a.bias": torch.zeros(3), "c.0": torch.zeros(0, 2), "x": torch.zeros(1)}
    with pytest.raises(ConfigError) as error:
        require_names(found, expected, item="vae of w.pth")
    assert error.value.item == "vae of w.pth"
    assert error.value.expected == "4 named tensors"
    assert error.value.found == (
        "1 missing (c.1 [1, 2]); 1 unexpected (x); 1 of another shape (a.weight [4, 3] instead of [3, 4])"
    )


def test_a_checkpoint_of_another_model_is_called_that() -> None:
    other = {f"other.{i}": torch.zeros(1) for i in range(5)}
    with pytest.raises(
        ConfigError, match=r"a checkpoint of another model: 2 missing .*5 unexpected \(other\.0, .*, …\)"
    ):
        require_names(other, SHAPES, item="w")


@pytest.fixture
def script(tmp_path: Path) -> Path:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * x

    with pytest.warns(FutureWarning):
        torch.jit.save(torch.jit.trace(Double(), torch.ones(1)), tmp_path / "m.pt")
    return tmp_path / "m.pt"


def test_torchscript_runs_only_with_a_pinned_sha256_and_a_persons_word(script: Path) -> None:
    sha256 = file_sha256(script)
    assert load_script(script, sha256=sha256, allow_code=True)(torch.ones(2)).tolist() == [2, 2]
    with pytest.raises(ConfigError, match="may run"):
        load_script(script, sha256=sha256, allow_code=False)
    with pytest.raises(ConfigError, match="no sha256 says which"):
        load_script(script, sha256=None, allow_code=True)
    with pytest.raises(ConfigError, match="and not the pinned 0000"):
        load_script(script, sha256="0" * 64, allow_code=True)
    assert "TorchScript, which is a program" in refusal(script)


def test_a_file_that_is_no_torchscript(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt")
    with pytest.raises(ConfigError, match="no TorchScript"):
        load_script(path, sha256=file_sha256(path), allow_code=True)
    with pytest.raises(ConfigError, match="No such file"):
        load_script(tmp_path / "none.pt", sha256="0" * 64, allow_code=True)
