"""`tempotokens2025` and `seeing_and_hearing`: AV-align as the two public codes compute it, and what chance gives."""

from __future__ import annotations

from uniform_core.metrics.av_align import AvAlignConfig
from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.metrics.protocols.base import Missing, ProtocolSet

LOADING = Loading(
    video=VideoLoading(),
    audio=AudioLoading(channels="mean", resampler="soxr_hq", rate_hz=22_050),
    reader="streamed",
)
CHECKS = ("farneback/movement", "librosa/peak")


def align_metrics(rule: str, *, name: str, loading: Loading) -> tuple[AvAlignConfig, AvAlignConfig]:
    """The metric, and its chance level: each picture with the sounds of other clips."""
    own = AvAlignConfig.of(rule, name=name, loading=loading, checks=CHECKS)
    return own, own.model_copy(update={"partner": "others"})


TEMPOTOKENS_2025 = ProtocolSet(
    name="tempotokens2025",
    about="AV-align of TempoTokens as its code is since February 2025: each peak of motion is matched once",
    source="guyyariv/TempoTokens bf0b1e3 (2025-02-13)",
    metrics=align_metrics("tempotokens2025", name="tempotokens2025", loading=LOADING),
    missing=(
        Missing("fvd and is of the paper's tables", "which code made them is not said"),
        Missing("av-align of 2023 (34d9502)", "its script could not run: a name in it is not defined"),
    ),
    notes=(
        "A clip with neither onset nor peak is left out; the code divides by zero there.",
        "A match is less than one frame away: a lower frame rate raises the number by chance.",
    ),
)

SEEING_AND_HEARING = ProtocolSet(
    name="seeing_and_hearing",
    about="AV-align of Seeing and Hearing: no least motion, and a peak may be matched several times",
    source="yzxing87/Seeing-and-Hearing 75cdbbc (2024-07-06)",
    metrics=align_metrics("seeing_and_hearing", name="seeing_and_hearing", loading=LOADING),
    missing=(
        Missing("fvd, kvd and fad of the paper", "its repository has AV-align alone; the extractor of FAD is not said"),
        Missing("av-align with --size", "an option of its script that no table names; `resize` short_side is min=K"),
    ),
    notes=(
        "It can exceed 1, since several onsets may match one peak.",
        "Its code counts clips without sound in the mean; here a clip that lacks sound gives no number.",
    ),
)
