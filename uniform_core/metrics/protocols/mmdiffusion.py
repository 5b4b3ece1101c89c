"""`mmdiffusion`: the evaluator of MM-Diffusion, whose FVD and KVD tables of sound and picture together print."""

from __future__ import annotations

from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.kernel import KernelConfig
from uniform_core.metrics.loading import Loading, VideoLoading
from uniform_core.metrics.protocols.base import Missing, ProtocolSet, picture_protocol

NAME = "mmdiffusion"
LOADING = Loading(
    video=VideoLoading(
        rate_hz=10,
        rate_rule="floor_index",
        resize="pad",
        height_px=64,
        width_px=64,
        window_frames=16,
        window="random",
        window_seed=0,
    ),
    reader="streamed",
)
I3D = picture_protocol(NAME, "i3d400", "logits_crop", LOADING, items=2048)

MMDIFFUSION = ProtocolSet(
    name=NAME,
    about="MM-Diffusion's evaluator: FVD and KVD on the logits of I3D-400, of 16 frames at 10 fps and 64x64",
    source="researchmm/MM-Diffusion 7250222 (2024-06-05)",
    metrics=(
        FrechetConfig(
            protocol=I3D.model_copy(update={"precision": "float32_svd"}),
            word="fvd",
            ddof=1,
        ),
        KernelConfig(protocol=I3D, word="kvd", subsets=None, scale=1.0),
    ),
    missing=(
        Missing(
            "fad on audioclip",
            "AudioCLIP's embedding of 1.6 s at 44.1 kHz, of sound that was made at 16 kHz, has no specification: asked "
            "in its issue 17, not answered. It is printed times 10,000, and was times 1,000 until 2024-06-04",
        ),
        Missing("is of video", "its script has undefined names and cannot run"),
    ),
    notes=(
        "Every clip is brought to 64x64 first, also one of 256x256: bicubic, aspect kept, zeros around.",
        "A clip gives one window at a random place; the evaluator draws from the windows of all clips together, where "
        "long clips count more.",
        "The real side is the training set: give it as the reference.",
        "Its own published numbers could not be reproduced by others (issues 17 and 20).",
    ),
)
