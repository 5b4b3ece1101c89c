"""`audioldm_eval`: the suite of AudioLDM, whose FAD, FD, IS and KL most papers on sound from text or video print."""

from __future__ import annotations

from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.kernel import KernelConfig, Subsets
from uniform_core.metrics.kl import KlConfig
from uniform_core.metrics.loading import AudioLoading, Loading
from uniform_core.metrics.protocols.base import Missing, ProtocolSet, sound_protocol

NAME = "audioldm_eval"
LOADING = Loading(
    audio=AudioLoading(
        channels="first", remove_dc=True, resampler="torchaudio", rate_hz=16_000, least_samples=32_000, starts="own"
    ),
    reader="streamed",
)
VGGISH = sound_protocol(NAME, "vggish16k", "features", LOADING)
CNN14 = sound_protocol(NAME, "cnn14_16k", "features", LOADING)
LOGITS = sound_protocol(NAME, "cnn14_16k", "logits", LOADING)

AUDIOLDM_EVAL = ProtocolSet(
    name=NAME,
    about="AudioLDM's suite: FAD on VGGish, and FD, KID, IS, KL on PANNs Cnn14, of the first channel at 16 kHz",
    source="haoheliu/audioldm_eval 8dc07ee (2024-09-29), backbone cnn14",
    metrics=(
        FrechetConfig(protocol=VGGISH, word="fad", ddof=1, pooled=True),
        FrechetConfig(protocol=CNN14, word="fd", ddof=1),
        KernelConfig(protocol=CNN14, word="kid", subsets=Subsets(count=100, size=1000, seed=2020)),
        InceptionConfig(protocol=LOGITS, splits=10, seed=2020),
        KlConfig(protocol=LOGITS, activation="softmax", eps=1e-6, min_matched=0.99),
        KlConfig(protocol=LOGITS, activation="sigmoid", eps=1e-6, min_matched=0.99),
    ),
    missing=(
        Missing("fd, is and kl of backbone mert", "the default since 2024-09-28; papers before it have cnn14"),
        Missing("clap score", "CLAP's checkpoint and its pairing of texts are not part of this project"),
        Missing("psnr, ssim of mels", "they compare mels of another transform, and no paper of this field prints them"),
    ),
    notes=(
        "The mean of a float32 array is taken in float32 there: 4e-8 of the value.",
        "KL adds 1e-6 inside the logarithm of the generated probability, which lowers it a little.",
    ),
)
