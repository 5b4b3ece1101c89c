"""AudioLDM's parts from wrong files: one clear error each, that names the file."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audioldm_parts import ABSENT, VAE, VOCODER, edit_json, error_of, vae_at, vocoder_at
from audioldm_parts import folder as folder
from safetensors.torch import load_file, save_file
from tiny_audioldm_vae import SPEC
from tiny_hifigan import tiny_hifigan

from uniform_core.codecs import AudioLdmVaeConfig, HifiGanConfig
from uniform_core.errors import ConfigError


class Runs:
    """What a pickle of it would do, were it read without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of a weights file was run')",))


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-64])


def with_code(path: Path) -> None:
    path.unlink()
    older = "diffusion_pytorch_model.bin" if "diffusion" in path.name else "pytorch_model.bin"
    (path.parent / older).write_bytes(pickle.dumps({"encoder.conv_in.weight": Runs()}, protocol=2))


def with_nan(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("weight"))
    tensors[name].view(-1)[3] = float("nan")
    save_file(tensors, path)


def of_another_shape(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name in sorted(tensors) if name.endswith("weight"))
    save_file(tensors | {name: tensors[name][:-1].contiguous()}, path)


def of_another_model(path: Path) -> None:
    save_file({f"transformer.h.{n}.weight": torch.zeros(3) for n in range(9)}, path)


def without_one(path: Path) -> None:
    tensors = load_file(path)
    del tensors[sorted(tensors)[0]]
    save_file(tensors, path)


def with_one_more(path: Path) -> None:
    save_file(load_file(path) | {"encoder.extra.weight": torch.zeros(2)}, path)


DAMAGE = {
    cut_short: "cut short or damaged",
    with_code: "code: it asks for",
    with_nan: "NaN or infinity in 1 of",
    of_another_shape: "1 of another shape",
    of_another_model: "a checkpoint of another model",
    without_one: "1 missing",
    with_one_more: "1 unexpected (encoder.extra.weight)",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize(("name", "config_at"), [(VAE, vae_at), (VOCODER, vocoder_at)], ids=["vae", "vocoder"])
def test_a_wrong_file_is_one_clear_error(
    damage: Callable[[Path], None], name: str, config_at: Callable[..., Any], folder: Path, tmp_path: Path
) -> None:
    damage(folder / name)
    words = error_of(config_at(folder, tmp_path))
    assert DAMAGE[damage] in words
    assert str(folder / Path(name).parent) in words


def test_one_half_of_a_weight_norm_is_unexpected_and_a_direction_of_zeros_is_no_weight(tmp_path: Path) -> None:
    tiny_hifigan(tmp_path)
    plain = load_file(tmp_path / VOCODER)
    v = plain.pop("conv_pre.weight")
    at = tmp_path / "one.ckpt"
    torch.save({"generator": plain | {"conv_pre.weight_v": v}}, at)
    words = error_of(vocoder_at(at, tmp_path))
    assert "1 missing (conv_pre.weight" in words
    assert "1 unexpected (conv_pre.weight_v)" in words
    torch.save({"generator": plain | {"conv_pre.weight_v": v * 0, "conv_pre.weight_g": v[:, :1, :1]}}, at)
    assert "NaN or infinity in 1 of" in error_of(vocoder_at(at, tmp_path))


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("vae", {"norm_num_groups": 2}, "expected norm_num_groups 4; found 2"),
        ("vae", {"act_fn": "relu", "layers_per_block": 2}, 'layers_per_block 1, act_fn "silu"; found 2, "relu"'),
        ("vae", {"shift_factor": 0.1}, "expected shift_factor null; found 0.1"),
        ("vae", {"latent_channels": ABSENT}, "expected latent_channels 8; found no latent_channels"),
        ("vocoder", {"normalize_before": True}, "expected normalize_before false; found true"),
        ("vocoder", {"upsample_rates": [5, 5, 2, 5]}, "expected upsample_rates [5, 5, 5, 2]; found [5, 5, 2, 5]"),
        ("vocoder", {"sampling_rate": 24_000}, "expected sampling_rate 16000; found 24000"),
    ],
)
def test_a_config_of_another_network_is_refused_though_its_shapes_fit(
    part: str, change: dict[str, Any], said: str, folder: Path, tmp_path: Path
) -> None:
    edit_json(folder / part / "config.json", **change)
    words = error_of(vae_at(folder, tmp_path) if part == "vae" else vocoder_at(folder, tmp_path))
    assert said in words
    assert str(folder / part / "config.json") in words


@pytest.mark.parametrize(("text", "said"), [("{", "expected JSON"), ("[1]", "a table of values; found list")])
def test_a_config_that_is_none_is_refused(text: str, said: str, folder: Path, tmp_path: Path) -> None:
    (folder / "vae" / "config.json").write_text(text)
    assert said in error_of(vae_at(folder, tmp_path))


def test_a_folder_without_such_weights_says_what_it_has(folder: Path, tmp_path: Path) -> None:
    (folder / VAE).unlink()
    words = error_of(vae_at(folder, tmp_path))
    assert "diffusion_pytorch_model.safetensors or diffusion_pytorch_model.bin in vae/ or at the top" in words
    assert "found vae/config.json, vocoder/config.json, vocoder/model.safetensors" in words
    for name in ("a.ckpt", "b.ckpt"):
        torch.save({"state_dict": {}}, folder / name)
    assert "or one .ckpt; found a.ckpt, b.ckpt" in error_of(vae_at(folder, tmp_path))


def test_a_checkpoint_says_which_part_it_lacks(folder: Path, tmp_path: Path) -> None:
    torch.save({"generator": load_file(folder / VOCODER)}, tmp_path / "hifigan.ckpt")
    assert "expected a part 'state_dict'" in error_of(vae_at(tmp_path / "hifigan.ckpt", tmp_path))
    assert "expected a part 'state_dict'" in error_of(
        vocoder_at(tmp_path / "hifigan.ckpt", tmp_path, part="state_dict")
    )


def test_missing_weights_are_named_with_their_licence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path))
    paper = SPEC.model_copy(update={"duration_s": 4.0, "hop": 160})
    for config in (AudioLdmVaeConfig(), HifiGanConfig()):
        with pytest.raises(ConfigError, match=r"(?s)audioldm-s-full-v2.*NO COMMERCIAL USE"):
            config.build(paper)


@pytest.mark.parametrize("factor", [torch.ones(2), torch.tensor(0.0)])
def test_a_buffer_that_is_no_factor_is_refused(factor: torch.Tensor, folder: Path, tmp_path: Path) -> None:
    named = {f"first_stage_model.{name}": tensor for name, tensor in load_file(folder / VAE).items()}
    torch.save({"state_dict": named | {"scale_factor": factor}}, tmp_path / "a.ckpt")
    assert "expected a number above 0" in error_of(vae_at(tmp_path / "a.ckpt", tmp_path))
