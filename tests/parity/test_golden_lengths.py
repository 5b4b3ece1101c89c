"""Parity holds for folders of other lengths than the copy's: lengths and numbers are read, and none is written down.

Folders are made of the copy's by leaving out whole samples, inputs and chunks; the log-mel, of which no part can be
left out, is computed anew from its README's formula.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import test_iddpm_parity as iddpm
import test_stdit3_parity as stdit3
from golden_checks import require_parity
from golden_data import Arrays, altered, golden_folders, numpy_arrays

Alter = Callable[[Path, Path], Path]


def first_samples(arrays: Arrays, *, of: int, kept: int) -> Arrays:
    """The arrays, those of a batch of `of` samples with the first few alone."""
    return {name: array[:kept] if array.shape[:1] == (of,) else array for name, array in arrays.items()}


def stdit3_of_one_sample(folder: Path, into: Path) -> Path:
    """And with one grid of position codes."""
    batch = len(numpy_arrays(folder / "inputs.npz")["x"])

    def outputs(arrays: Arrays) -> Arrays:
        lengths = {name.removesuffix(".y_lens"): int(array[0]) for name, array in arrays.items() if "y_lens" in name}
        kept = first_samples(arrays, of=batch, kept=1)
        packed = {f"{case}.y_packed": arrays[f"{case}.y_packed"][:, :length] for case, length in lengths.items()}
        grid = next(name for name in arrays if name.startswith("posemb."))
        return {name: array for name, array in (kept | packed).items() if name != grid}

    return altered(folder, into, inputs=lambda arrays: first_samples(arrays, of=batch, kept=1), outputs=outputs)


def vae_of_other_inputs(folder: Path, into: Path) -> Path:
    """One sample of the batch of two, an input less, and two chunks instead of three, which others do not see."""
    frames, latent_frames = 34, 10

    def changed(arrays: Arrays) -> Arrays:
        kept = {name: array for name, array in arrays.items() if name.partition(".")[0] != "x9"}
        kept = first_samples(kept, of=2, kept=1)
        for old, new, length in (
            ("x39", f"x{frames}", frames),
            ("pipe39.z_normalised", f"pipe{frames}.z_normalised", latent_frames),
            ("pipe39.decoded", f"pipe{frames}.decoded", frames),
        ):
            if old in kept:
                kept[new] = kept.pop(old)[:, :, :length]
        return kept

    return altered(folder, into, inputs=changed, outputs=changed)


def iddpm_of_fewer_samples(folder: Path, into: Path) -> Path:
    """Two instead of three in training, one instead of two in sampling, and without the tables of 30 steps."""

    def changed(arrays: Arrays) -> Arrays:
        kept = {name: array for name, array in arrays.items() if "30" not in name and name != "timestep_map100"}
        halves = {"step_noise": np.s_[:, :1], "step_noise_cfg": np.s_[:, ::2], "cfg5.samples_full": np.s_[::2]}
        cut = {name: kept[name][halves[name]] for name in halves if name in kept}
        return first_samples(first_samples(kept, of=2, kept=1), of=3, kept=2) | cut

    return altered(folder, into, inputs=changed, outputs=changed)


def half_the_batch(*stems: str) -> Alter:
    """One sample instead of two in each of these files."""

    def alter(folder: Path, into: Path) -> Path:
        changes = dict.fromkeys(stems, lambda arrays: first_samples(arrays, of=2, kept=1))
        return altered(folder, into, **changes)

    return alter


def mel_by_formula(waveform_N: np.ndarray, basis: np.ndarray, *, padding: int) -> np.ndarray:
    """The README's log-mel: reflected ends, windowed transform of every hop, magnitude, filter bank, floored log."""
    padded = np.pad(waveform_N.astype(np.float64), padding, mode="reflect")
    rows = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::160]
    magnitudes = np.abs(np.fft.rfft(rows * np.hanning(1025)[:-1]))
    return np.log(np.maximum(basis @ magnitudes.T, 1e-5)).astype(np.float32)


def mel_of(samples: int) -> Alter:
    """So many samples of the waveform, which begins again at its end."""

    def changed(arrays: Arrays) -> Arrays:
        waveform, basis = np.resize(arrays["waveform"], samples), arrays["mel_basis"]
        centred = waveform - waveform.mean()
        return {
            "waveform": waveform,
            "mel_basis": basis,
            "normalized_waveform": centred / (np.abs(centred).max() + 1e-8) * 0.5,
            "mel_training": mel_by_formula(waveform, basis, padding=432),
            "mel_inference": mel_by_formula(waveform, basis, padding=512),
            "mel_training_first64000": mel_by_formula(waveform[:64_000], basis, padding=432),
        }

    return lambda folder, into: altered(folder, into, mel=changed)


def vggish_of_two_seconds(folder: Path, into: Path) -> Path:
    """The first 2 s, and the two examples that they give."""

    def changed(arrays: Arrays) -> Arrays:
        return first_samples(arrays, of=4, kept=2) | {"wave": arrays["wave"][:32_000]}

    return altered(folder, into, data=changed)


ALTERED: dict[str, tuple[str, Alter]] = {
    "stdit3": ("stdit3", stdit3_of_one_sample),
    "vae_temporal": ("vae_temporal", vae_of_other_inputs),
    "iddpm": ("iddpm", iddpm_of_fewer_samples),
    "audio_vae": ("audio_vae", half_the_batch("io")),
    "hifigan": ("hifigan", half_the_batch("io", "io_plain")),
    "vggish": ("vggish", vggish_of_two_seconds),
    "mel, shorter": ("mel", mel_of(48_077)),
    "mel, longer": ("mel", mel_of(69_300)),
}


def copy_of(name: str) -> Path:
    """The copy's own folder, of which the lengths are known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("UNIFORM_GOLDEN_DIR", raising=False)
        return golden_folders(name)[0]


@pytest.mark.parametrize("what", ALTERED)
def test_a_folder_of_other_lengths_passes(what: str, tmp_path: Path) -> None:
    name, alter = ALTERED[what]
    folder = alter(copy_of(name), tmp_path)
    shapes = [
        {array: value.shape for path in sorted(each.glob("*.npz")) for array, value in numpy_arrays(path).items()}
        for each in (folder, copy_of(name))
    ]
    assert shapes[0] != shapes[1]
    require_parity(name, folder, tmp_path / "work")


def test_the_formula_is_the_references() -> None:
    arrays = numpy_arrays(copy_of("mel") / "mel.npz")
    for form, padding in (("training", 432), ("inference", 512)):
        found = mel_by_formula(arrays["waveform"], arrays["mel_basis"], padding=padding)
        difference = np.abs(found - arrays[f"mel_{form}"])
        assert difference.max() < 1e-2
        assert difference.mean() < 1e-4


def test_how_strongly_text_guides_is_read_from_the_config(tmp_path: Path) -> None:
    """The results of scale 5 under the name of another scale are wrong."""

    def renamed(arrays: Arrays) -> Arrays:
        return {name.replace("cfg5.", "cfg4."): array for name, array in arrays.items()}

    folder = altered(copy_of("iddpm"), tmp_path, outputs=renamed)
    config = json.loads((folder / "config.json").read_text())
    config["config"]["cfg_scale"] = 4.0
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(AssertionError):
        iddpm.test_text_guidance(folder, "theirs")


def test_the_size_in_pixels_is_read_from_the_folder(tmp_path: Path) -> None:
    def taller(arrays: Arrays) -> Arrays:
        return arrays | {"height": 2 * arrays["height"]}

    folder = altered(copy_of("stdit3"), tmp_path, inputs=taller)
    with pytest.raises(AssertionError):
        stdit3.test_the_unified_width(folder)
