"""AudioLDM's parts from files: every format gives the same codec, with the scaling factor that came with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from audioldm_parts import ABSENT, VAE, VOCODER, edit_json, error_of, mels, vae_at, vocoder_at
from audioldm_parts import folder as folder
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from tiny_audioldm_vae import SCALING_FACTOR, SPEC
from transformers import SpeechT5HifiGan

from uniform_core.codecs import AudioLdmVaeConfig

OLD_NAMES = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}


def test_the_vae_is_the_one_that_diffusers_loads(folder: Path, tmp_path: Path) -> None:
    network = AutoencoderKL.from_pretrained(folder / "vae")
    codec = vae_at(folder, tmp_path).build(SPEC)
    with torch.no_grad():
        expected = network.encode(mels().unsqueeze(1)).latent_dist.mean * SCALING_FACTOR
    torch.testing.assert_close(codec.encode(mels()), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("place", ["whole", "part", "bin"])
def test_a_folder_of_audioldm_its_vae_folder_and_its_older_file_are_the_same(
    place: str, folder: Path, tmp_path: Path
) -> None:
    expected = vae_at(folder, tmp_path).build(SPEC).encode(mels())
    if place == "bin":
        torch.save(load_file(folder / VAE), folder / "vae" / "diffusion_pytorch_model.bin")
        (folder / VAE).unlink()
    codec = vae_at(folder / "vae" if place == "part" else folder, tmp_path).build(SPEC)
    assert torch.equal(codec.encode(mels()), expected)


def test_former_names_of_attention_are_read_as_diffusers_reads_them(folder: Path, tmp_path: Path) -> None:
    new = load_file(folder / VAE)
    expected = vae_at(folder, tmp_path).build(SPEC).encode(mels())
    old = dict(new)
    for name in new:
        for present, former in OLD_NAMES.items():
            if f".attentions.0.{present}" in name:
                old[name.replace(present, former)] = old.pop(name)
    assert len(set(old) - set(new)) == 16
    (folder / VAE).unlink()
    torch.save(old, folder / "vae" / "diffusion_pytorch_model.bin")
    theirs = AutoencoderKL.from_pretrained(folder / "vae", use_safetensors=False)
    with torch.no_grad():
        found = theirs.encode(mels().unsqueeze(1)).latent_dist.mean * SCALING_FACTOR
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert torch.equal(vae_at(folder, tmp_path).build(SPEC).encode(mels()), expected)


def test_the_vocoder_is_the_one_that_transformers_loads(folder: Path, tmp_path: Path) -> None:
    network = SpeechT5HifiGan.from_pretrained(folder / "vocoder").eval()
    with torch.no_grad():
        expected = network(mels())
    assert expected.shape[1] > SPEC.samples, "what is left over is cut"
    found = vocoder_at(folder, tmp_path).build(SPEC).synthesise(mels())
    torch.testing.assert_close(found, expected[:, : SPEC.samples], rtol=0, atol=1e-6)
    assert found.abs().max() > 0.01
    torch.save(load_file(folder / VOCODER), folder / "vocoder" / "pytorch_model.bin")
    (folder / VOCODER).unlink()
    assert torch.equal(vocoder_at(folder / "vocoder", tmp_path).build(SPEC).synthesise(mels()), found)


def test_weights_are_copied_and_not_the_file_itself(folder: Path, tmp_path: Path) -> None:
    codec, vocoder = vae_at(folder, tmp_path).build(SPEC), vocoder_at(folder, tmp_path).build(SPEC)
    before = codec.encode(mels()), vocoder.synthesise(mels())
    for name in (VAE, VOCODER):
        data = (folder / name).read_bytes()
        with (folder / name).open("r+b") as file:
            file.write(b"\0" * len(data))
    assert torch.equal(codec.encode(mels()), before[0])
    assert torch.equal(vocoder.synthesise(mels()), before[1])


def test_half_the_precision_is_near_and_what_comes_out_is_float32(folder: Path, tmp_path: Path) -> None:
    full, half = (vae_at(folder, tmp_path, dtype=dtype).build(SPEC) for dtype in ("float32", "bfloat16"))
    latent, rounded = full.encode(mels()), half.encode(mels())
    assert rounded.dtype == torch.float32
    assert 0 < (latent - rounded).abs().mean() < 0.05 * latent.std()
    assert half.decode(latent).dtype == torch.float32


@pytest.mark.parametrize("config_at", [vae_at, vocoder_at])
def test_batches_are_made_in_chunks(config_at: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    sizes = []
    one, whole = (config_at(folder, tmp_path, batch=size).build(SPEC) for size in (1, 8))
    counted = one._network.encoder if config_at is vae_at else one._network
    counted.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    mel = torch.cat([mels(), mels() + 0.5])
    if config_at is vae_at:
        found, expected = one.encode(mel), whole.encode(mel)
    else:
        found, expected = one.synthesise(mel), whole.synthesise(mel)
    assert sizes == [1, 1, 1, 1]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_scaling_factor_is_the_files_own(folder: Path, tmp_path: Path) -> None:
    one = vae_at(folder, tmp_path).build(SPEC)
    edit_json(folder / "vae" / "config.json", scaling_factor=2 * SCALING_FACTOR)
    two = vae_at(folder, tmp_path).build(SPEC)
    torch.testing.assert_close(two.encode(mels()), 2 * one.encode(mels()))
    torch.testing.assert_close(two.decode(two.encode(mels())), one.decode(one.encode(mels())))


def test_weights_without_a_factor_need_one_in_the_config(folder: Path, tmp_path: Path) -> None:
    edit_json(folder / "vae" / "config.json", scaling_factor=ABSENT)
    words = error_of(vae_at(folder, tmp_path))
    assert "scaling factor of" in words
    assert "Set audio_codec.scaling_factor" in words
    assert vae_at(folder, tmp_path, scaling_factor=0.5).build(SPEC).scaling_factor == 0.5  # type: ignore[attr-defined]
    file = vae_at(folder / VAE, tmp_path)
    assert "Set audio_codec.scaling_factor" in error_of(file)


@pytest.mark.parametrize("wrong", [0.0, -1.0, "1.0", True, [1.0]])
def test_a_factor_that_is_none_is_refused(wrong: object, folder: Path, tmp_path: Path) -> None:
    edit_json(folder / "vae" / "config.json", scaling_factor=wrong)
    assert "expected a number above 0" in error_of(vae_at(folder, tmp_path))


def test_a_factor_that_contradicts_the_files_is_refused(folder: Path, tmp_path: Path) -> None:
    words = error_of(vae_at(folder, tmp_path, scaling_factor=0.18215))
    assert f"expected audio_codec.scaling_factor 0.18215; found {SCALING_FACTOR} in the weights" in words
    assert vae_at(folder, tmp_path, scaling_factor=SCALING_FACTOR).build(SPEC)


def test_a_fingerprint_is_of_the_weights_and_the_factor_and_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    def vae() -> dict[str, Any]:
        return vae_at(folder, tmp_path).fingerprint_params()

    first = vae()
    assert first["weights"] is not None
    assert {"version", "mel_version"} <= set(first) & set(vocoder_at(folder, tmp_path).fingerprint_params())
    assert vae_at(folder, tmp_path, device="auto", batch=1).fingerprint_params() == first
    assert vae_at(folder, tmp_path, dtype="bfloat16").fingerprint_params() != first
    assert vocoder_at(folder, tmp_path, device="auto", batch=1).fingerprint_params()["weights"] == first["weights"]
    folder = folder.rename(tmp_path / "elsewhere")
    assert vae() == first
    edit_json(folder / "vae" / "config.json", scaling_factor=0.5)
    assert vae() != first
    assert AudioLdmVaeConfig(weights=str(tmp_path / "none")).fingerprint_params()["weights"] is None
