"""Every public file of weights that a config may name: from where, how large, under which licence, for what.

Sizes and sha256 are those of the hub's own pages (file details and the pointers in commits, as stored in 2024 and
2025), read for this project and never copied from a download of ours. What no page gives is None, and pinned at first
sight. A revision is a commit where the page that gave the hashes named one in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from uniform_core.weights.evaluation import EVALUATION
from uniform_core.weights.record import Weights, WeightsFile

NC: Final = "CC-BY-NC-SA-4.0"
RAIL: Final = "CreativeML Open RAIL++-M"  # commercial use allowed, listed harmful uses not

MB, GB = 10**6, 10**9


def _file(path: str, about: float | None = None, sha256: str | None = None) -> WeightsFile:
    """One file of a repository, with its size as the hub rounds it."""
    return WeightsFile(path=path, about_bytes=None if about is None else round(about), sha256=sha256)


def _exact(path: str, size_bytes: int, sha256: str) -> WeightsFile:
    """One file whose pointer in the repository was read: its size to the byte."""
    return WeightsFile(path=path, size_bytes=size_bytes, sha256=sha256)


_OPENSORA: Final = (
    Weights(
        name="opensora-vae-1.2",
        repo="hpcai-tech/OpenSora-VAE-v1.2",
        revision="33d153e9b5a9f771a8a84f98bd3f46458a8ed0bf",
        files=(
            _file("config.json"),
            _file("model.safetensors", 1.57 * GB, "057f368f538ca04540c0728a6b8ef80ff529077c5a1c4ba810eb8ba017b8d7c9"),
        ),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="video_codec opensora_vae",
    ),
    Weights(
        name="opensora-stdit3-xl2",
        repo="hpcai-tech/OpenSora-STDiT-v3",
        files=(
            _file("config.json"),
            _file("model.safetensors", 4.84 * GB, "6304432e4d2792a4c9bee2c72cf588081d219a25d7e62805b63c3da4d3ccf65d"),
        ),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="model init opensora_v1_2",
    ),
)

# One vocoder for two of the repositories, by its hash.
_HIFIGAN: Final = "d9dc6513c30a5b86c2497712690c04fe74b4aa79fdab6d490b34fcb4e24c590c"


def _audioldm(name: str, vae: WeightsFile, vocoder: WeightsFile) -> Weights:
    """The VAE and the vocoder of one AudioLDM, as diffusers and transformers saved them."""
    return Weights(
        name=name,
        repo=f"cvssp/{name}",
        files=(_file("vae/config.json"), vae, _file("vocoder/config.json"), vocoder),
        licence=NC,
        is_commercial=False,
        used_for="audio_codec audioldm_vae, vocoder hifigan",
    )


def _audioldm_original(name: str, record: int, file: str) -> Weights:
    """A whole checkpoint as its authors published it: VAE, vocoder and scale factor under `state_dict`."""
    return Weights(
        name=f"{name}-original",
        repo=None,
        files=(WeightsFile(path=f"{name}.ckpt", url=f"https://zenodo.org/records/{record}/files/{file}?download=1"),),
        licence="CC-BY-NC-4.0",  # AudioLDM's README on its checkpoints, stricter than the record's own CC-BY
        is_commercial=False,
        used_for="audio_codec audioldm_vae, vocoder hifigan",
    )


_VAE, _VOCODER = "vae/diffusion_pytorch_model", "vocoder/model.safetensors"
_AUDIOLDM: Final = (
    _audioldm(
        "audioldm",
        _file(f"{_VAE}.bin", 222 * MB, "e3fc8ccecb1849c8a23cd4f9dd959eb7aaa203cc010386288418dbc551cdaaf7"),
        _file("vocoder/pytorch_model.bin", 221 * MB),
    ),
    _audioldm("audioldm-s-full-v2", _file(f"{_VAE}.safetensors", 222 * MB), _file(_VOCODER, 221 * MB, _HIFIGAN)),
    _audioldm("audioldm-m-full", _file(f"{_VAE}.safetensors", 222 * MB), _file(_VOCODER, 221 * MB)),
    _audioldm("audioldm-l-full", _file(f"{_VAE}.bin", 222 * MB), _file("vocoder/pytorch_model.bin", 221 * MB)),
    _audioldm(
        "audioldm2",
        _exact(
            f"{_VAE}.safetensors",
            221_530_308,
            "5f8ddddc5c45eddaab38a67a434e8a64486964540ba3fc248a0da7cbd599d4ad",
        ),
        _file(_VOCODER, 221 * MB),
    ),
    _audioldm_original("audioldm-s-full", 7600541, "audioldm-s-full"),
    _audioldm_original("audioldm-s-full-v2", 7698295, "audioldm-full-s-v2.ckpt"),
    _audioldm_original("audioldm-l-full", 7698295, "audioldm-full-l.ckpt"),
    _audioldm_original("audioldm-m-full", 7884686, "audioldm-m-full.ckpt"),
)


def _flan_t5(size: str, *weights: WeightsFile, revision: str = "main") -> Weights:
    """One size of FLAN-T5: config, tokenizer, and its weights in as many files as its authors made."""
    texts = ["config.json", "spiece.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
    if len(weights) > 1:
        texts.append("model.safetensors.index.json")
    return Weights(
        name=f"flan-t5-{size}",
        repo=f"google/flan-t5-{size}",
        revision=revision,
        files=(*map(_file, texts), *weights),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="text flan_t5",
    )


_XXL = "model-0000{}-of-00005.safetensors"
_FLAN_T5: Final = (
    _flan_t5("small", _file("model.safetensors", 308 * MB)),
    _flan_t5(
        "base",
        _file("model.safetensors", 990 * MB, "1dfb70afdcedceb9f9fae2f9b68e004ad934361fb35b9b2bd50b45ea90790fc8"),
    ),
    _flan_t5(
        "large",
        _file("model.safetensors", 3.13 * GB, "a9dd06ce490f139af36e9eb77dd3758b4fd07a08a73d5a1abe5ff2591e2d388e"),
    ),
    _flan_t5(
        "xl",
        _file(
            "model-00001-of-00002.safetensors",
            9.45 * GB,
            "99196ddfbe886e8ef860f52de979df64890edfc792c3d94ce0502991f347dd18",
        ),
        _file(
            "model-00002-of-00002.safetensors",
            1.95 * GB,
            "c0c677ddeb21009b6efd97146f37fc3a0396707fb5e63ade7aff64884dce9806",
        ),
        revision="7d6315df2c2fb742f0f5b556879d730926ca9001",
    ),
    _flan_t5(
        "xxl",
        _file(_XXL.format(1), 9.45 * GB, "2399615e60e983d1e647248b15bfad3c0ccd9473a0e387dbe03284fcaacf21c2"),
        _file(_XXL.format(2)),
        _file(_XXL.format(3), 9.96 * GB, "60a2c0b6f284a55df23ee68ce3065631368d7a6a35e5443b5cd98151f145fd67"),
        _file(_XXL.format(4)),
        _file(_XXL.format(5), 6.06 * GB, "b0001f5f48ce5bf0e7e997c57ce5170ce0c0b0d667ee2a72d01d9aa26f40b7b5"),
    ),
)


def _pixart(name: str, repo: str, *files: WeightsFile, licence: str = RAIL, revision: str = "main") -> Weights:
    """One PixArt transformer: its authors' `.pth`, or diffusers' form with its config."""
    return Weights(
        name=name,
        repo=f"PixArt-alpha/{repo}",
        revision=revision,
        files=files,
        licence=licence,
        is_commercial=True,
        used_for="model init pixart",
    )


def _alpha(size: str, about: float) -> Weights:
    """A `.pth` of PixArt-α. The repository is tagged AGPL, the cards of diffusers' form Open RAIL++-M."""
    file = _file(f"PixArt-XL-2-{size}.pth", about)
    return _pixart(f"pixart-alpha-{size.lower()}", "PixArt-alpha", file, licence="AGPL-3.0")


def _sigma(size: str, size_bytes: int, sha256: str) -> Weights:
    """A `.pth` of PixArt-Σ."""
    file = _exact(f"PixArt-Sigma-XL-2-{size}.pth", size_bytes, sha256)
    revision = "bbfbcaf03ffa17b7368dfa25d93265d2b77466c4"
    return _pixart(f"pixart-sigma-{size.lower()}", "PixArt-Sigma", file, revision=revision)


def _diffusers(
    name: str, repo: str, about: float, sha256: str | None = None, *, licence: str = RAIL, revision: str = "main"
) -> Weights:
    """A PixArt transformer as diffusers saved it."""
    weights = _file("transformer/diffusion_pytorch_model.safetensors", about, sha256)
    files = (_file("transformer/config.json"), weights)
    return _pixart(f"{name}-diffusers", repo, *files, licence=licence, revision=revision)


_PIXART: Final = (
    _alpha("256x256", 2.45 * GB),
    _alpha("512x512", 2.45 * GB),
    _alpha("1024-MS", 2.47 * GB),
    _sigma("256x256", 2_448_479_481, "c1976eff52aa6f0816a0917b6609661c336b50eae67c1b12514ec12d2b5c701e"),
    _sigma("512-MS", 2_448_479_481, "00bcbad9dd6467e01407cfb44b81a395bd0b13870339033e6bbc4854c0d67090"),
    _sigma("1024-MS", 2_467_384_245, "e63941ddc11c9e0bba27e9a0e454d5d959361119849ecfc8981f0488f0d96ff3"),
    _sigma("2K-MS", 2_524_006_471, "a52964634c6ff25969ae253b5c86f2163eda277145e0067b9a4ae1d20934a767"),
    _diffusers("pixart-alpha-256x256", "PixArt-XL-2-256x256", 2.44 * GB),
    _diffusers("pixart-alpha-512x512", "PixArt-XL-2-512x512", 2.45 * GB),
    _diffusers("pixart-alpha-1024-ms", "PixArt-XL-2-1024-MS", 2.45 * GB),
    _diffusers(
        "pixart-sigma-256x256",
        "PixArt-Sigma-XL-2-256x256",
        2.44 * GB,
        "b3c03f59d0b61ae965af5c19428f620ccfc57b9909bcc17c8f43f573c3c3c34a",
        licence="OpenRAIL",
        revision="495cb1bafac48d71ca96761409c5fd7e48354df2",
    ),
    _diffusers(
        "pixart-sigma-512-ms",
        "PixArt-Sigma-XL-2-512-MS",
        2.44 * GB,
        "20f3328e926039b2fbfa0094469bc6af2a034da39bab51ebbe2019ac455186ca",
    ),
    _diffusers("pixart-sigma-1024-ms", "PixArt-Sigma-XL-2-1024-MS", 2.44 * GB),
    _diffusers(
        "pixart-sigma-2k-ms",
        "PixArt-Sigma-XL-2-2K-MS",
        2.44 * GB,
        "c34b520ef473329b945c2a21083cdf1337c5a468d23b3215b65576789bfd0305",
        licence="OpenRAIL",
        revision="cd274f4c8b01de0dcc87b65887dd357d473bf516",
    ),
)

_CHAT: Final = ("config.json", "generation_config.json", "preprocessor_config.json", "tokenizer_config.json")


def _captioner(name: str, repo: str, used_for: str, *sizes: float, more: tuple[str, ...], revision: str) -> Weights:
    """A model that looks and talks: config, processor, tokenizer, and its weights in as many shards as have sizes."""
    shards = [f"model-{number:05d}-of-{len(sizes):05d}.safetensors" for number in range(1, len(sizes) + 1)]
    texts = (*_CHAT, *more, "tokenizer.json", "model.safetensors.index.json")
    weights = (_file(shard, size * GB) for shard, size in zip(shards, sizes, strict=True))
    return Weights(
        name=name,
        repo=repo,
        revision=revision,
        files=(*map(_file, texts), *weights),
        licence="Apache-2.0",
        is_commercial=True,
        used_for=used_for,
    )


_CAPTIONERS: Final = (
    _captioner(
        "qwen2.5-vl-7b-instruct",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "captioner transformers_vlm",
        *(3.9, 3.86, 3.86, 3.86, 1.09),
        more=("chat_template.json",),
        revision="main",
    ),
    # Its page says Apache-2.0; what it was made of (Vicuna, Llama 2) has terms of its own. The page as it was stored
    # ends before the tokenizer's files: these are those of its base.
    _captioner(
        "pllava-13b",
        "ermu2001/pllava-13b",
        "captioner pllava",
        *(5.0, 4.95, 4.98, 4.98, 4.98, 2.03),
        more=("processor_config.json", "added_tokens.json", "special_tokens_map.json"),
        revision="dbdf95895c9b4a9bc17e1db5c1cb5fcaef9637a0",
    ),
)

MANIFEST: Final[Mapping[str, Weights]] = {
    weights.name: weights for weights in (*_OPENSORA, *_AUDIOLDM, *_FLAN_T5, *_PIXART, *_CAPTIONERS, *EVALUATION)
}
