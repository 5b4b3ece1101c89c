"""Cnn14 against audioldm_eval's: front end, features and logits of three waveforms, its names and shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_data import golden_folders, golden_table, numpy_arrays
from golden_nets import cnn14_look, cnn14_net
from published_weights import spec_table

from uniform_core.metrics.published.cnn14 import FRONT, FRONT_MEL, Cnn14Net, front_end
from uniform_core.metrics.published.loading import empty

ATOL_DB = 1e-4  # the README's, of the log-mel
SHARE = 1e-4  # the README's, of the largest feature or logit
# As they are, padded to 2 s by the reference's loader, and without their mean.
FORMS = {"": "wave", "_padded": "wave_padded_2s", "_dcremoved": "wave"}
KNOWN = {f"{layer}{form}" for layer in ("embedding", "logits") for form in FORMS} | set(FORMS.values())
FRONT_ARRAYS = {"power_spectrogram_frames_0_8", "logmel", "melW"}
each_folder = pytest.mark.parametrize("folder", golden_folders("cnn14"), ids=lambda path: path.name)


@each_folder
def test_nothing_in_a_folder_is_left_out(folder: Path) -> None:
    assert set(numpy_arrays(folder / "data.npz")) == KNOWN | FRONT_ARRAYS | {"clipwise"}


@each_folder
def test_front_end(folder: Path) -> None:
    golden, network = numpy_arrays(folder / "data.npz"), cnn14_net(folder).network
    np.testing.assert_allclose(front_end()[FRONT_MEL].numpy(), golden["melW"], rtol=0, atol=1e-8)
    waveform_1N = torch.from_numpy(golden["wave"]).unsqueeze(0)
    with torch.no_grad():
        power = network.spectrogram_extractor(waveform_1N)[0, : len(golden["power_spectrogram_frames_0_8"])]
        log_mel = network.log_mel(waveform_1N)[0]
    np.testing.assert_allclose(power, golden["power_spectrogram_frames_0_8"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(log_mel, golden["logmel"], rtol=0, atol=ATOL_DB)


@each_folder
@pytest.mark.parametrize("form", FORMS)
def test_features_and_logits(folder: Path, form: str) -> None:
    golden = numpy_arrays(folder / "data.npz")
    waveform_N = golden[FORMS[form]]
    if (
        form == "_padded"
    ):  # features hardly tell one sample: that the sound is the other's beginning, padded, has to be said
        heard = int(np.flatnonzero(waveform_N)[-1]) + 1
        np.testing.assert_array_equal(waveform_N[:heard], golden["wave"][:heard])
    look = cnn14_look(folder, waveform_N - waveform_N.mean() if form == "_dcremoved" else waveform_N)
    near(look.features_D, golden[f"embedding{form}"])
    near(look.logits_K, golden[f"logits{form}"])
    if not form:
        near(1 / (1 + np.exp(-look.logits_K)), golden["clipwise"])


@each_folder
def test_a_clip_alone_is_as_beside_another(folder: Path) -> None:
    waveform_BN = torch.from_numpy(numpy_arrays(folder / "data.npz")["wave"])[:16_000].reshape(2, -1)
    network = cnn14_net(folder).network
    with torch.no_grad():
        together, alone = network(waveform_BN), [network(row_1N) for row_1N in waveform_BN.split(1)]
    for i in range(2):
        torch.testing.assert_close(together[i], torch.cat([one[i] for one in alone]), rtol=0, atol=1e-5)


@each_folder
def test_names_and_shapes(folder: Path) -> None:
    names = {name: list(tensor.shape) for name, tensor in empty(Cnn14Net).state_dict().items()}
    assert names == {name: entry["shape"] for name, entry in spec_table("cnn14_16k_full").items()}
    made = {name: shape for name, shape in names.items() if name not in (*FRONT, FRONT_MEL)}
    assert made == {name: entry["shape"] for name, entry in golden_table(folder).items()}
    assert {name: list(tensor.shape) for name, tensor in front_end().items()} == {
        name: names[name] for name in (*FRONT, FRONT_MEL)
    }


def near(found: np.ndarray, golden: np.ndarray) -> None:
    """Raises AssertionError where they differ by more than the README's share of the largest."""
    np.testing.assert_allclose(found, golden, rtol=0, atol=SHARE * np.abs(golden).max())
