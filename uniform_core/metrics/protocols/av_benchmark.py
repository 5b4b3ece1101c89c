"""`av_benchmark`: the suite of MMAudio, by which sound for video is compared today."""

from __future__ import annotations

from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.kl import KlConfig
from uniform_core.metrics.loading import AudioLoading, Loading
from uniform_core.metrics.protocols.base import Missing, ProtocolSet, sound_protocol

NAME = "av_benchmark"
LOADING = Loading(
    audio=AudioLoading(channels="mean", remove_dc=True, dc_over="file", resampler="torchaudio", rate_hz=16_000),
    window_s=8.0,
    reader="streamed",
)
VGGISH = sound_protocol(NAME, "vggish16k", "features", LOADING)
CNN14 = sound_protocol(NAME, "cnn14_16k", "features", LOADING)
LOGITS = sound_protocol(NAME, "cnn14_16k", "logits", LOADING)

AV_BENCHMARK = ProtocolSet(
    name=NAME,
    about="MMAudio's suite: FAD on VGGish, and FD, IS, KL on PANNs Cnn14, of the channels' mean, the first 8 s",
    source="hkchengrex/av-benchmark 050a5cd (2025-08-20)",
    metrics=(
        FrechetConfig(protocol=VGGISH, word="fad", ddof=1, pooled=True),
        FrechetConfig(protocol=CNN14, word="fd", ddof=1),
        InceptionConfig(protocol=LOGITS, splits=10, seed=2020),
        KlConfig(protocol=LOGITS, activation="softmax", eps=0.0),
    ),
    missing=(
        Missing("fd, is and kl on passt", "PaSST's front end and weights have no specification here"),
        Missing("imagebind score, desync, clap", "their nets have no specification here"),
    ),
    notes=(
        "The suite calls the first number FD_VGG.",
        "It scores what pairs it finds; here KL is null where a generated clip has no pair.",
        "Clips shorter than 0.975 s give VGGish nothing: nothing is padded.",
    ),
)
