"""The manifest: what the paper's system needs is in it, and every entry is complete and safe."""

from __future__ import annotations

import pytest

from uniform_core.weights import MANIFEST, Weights, WeightsFile

FLAN_T5 = {f"flan-t5-{size}" for size in ("small", "base", "large", "xl", "xxl")}
AUDIOLDM = {"audioldm", "audioldm-s-full-v2", "audioldm-m-full", "audioldm-l-full", "audioldm2"}
ORIGINALS = {f"audioldm-{name}-original" for name in ("s-full", "s-full-v2", "m-full", "l-full")}
ALPHA = {f"pixart-alpha-{size}" for size in ("256x256", "512x512", "1024-ms")}
SIGMA = {f"pixart-sigma-{size}" for size in ("256x256", "512-ms", "1024-ms", "2k-ms")}
DIFFUSERS = {f"{name}-diffusers" for name in ALPHA | SIGMA}
OPENSORA = {"opensora-vae-1.2", "opensora-stdit3-xl2"}

CAPTIONERS = {"qwen2.5-vl-7b-instruct", "pllava-13b"}
EVALUATION = {"vggish", "vggish-pca", "panns-cnn14-16k", "i3d-400", "i3d-400-torchscript", "c3d-ucf101-torchscript"}


def test_everything_that_the_papers_system_needs_is_listed() -> None:
    known = FLAN_T5 | AUDIOLDM | ORIGINALS | ALPHA | SIGMA | DIFFUSERS | OPENSORA | CAPTIONERS | EVALUATION
    assert set(MANIFEST) == known
    assert {MANIFEST[name].repo for name in FLAN_T5} == {f"google/{name}" for name in FLAN_T5}
    assert {MANIFEST[name].repo for name in AUDIOLDM} == {f"cvssp/{name}" for name in AUDIOLDM}
    assert {MANIFEST[name].repo for name in ALPHA | SIGMA} == {"PixArt-alpha/PixArt-alpha", "PixArt-alpha/PixArt-Sigma"}
    assert MANIFEST["opensora-vae-1.2"].repo == "hpcai-tech/OpenSora-VAE-v1.2"
    assert MANIFEST["opensora-stdit3-xl2"].repo == "hpcai-tech/OpenSora-STDiT-v3"


@pytest.mark.parametrize("weights", MANIFEST.values(), ids=list(MANIFEST))
def test_an_entry_has_a_source_for_every_file_and_says_aloud_what_it_forbids(weights: Weights) -> None:
    assert weights.name == next(name for name, known in MANIFEST.items() if known is weights)
    assert len({file.path for file in weights.files}) == len(weights.files)
    assert weights.repo or all(file.url for file in weights.files)
    assert weights.is_commercial is ("-NC" not in weights.licence and weights.licence != "none stated")
    assert weights.used_for
    assert weights.revision == "main" or len(weights.revision) == 40
    large = [file for file in weights.files if not file.path.endswith((".json", "spiece.model"))]
    assert large, "more than a config"
    least = {"vggish-pca": 10**5}.get(weights.name, 5 * 10**7 if weights.name in EVALUATION else 10**8)
    assert all((file.likely_bytes or 10**9) > least for file in large)


def test_the_published_hashes_of_the_facts_are_the_manifests() -> None:
    """facts/audio-text-captions.md §1.4, and the pointer of the hub's page of audioldm2."""
    files = {f"{name}/{file.path}": file for name, weights in MANIFEST.items() for file in weights.files}
    vae = files["audioldm/vae/diffusion_pytorch_model.bin"]
    assert vae.sha256 == "e3fc8ccecb1849c8a23cd4f9dd959eb7aaa203cc010386288418dbc551cdaaf7"
    vocoder = files["audioldm-s-full-v2/vocoder/model.safetensors"]
    assert vocoder.sha256 == "d9dc6513c30a5b86c2497712690c04fe74b4aa79fdab6d490b34fcb4e24c590c"
    assert files["audioldm2/vae/diffusion_pytorch_model.safetensors"].size_bytes == 221_530_308
    hashes = [file.sha256 for file in files.values() if file.sha256]
    assert len(hashes) == len(set(hashes)), "one file of weights is not another"


def test_shards_are_complete_and_have_their_index() -> None:
    for name, count in (("flan-t5-xl", 2), ("flan-t5-xxl", 5), ("pllava-13b", 6), ("qwen2.5-vl-7b-instruct", 5)):
        paths = [file.path for file in MANIFEST[name].files]
        assert [path for path in paths if path.startswith("model-")] == [
            f"model-{i:05d}-of-{count:05d}.safetensors" for i in range(1, count + 1)
        ]
        assert "model.safetensors.index.json" in paths


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".hidden", "a/.git/config"])
def test_a_file_lies_in_its_folder(path: str) -> None:
    with pytest.raises(ValueError, match="plain relative path"):
        WeightsFile(path=path)


def test_sizes_of_an_entry_are_summed_as_far_as_they_are_known() -> None:
    assert MANIFEST["audioldm2"].likely_bytes == 221_530_308 + 221_000_000
    assert MANIFEST["audioldm2"].is_size_known
    assert not MANIFEST["flan-t5-xxl"].is_size_known, "two of its five shards are on no page"
    assert MANIFEST["audioldm-m-full-original"].likely_bytes == 0


def test_what_is_known_of_the_nets_of_evaluation() -> None:
    """facts/metrics.md §3: sources, and how the hashes of VGGish's files begin, which their names say too."""
    files = {name: MANIFEST[name].files[0] for name in EVALUATION}
    assert all(len(MANIFEST[name].files) == 1 for name in EVALUATION)
    assert (files["vggish"].sha256 or "").startswith("10086976")
    assert files["vggish-pca"].sha256_prefix == "970ea276"
    assert {name for name, file in files.items() if file.published_sha256 is None} == {
        "i3d-400", "c3d-ucf101-torchscript"
    }  # fmt: skip
    assert "zenodo.org/records/3987831/" in (files["panns-cnn14-16k"].url or "")
    assert "songweige/TATS" in (files["i3d-400"].url or "")
    assert MANIFEST["i3d-400-torchscript"].repo == "flateon/FVD-I3D-torchscript"


def test_a_hash_of_which_the_beginning_was_published() -> None:
    file = WeightsFile(path="a.pth", sha256_prefix="970ea276")
    assert file.is_published("970ea276" + "0" * 56)
    assert not file.is_published("970ea277" + "0" * 56)
    assert file.published_sha256 == "970ea276…"
    with pytest.raises(ValueError, match="sha256_prefix"):
        WeightsFile(path="a.pth", sha256_prefix="970ea27")
