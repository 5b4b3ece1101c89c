"""The clips on the page: for some real clips, the truth and what the model made from it. Axes: T, H, W, N samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa

from flows.report.data import ClipCard
from flows.report.tiles import tile_of
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.evaluation import current_generations, in_turns
from uniform_core.corpus.watching import Row, Watcher
from uniform_core.spec import AVSpec
from uniform_core.types import Modality, Task

MAX_CLIPS = 6
GIVEN = {None: "text", Modality.VIDEO: "the picture", Modality.AUDIO: "the sound"}


def sample_cards(catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str) -> tuple[ClipCard, ...]:
    """At most `MAX_CLIPS` held-out clips, the classes taking turns, each with all that the model made from it."""
    made = made_by_clip(catalog, config, clips, model_id)
    captions = active_captions(catalog, config, clips)
    texts = dict(zip(captions["clip_id"].to_pylist(), captions["text"].to_pylist(), strict=True))
    chosen = choose([clip for clip in clips.to_pylist() if clip["clip_id"] in made], made)
    with Watcher(config, catalog.media_dir) as watcher:
        return tuple(
            _card(config.spec, clip, made[clip["clip_id"]], texts.get(clip["clip_id"]), watcher) for clip in chosen
        )


def choose(clips: Sequence[Row], made: Mapping[str, Mapping[str, Row]], *, count: int = MAX_CLIPS) -> list[Row]:
    """The classes take turns; within a class, the clips with most tasks come first, then the order of their ids."""
    ordered = sorted(clips, key=lambda clip: (-len(made[clip["clip_id"]]), clip["clip_id"]))
    return in_turns(ordered, label_of=lambda clip: clip["label"])[:count]


def made_by_clip(catalog: Catalog, config: RunConfig, clips: pa.Table, model_id: str) -> dict[str, dict[str, Row]]:
    """The rows of the model's clips, made as the config says, by clip and task, with the text that was given."""
    texts = catalog.query("SELECT text_hash, text FROM caption_texts SEMI JOIN generations USING (text_hash)")
    text_of = dict(zip(texts["text_hash"].to_pylist(), texts["text"].to_pylist(), strict=True))
    made: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for system, rows in current_generations(catalog, config, clips, model_id=model_id).items():
        if system.name == "uniform":
            for row in rows:
                made[row["clip_id"]][row["task"]] = {**row, "text": text_of.get(row["text_hash"])}
    return dict(made)


def _card(spec: AVSpec, clip: Row, made: Mapping[str, Row], caption: str | None, watcher: Watcher) -> ClipCard:
    label = clip["label"] or ""
    events = tuple(clip["event_times_s"] or ())
    split = clip["split"].replace("_", "-")
    tiles = [tile_of(spec, "truth", f"of the split {split}", watcher.truth(clip), events)]
    for task in Task:
        if task in made:
            words = given_words(task, made[task])
            # Nothing ties the events of a clip made from text to those of this one: it gets no marks.
            tiles.append(tile_of(spec, task, words, watcher.made(made[task]), events if task.given else ()))
    return ClipCard(
        label=label.replace("_", " "),
        source=f"{clip['dataset']}/{clip['source_id']}",
        caption=caption or "",
        duration_s=spec.duration_s,
        tiles=tuple(tiles),
    )


def given_words(task: Task, row: Row) -> str:
    """What a clip was made from."""
    if task.given is None:
        return "from the caption alone" if row["text"] else "from nothing"
    return f"from {GIVEN[task.given]}" + (" and the caption" if row["text"] else " alone")
