"""Who stands in an evaluation: the clips of every system, model, baselines and controls alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.captions import active_captions
from uniform_core.corpus.controls import Clip, Clips, Likeness, Stock, compose
from uniform_core.corpus.evaluation import (
    System,
    current_generations,
    evaluation_clips,
    makers_of,
    reference_clips,
    trained_clips,
)
from uniform_core.corpus.unimodal import made_apart
from uniform_core.metrics.base import Need, Side
from uniform_core.metrics.synchrony import AUDIO_LAYER, VIDEO_LAYER
from uniform_core.types import Modality, Task

Row = Mapping[str, Any]
# What retrieval goes by: an embedding that follows events in time finds the partners that are hardest to tell from own.
RETRIEVED_BY: Final = {
    Modality.VIDEO: Need(Side.TRAINED, "tinysync", VIDEO_LAYER),
    Modality.AUDIO: Need(Side.TRAINED, "tinysync", AUDIO_LAYER),
}


@dataclass(frozen=True)
class Lineup:
    """The clips of an evaluation. Rows of `truth` and `trained` have their captions, as `caption`."""

    config: RunConfig
    truth: Sequence[Row]  # the clips that give conditions
    reference: Sequence[Row]
    trained: Sequence[Row]
    made: Mapping[System, Sequence[Row]]  # rows of `generations` of each maker

    @classmethod
    def of(cls, catalog: Catalog, config: RunConfig, clips: pa.Table, *, model_id: str) -> Lineup:
        """The line-up of a model, as the catalog has it now."""
        captions = active_captions(catalog, config, clips)
        text_of = dict(zip(captions["clip_id"].to_pylist(), captions["text"].to_pylist(), strict=True))

        def captioned(rows: Sequence[Row]) -> list[Row]:
            return [{**row, "caption": text_of.get(row["clip_id"])} for row in rows]

        return cls(
            config,
            captioned(evaluation_clips(config, clips)),
            reference_clips(config, clips),
            captioned(trained_clips(config, clips)),
            current_generations(catalog, config, clips, model_id=model_id),
        )

    @cached_property
    def known(self) -> Mapping[str, Row]:
        """Every real clip of the line-up by its id."""
        return {row["clip_id"]: row for row in (*self.reference, *self.trained, *self.truth)}

    def files(self) -> dict[str, str]:
        """Every file that something is looked at in: its path by its content (sha256), each content once."""
        real = {row["clip_sha256"]: row["path"] for row in self.known.values()}
        return real | {row["file_sha256"]: row["path"] for rows in self.made.values() for row in rows}

    def clips_of(self, system: System, likeness: Likeness) -> Clips:
        """The clips of a system, by the clip that gave the condition."""
        if system.name == "real":
            return {row["clip_id"]: Clip.of_file(row["clip_sha256"]) for row in self.truth}
        if system in makers_of(self.config):
            return self._files_of(system)
        if system.name == "unimodal":
            return self._made_apart()
        assert system.task is not None, "what is put together is put together for a task"
        stock = Stock(
            conditions=self.truth,
            trained=self.trained,
            made=self._files_of(System("uniform", system.task)),
            class_means=self._class_means(),
            likeness=likeness,
        )
        return compose(system.name, system.task, stock)

    def held_out(self) -> Clips:
        """Held-out clips behind the codecs, or as they are where nothing went through them."""
        behind = self._files_of(System("codec_round_trip", None))
        return behind or {row["clip_id"]: Clip.of_file(row["clip_sha256"]) for row in self.truth}

    def _made_apart(self) -> Clips:
        """The picture of the model that knows pictures alone, with the sound of the one that knows sounds alone."""
        video, audio = (self._files_of(System(made_apart(modality), Task.T2AV)) for modality in Modality)
        return {clip_id: Clip(video[clip_id].video, audio[clip_id].audio) for clip_id in video if clip_id in audio}

    def _files_of(self, maker: System) -> dict[str, Clip]:
        return {row["clip_id"]: Clip.of_file(row["file_sha256"]) for row in self.made.get(maker, ())}

    def _class_means(self) -> dict[str, Clip]:
        own = self._files_of(System("class_mean", None))
        return {self.known[clip_id]["label"] or "": clip for clip_id, clip in own.items()}
