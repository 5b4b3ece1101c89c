"""The published nets: what they refuse, what their files may look like, and the arithmetic of their front ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from published_weights import made_state, spec_table, write_vggish_pca

from uniform_core.errors import ConfigError
from uniform_core.metrics.published import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.published.cnn14 import FRONT, FRONT_MEL, MIN_SAMPLES, Cnn14, Cnn14Net
from uniform_core.metrics.published.frames import (
    mm_diffusion_clip,
    mm_diffusion_frames,
    plain_clip,
    styleganv_clip,
)
from uniform_core.metrics.published.i3d import MIN_FRAMES, I3d, I3dNet, require_clips
from uniform_core.metrics.published.loading import empty
from uniform_core.metrics.published.sound import require_waveform
from uniform_core.metrics.published.vggish import Vggish, VggishNet, load_whitening
from uniform_core.metrics.published.vggish_front import MIN_SAMPLES as VGGISH_SAMPLES
from uniform_core.metrics.published.vggish_front import examples_of, log_mel_examples
from uniform_core.seeds import numpy_rng


def sound(samples: int) -> np.ndarray:
    return numpy_rng("test.published").standard_normal(samples).astype(np.float32) * 0.1


def pictures(height: int, width: int, *, frames: int = 9) -> np.ndarray:
    return numpy_rng("test.pictures").integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_their_configs_need_no_torch() -> None:
    """Quick commands read configs and fingerprints."""
    asked = (
        "import sys, uniform_core.metrics.published as p; p.Cnn14Config().fingerprint; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def bytes_of(spec: str, *, without: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    """A state of a spec's names and shapes, of zeros of one byte: files of the real sizes take seconds."""
    shapes = {name: entry["shape"] for name, entry in spec_table(spec).items() if name not in without}
    return {name: torch.zeros(shape, dtype=torch.int8) for name, shape in shapes.items()}


WRONG_SOUNDS = {
    "samples": sound(4_959),
    "NaN": np.full(4_960, np.nan, dtype=np.float32),
    r"int16 of shape \[4960\]": np.zeros(4_960, dtype=np.int16),
    r"float32 of shape \[2, 4960\]": np.zeros((2, 4_960), dtype=np.float32),
}


@pytest.mark.parametrize("said", WRONG_SOUNDS)
def test_sounds_that_no_net_can_hear(said: str) -> None:
    with pytest.raises(ConfigError, match=rf"Cnn14: a waveform: expected .* at least 4,960 .*; found .*{said}"):
        require_waveform(WRONG_SOUNDS[said], least=MIN_SAMPLES, net="Cnn14")


def test_the_nets_ask_for_as_much_as_they_need() -> None:
    for samples, is_enough in ((MIN_SAMPLES, True), (MIN_SAMPLES - 1, False)):
        assert _fits(lambda n=samples: empty(Cnn14Net)(torch.zeros(1, n, device="meta"))) is is_enough
    with pytest.raises(ConfigError, match=r"Cnn14: a waveform: .* found 4,959 samples"):
        Cnn14(empty(Cnn14Net)).look(sound(MIN_SAMPLES - 1))
    assert log_mel_examples(sound(VGGISH_SAMPLES)).shape == (1, 96, 64)
    with pytest.raises(ConfigError, match=r"VGGish: a waveform: .* found 15,599 samples"):
        log_mel_examples(sound(VGGISH_SAMPLES - 1))
    assert [examples_of(n) for n in (0, 399, 15_599, 15_600, 30_959, 30_960)] == [0, 0, 0, 1, 1, 2]
    network = empty(partial(I3dNet, batch_norm_eps=1e-5))
    for frames, is_enough in ((MIN_FRAMES, True), (MIN_FRAMES - 1, False)):
        assert _fits(lambda n=frames: network(torch.zeros(1, 3, n, 224, 224, device="meta"))) is is_enough


def _fits(look: Callable[[], object]) -> bool:
    try:
        look()
    except RuntimeError:  # torch's, of a pooling of which nothing is left
        return False
    return True


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 3, 8, 224, 224), "found 8 frames"),
        ((1, 3, 9, 112, 224), r"found float32 of shape \[1, 3, 9, 112, 224\]"),
        ((1, 1, 9, 224, 224), r"found float32 of shape \[1, 1, 9, 224, 224\]"),
        ((0, 3, 9, 224, 224), "found no clip"),
    ],
)
def test_clips_that_i3d_cannot_look_at(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=f"I3D: clips: expected finite floats .* at least 9 frames; {said}"):
        I3d(empty(partial(I3dNet, batch_norm_eps=1e-5))).look(torch.zeros(shape))
    with pytest.raises(ConfigError, match="found NaN or infinity"):
        require_clips(torch.full((1, 3, 9, 224, 224), float("nan")))
    with pytest.raises(ConfigError, match="found uint8 of shape"):
        require_clips(torch.zeros((1, 3, 9, 224, 224), dtype=torch.uint8))


def test_cnn14s_checkpoint_has_its_front_end_or_none_of_it(tmp_path: Path) -> None:
    path = tmp_path / "Cnn14_16k_mAP=0.438.pth"
    config = Cnn14Config(weights=str(tmp_path))
    for missing in ((), (*FRONT, FRONT_MEL)):
        torch.save({"model": bytes_of("cnn14_16k_full", without=missing), "sampler": np.arange(3)}, path)
        config.require_weights()
    torch.save({"model": bytes_of("cnn14_16k_full", without=(FRONT_MEL,))}, path)
    with pytest.raises(ConfigError, match=r"expected 84 named tensors; found 1 missing \(logmel_extractor.melW"):
        config.require_weights()
    torch.save(bytes_of("vggish_pca"), path)
    with pytest.raises(ConfigError, match="expected a part 'model'"):
        config.require_weights()


def test_a_checkpoint_of_another_net_is_named_by_what_is_odd(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    state = bytes_of("i3d_400")
    torch.save(state, path)
    I3dConfig(weights=str(path)).require_weights()
    torch.save({**state, "logits.conv3d.bias": torch.zeros(101, dtype=torch.int8)}, path)
    with pytest.raises(ConfigError, match=r"1 of another shape \(logits.conv3d.bias \[101\] instead of \[400\]\)"):
        I3dConfig(weights=str(path)).require_weights()
    with pytest.raises(ConfigError, match="a checkpoint of another model: 18 missing"):
        VggishConfig(weights=str(path)).require_weights()
    (tmp_path / "other.pt").write_bytes(path.read_bytes())
    with pytest.raises(ConfigError, match=r"expected a file vggish-10086976.pth; found other.pt, weights.pt"):
        VggishConfig(weights=str(tmp_path)).require_weights()


class RunsCode:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.mark}",)


def test_arrays_in_a_file_let_no_code_in(tmp_path: Path) -> None:
    path = tmp_path / "Cnn14_16k_mAP=0.438.pth"
    for hostile in (RunsCode(tmp_path / "mark"), np.array([RunsCode(tmp_path / "mark")], dtype=object)):
        torch.save({"model": {}, "sampler": hostile}, path)
        with pytest.raises(ConfigError, match="refused"):
            Cnn14Config(weights=str(path)).require_weights()
    assert not (tmp_path / "mark").exists()


def test_the_pca_whitens_and_cuts_to_eight_bits(tmp_path: Path) -> None:
    write_vggish_pca(tmp_path)
    whitening = load_whitening(VggishConfig(layer="pca", pca_weights=str(tmp_path), device="cpu"))
    state = {name.removeprefix("pproc."): value.numpy() for name, value in made_state("vggish_pca", 0).items()}
    embedded = numpy_rng("test.embedded").standard_normal((5, 128)).astype(np.float32)
    by_hand = (state["pca_eigen_vectors"] @ (embedded.T - state["pca_means"])).T
    expected = np.round((np.clip(by_hand, -2, 2) + 2) * 255 / 4)
    found = whitening(torch.from_numpy(embedded)).numpy()
    assert np.abs(found - expected).max() <= 1, "a value at the half may fall to either side"
    assert (found != expected).mean() < 0.01
    assert (found.min(), found.max()) == (0, 255)


class Line(VggishNet):
    """A net that says the same of every example."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.none = torch.nn.Parameter(torch.zeros(1))

    def linear(self, examples_ETF: torch.Tensor) -> torch.Tensor:
        return torch.linspace(-1, 1, 128).expand(len(examples_ETF), -1)


def test_the_layer_pca_goes_on_from_the_relu(tmp_path: Path) -> None:
    write_vggish_pca(tmp_path)
    whitening = load_whitening(VggishConfig(layer="pca", pca_weights=str(tmp_path), device="cpu"))
    nets = {"linear": Vggish(Line()), "relu": Vggish(Line(), "relu"), "pca": Vggish(Line(), "pca", whitening)}
    found = {layer: net.embed_examples(np.zeros((2, 96, 64))) for layer, net in nets.items()}
    assert found["linear"].min() == -1
    assert np.array_equal(found["relu"], np.maximum(found["linear"], 0))
    assert np.array_equal(found["pca"], whitening(torch.from_numpy(found["relu"])).numpy())


def test_mm_diffusions_loader_keeps_the_aspect_in_a_black_square() -> None:
    for height, width, kept in ((90, 160, (36, 64)), (160, 90, (64, 36)), (64, 64, (64, 64)), (33, 65, (32, 64))):
        square = mm_diffusion_frames(np.full((2, height, width, 3), 255, dtype=np.uint8))
        assert square.shape == (2, 64, 64, 3)
        rows, columns = (square[0, :, :, 0].any(axis=axis) for axis in (1, 0))
        assert (rows.sum(), columns.sum()) == kept
        top, left = ((64 - size) // 2 for size in kept)
        assert (rows.argmax(), columns.argmax()) == (top, left)
    with pytest.raises(ConfigError, match="found 2x200"):
        mm_diffusion_frames(pictures(200, 2))


def test_its_way_to_floats_and_back_makes_63_values_one_darker() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8), 64 * 64 * 3).reshape(256, 64, 64, 3)
    assert np.array_equal(mm_diffusion_frames(grey, is_truncated=False), grey)
    lost = grey.astype(int) - mm_diffusion_frames(grey)
    assert set(np.unique(lost)) == {0, 1}
    assert lost[:, 0, 0, 0].sum() == 63


def test_antialiasing_is_another_picture() -> None:
    frames = pictures(200, 200)
    plain, smooth = mm_diffusion_frames(frames), mm_diffusion_frames(frames, has_antialias=True)
    assert plain.std() > 1.5 * smooth.std()


def test_front_ends_cut_or_squash() -> None:
    frames = np.zeros((9, 100, 300, 3), dtype=np.uint8)
    frames[:, :, 96:204] = 255
    cut, squashed = mm_diffusion_clip(frames), styleganv_clip(frames)
    assert cut.shape == squashed.shape == (3, 9, 224, 224)
    assert float(cut.min()) > 0.999, "the middle third alone"
    assert 0.34 < float((squashed > 0).float().mean()) < 0.38
    tall = mm_diffusion_clip(frames.transpose(0, 2, 1, 3).copy())
    torch.testing.assert_close(tall, cut, rtol=0, atol=1e-6)
    whole = plain_clip(frames)
    assert (whole.shape, float(whole.max())) == ((3, 9, 100, 300), 255)
