"""`styleganv`: the FVD of StyleGAN-V, and the inception score of video that goes with it."""

from __future__ import annotations

from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.inception import InceptionConfig
from uniform_core.metrics.loading import Loading, VideoLoading
from uniform_core.metrics.protocols.base import Missing, ProtocolSet, picture_protocol

NAME = "styleganv"
LOADING = Loading(video=VideoLoading(window_frames=16, window="random", window_seed=0), reader="streamed")

STYLEGANV = ProtocolSet(
    name=NAME,
    about="StyleGAN-V: FVD on I3D-400 of 16 frames squashed to 224x224, and IS on C3D of UCF-101",
    source="universome/stylegan-v 3fecd69, its statistics as vendored by content-debiased-fvd a1e037a",
    metrics=(
        FrechetConfig(protocol=picture_protocol(NAME, "i3d400", "logits_squash", LOADING, items=2048), ddof=0),
        FrechetConfig(protocol=picture_protocol(NAME, "i3d400_torchscript", "features", LOADING, items=2048), ddof=0),
        InceptionConfig(
            protocol=picture_protocol(NAME, "c3d_ucf101", "log_probabilities", LOADING, items=2048), splits=10, seed=42
        ),
    ),
    missing=(Missing("fvd of 128 frames", "the same by another window; no table of the paper has it"),),
    notes=(
        "Published numbers stand on the TorchScript file, which needs a person's word to run; I3D-400 as our own class "
        "gives almost the same.",
        "Frames at the file's own size and rate: all clips of both sides must have one rate.",
        "Of content that is not of UCF-101 the inception score says little.",
    ),
)
