"""VGGish against torchvggish: its front end, both ends of its last layer, its names and shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden_data import golden_folders, golden_table, numpy_arrays
from golden_nets import vggish_net
from published_weights import spec_table

from uniform_core.metrics.published.loading import empty
from uniform_core.metrics.published.sound import RATE_HZ
from uniform_core.metrics.published.vggish import VggishNet, Whitening
from uniform_core.metrics.published.vggish_front import examples_of, log_mel_examples, mel_matrix

ATOL_FRONT = 1e-9  # float64 on both sides
ATOL = 1e-5  # of embeddings of about 1, in float32
KNOWN = {"wave", "log_mel_examples", "mel_matrix", "embedding_no_final_relu", "embedding_with_final_relu"}
COUNTS = {"n_examples_2s": 2, "n_examples_4s": 4}
each_folder = pytest.mark.parametrize("folder", golden_folders("vggish"), ids=lambda path: path.name)


@each_folder
def test_nothing_in_a_folder_is_left_out(folder: Path) -> None:
    assert set(numpy_arrays(folder / "data.npz")) == KNOWN | set(COUNTS)


@each_folder
def test_front_end(folder: Path) -> None:
    golden = numpy_arrays(folder / "data.npz")
    np.testing.assert_allclose(mel_matrix(), golden["mel_matrix"], rtol=0, atol=ATOL_FRONT)
    found = log_mel_examples(golden["wave"])
    np.testing.assert_allclose(found, golden["log_mel_examples"], rtol=0, atol=ATOL_FRONT)
    assert len(found) == examples_of(len(golden["wave"]))
    assert {name: examples_of(seconds * RATE_HZ) for name, seconds in COUNTS.items()} == {
        name: int(golden[name]) for name in COUNTS
    }


@each_folder
def test_embeddings(folder: Path) -> None:
    golden, net = numpy_arrays(folder / "data.npz"), vggish_net(folder)
    linear = net.embed(golden["wave"])
    np.testing.assert_allclose(linear, golden["embedding_no_final_relu"], rtol=0, atol=ATOL)
    behind = replace(net, layer="relu").embed(golden["wave"])
    np.testing.assert_allclose(behind, golden["embedding_with_final_relu"], rtol=0, atol=ATOL)


@each_folder
def test_an_example_alone_is_as_beside_others(folder: Path) -> None:
    examples, net = log_mel_examples(numpy_arrays(folder / "data.npz")["wave"])[:2], vggish_net(folder)
    alone = np.concatenate([net.embed_examples(examples[i : i + 1]) for i in range(len(examples))])
    np.testing.assert_allclose(net.embed_examples(examples), alone, rtol=0, atol=1e-5)


@each_folder
def test_names_and_shapes(folder: Path) -> None:
    names = {name: list(tensor.shape) for name, tensor in empty(VggishNet).state_dict().items()}
    assert names == {name: entry["shape"] for name, entry in golden_table(folder).items()}
    assert names == {name: entry["shape"] for name, entry in spec_table("vggish").items()}


def test_names_and_shapes_of_the_pca() -> None:
    names = {f"pproc.{name}": list(tensor.shape) for name, tensor in empty(Whitening).state_dict().items()}
    assert names == {name: entry["shape"] for name, entry in spec_table("vggish_pca").items()}
