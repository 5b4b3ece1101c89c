"""From a video that was found to the clips that were wanted of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from uniform_core.fetching.media_failures import failed_by
from uniform_core.fetching.outcome import Failed, Found, FoundVideo
from uniform_core.fetching.wanted import WantedClip
from uniform_core.media import CutClip, RejectedWindow, Sandbox
from uniform_core.types import Window


def cut_clips(
    video: FoundVideo, clips: Iterable[WantedClip], *, sandbox: Sandbox, out_dir: Path
) -> dict[str, Found | Failed]:
    """One outcome for each clip, by source_id: its own file `<source_id>.mp4` under `out_dir`, or why there is none.

    All are cut in one pass. A clip that is the whole video is the video's own file. Raises StorageError.
    """
    outcomes: dict[str, Found | Failed] = {}
    left: list[tuple[WantedClip, Window]] = []
    for clip in clips:
        if clip.span is None:
            outcomes[clip.source_id] = Found(video.path, video.origin)
        else:
            left.append((clip, clip.span))
    while left:
        by_span = {_key(span): (clip, span) for clip, span in reversed(left)}
        outcomes |= _cut(video, by_span, sandbox=sandbox, out_dir=out_dir)
        left = [one for one in left if one[0].source_id not in outcomes]  # a span that has two names
    return outcomes


def _cut(
    video: FoundVideo, by_span: dict[tuple[int, int], tuple[WantedClip, Window]], *, sandbox: Sandbox, out_dir: Path
) -> dict[str, Found | Failed]:
    results = sandbox.cut(
        video.path,
        [span for _, span in by_span.values()],
        out_dir=out_dir,
        names=lambda span: f"{by_span[_key(span)][0].source_id}.mp4",
        starts_at_s=video.starts_at_s,
    )
    made = {_key(result.window): result for result in results if result.window is not None}
    return {clip.source_id: _outcome(made[key], video.origin) for key, (clip, _) in by_span.items()}


def _outcome(result: CutClip | RejectedWindow, origin: str) -> Found | Failed:
    return failed_by(result.rejection) if isinstance(result, RejectedWindow) else Found(result.path, origin)


def _key(span: Window) -> tuple[int, int]:
    return span.start_ms, span.end_ms
