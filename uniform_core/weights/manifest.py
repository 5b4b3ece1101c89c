"""Every public file of weights that a config may name: from where, how large, under which licence, for what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from uniform_core.types import Count, Frozen

HUB: Final = "https://huggingface.co"
NC: Final = "CC-BY-NC-SA-4.0"


class WeightsFile(Frozen):
    """One file. `path` is its place in the folder of its weights and, where it has no `url`, in the repository.

    `size_bytes` and `sha256` are the published ones; None where nobody published them: those seen first are pinned.
    """

    path: str
    url: str | None = None
    size_bytes: Count | None = None
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class Weights(Frozen):
    """Files that belong together. `repo` is one of Hugging Face's, at `revision`; None: every file has its own url."""

    name: str
    repo: str | None
    revision: str = "main"
    files: tuple[WeightsFile, ...] = Field(min_length=1)
    licence: str
    is_commercial: bool  # whether the licence allows commercial use
    used_for: str


_ALL: Final = (
    Weights(
        name="opensora-vae-1.2",
        repo="hpcai-tech/OpenSora-VAE-v1.2",
        files=(WeightsFile(path="config.json"), WeightsFile(path="model.safetensors")),
        licence="Apache-2.0",
        is_commercial=True,
        used_for="video_codec opensora_vae",
    ),
    Weights(
        name="audioldm-s-full-v2",
        repo="cvssp/audioldm-s-full-v2",
        files=(
            WeightsFile(path="vae/config.json"),
            WeightsFile(path="vae/diffusion_pytorch_model.safetensors"),
            WeightsFile(path="vocoder/config.json"),
            WeightsFile(
                path="vocoder/model.safetensors",
                sha256="d9dc6513c30a5b86c2497712690c04fe74b4aa79fdab6d490b34fcb4e24c590c",
            ),
        ),
        licence=NC,
        is_commercial=False,
        used_for="audio_codec audioldm_vae, vocoder hifigan",
    ),
)

MANIFEST: Final[Mapping[str, Weights]] = {weights.name: weights for weights in _ALL}
