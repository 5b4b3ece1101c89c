"""The clips on the page: for some real clips, the truth and what the model made from it. Axes: T, H, W, N samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from flows.report.data import ClipCard, LostTile, Tile
from flows.report.pictures import enlarged, mel_picture, mp4_uri, png_uri, strip_of
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.evaluation import current_generations, in_turns
from uniform_core.errors import IntegrityError, Rejection
from uniform_core.media import CanonicalReader, DecodeRule, Sandbox
from uniform_core.types import Modality, Task

MAX_CLIPS = 6
Row = Mapping[str, Any]
Watched = tuple[np.ndarray, np.ndarray]  # frames uint8 [T, H, W, 3], sound float32 [N]
GIVEN = {None: "text", Modality.VIDEO: "the picture", Modality.AUDIO: "the sound"}


def sample_cards(catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str) -> tuple[ClipCard, ...]:
    """At most `MAX_CLIPS` held-out clips, the classes taking turns, each with all that the model made from it."""
    made = _made_by_clip(catalog, config, clips, model_id)
    captions = active_captions(catalog, config, clips)
    texts = dict(zip(captions["clip_id"].to_pylist(), captions["text"].to_pylist(), strict=True))
    chosen = choose([clip for clip in clips.to_pylist() if clip["clip_id"] in made], made)
    with Watcher(config, catalog.media_dir) as watcher:
        return tuple(_card(clip, made[clip["clip_id"]], texts.get(clip["clip_id"]), watcher) for clip in chosen)


def choose(clips: Sequence[Row], made: Mapping[str, Mapping[str, Row]]) -> list[Row]:
    """The classes take turns; within a class, the clips with most tasks come first, then the order of their ids."""
    ordered = sorted(clips, key=lambda clip: (-len(made[clip["clip_id"]]), clip["clip_id"]))
    return in_turns(ordered, label_of=lambda clip: clip["label"])[:MAX_CLIPS]


def _made_by_clip(catalog: Catalog, config: RunConfig, clips: pa.Table, model_id: str) -> dict[str, dict[str, Row]]:
    """The rows of the model's clips, made as the config says, by clip and task, with the text that was given."""
    texts = catalog.query("SELECT text_hash, text FROM caption_texts SEMI JOIN generations USING (text_hash)")
    text_of = dict(zip(texts["text_hash"].to_pylist(), texts["text"].to_pylist(), strict=True))
    made: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for system, rows in current_generations(catalog, config, clips, model_id=model_id).items():
        if system.name == "uniform":
            for row in rows:
                made[row["clip_id"]][row["task"]] = {**row, "text": text_of.get(row["text_hash"])}
    return dict(made)


def _card(clip: Row, made: Mapping[str, Row], caption: str | None, watcher: Watcher) -> ClipCard:
    label = clip["label"] or ""
    events = tuple(clip["event_times_s"] or ())
    tiles = [watcher.tile("truth", f"of the split {clip['split'].replace('_', '-')}", watcher.truth(clip), events)]
    for task in Task:
        if task in made:
            words = _given_words(task, made[task])
            # Nothing ties the events of a clip made from text to those of this one: it gets no marks.
            tiles.append(watcher.tile(task, words, watcher.made(made[task]), events if task.given else ()))
    return ClipCard(
        label=label.replace("_", " "),
        source=f"{clip['dataset']}/{clip['source_id']}",
        caption=caption or "",
        duration_s=watcher.duration_s,
        tiles=tuple(tiles),
    )


def _given_words(task: Task, row: Row) -> str:
    """What a clip was made from."""
    if task.given is None:
        return "from the caption alone" if row["text"] else "from nothing"
    return f"from {GIVEN[task.given]}" + (" and the caption" if row["text"] else " alone")


def _origin(kind: str, modality: Modality) -> str:
    """Whether a stream of a clip is `real`, `given` to the model, or `made` by it."""
    if kind == "truth":
        return "real"
    return "made" if modality in Task(kind).made else "given"


class Watcher:
    """Reads real and generated clips at the size of the spec; what cannot be read is a reason."""

    def __init__(self, config: RunConfig, media_dir: Path) -> None:
        self._spec, self._resize, self._media_dir = config.spec, config.resize, media_dir
        self._reader, self._sandbox = CanonicalReader(), Sandbox()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.close()

    @property
    def duration_s(self) -> float:
        return self._spec.duration_s

    def truth(self, clip: Row) -> Watched | str:
        """A canonical clip as the model sees it."""
        size_px = (self._spec.height_px, self._spec.width_px)
        try:
            return self._reader.read(self._media_dir / clip["path"], size_px=size_px, resize=self._resize)
        except IntegrityError as error:
            return str(error)

    def made(self, row: Row) -> Watched | str:
        """A generated file as it lies on disk."""
        spec = self._spec
        rule = DecodeRule(rate_hz=spec.video_rate_hz, audio_rate_hz=spec.audio_rate_hz, duration_s=spec.duration_s)
        decoded = self._sandbox.decode(self._media_dir / row["path"], rule)
        if isinstance(decoded, Rejection):
            return f"{decoded.error_class}: {decoded.message}"
        if decoded.frames_THWC is None or decoded.waveform_N is None:
            return "a picture and sound expected, one of them is missing"
        return decoded.frames_THWC, decoded.waveform_N

    def tile(self, kind: str, given: str, watched: Watched | str, marks_s: tuple[float, ...]) -> Tile | LostTile:
        """The tile of a clip, or of the reason why there is none."""
        if isinstance(watched, str):
            return LostTile(kind=str(kind), given=given, reason=watched)
        frames_THWC, waveform_N = watched
        sound_N = np.pad(waveform_N, (0, max(0, self._spec.samples - len(waveform_N))))[: self._spec.samples]
        strip_HWC = strip_of(frames_THWC)
        picture_is, sound_is = (_origin(kind, modality) for modality in Modality)
        return Tile(
            kind=str(kind),
            given=given,
            picture_is=picture_is,
            sound_is=sound_is,
            video_uri=mp4_uri(frames_THWC, sound_N, self._spec),
            poster_uri=png_uri(enlarged(frames_THWC[len(frames_THWC) // 2])),
            strip_uri=png_uri(strip_HWC),
            strip_aspect=strip_HWC.shape[0] / strip_HWC.shape[1],
            mel_uri=png_uri(mel_picture(sound_N, self._spec)),
            marks_s=tuple(second for second in marks_s if 0.0 <= second <= self._spec.duration_s),
        )
