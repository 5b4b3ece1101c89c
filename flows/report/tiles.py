"""A clip as a page shows it: its film, frames and log-mel inside the page. Axes: T, H, W, N samples."""

from __future__ import annotations

from flows.report.data import LostTile, Tile
from flows.report.pictures import mp4_uri, png_uri
from uniform_core.corpus.pictures import enlarged, fitted, mel_picture, strip_of
from uniform_core.corpus.watching import Watched
from uniform_core.spec import AVSpec
from uniform_core.types import Modality, Task


def tile_of(spec: AVSpec, kind: str, given: str, watched: Watched | str, marks_s: tuple[float, ...]) -> Tile | LostTile:
    """The tile of a clip, or of the reason why there is none."""
    if isinstance(watched, str):
        return LostTile(kind=str(kind), given=given, reason=watched)
    frames_THWC, waveform_N = watched
    sound_N = fitted(waveform_N, spec)
    strip_HWC = strip_of(frames_THWC)
    picture_is, sound_is = (_origin(kind, modality) for modality in Modality)
    return Tile(
        kind=str(kind),
        given=given,
        picture_is=picture_is,
        sound_is=sound_is,
        video_uri=mp4_uri(frames_THWC, sound_N, spec),
        poster_uri=png_uri(enlarged(frames_THWC[len(frames_THWC) // 2])),
        strip_uri=png_uri(strip_HWC),
        strip_aspect=strip_HWC.shape[0] / strip_HWC.shape[1],
        mel_uri=png_uri(mel_picture(sound_N, spec)),
        marks_s=tuple(second for second in marks_s if 0.0 <= second <= spec.duration_s),
    )


def _origin(kind: str, modality: Modality) -> str:
    """Whether a stream of a clip is `real`, `given` to the model, or `made` by it."""
    if kind == "truth":
        return "real"
    return "made" if modality in Task(kind).made else "given"
