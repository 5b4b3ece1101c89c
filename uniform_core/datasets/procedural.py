"""Audio-visual events rendered from a seed: the offline data, real mp4 files with sound.

Nothing can be looked up: phase, period, size, colour and every interval are random, so only watching or listening tells
when things happen. The splits share the attributes and nothing else: each has its own random streams and its own
periods, and one combination of attributes is never shown in training.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.rendering import encode_mp4
from uniform_core.datasets.scenes import SCENES, Scene
from uniform_core.errors import ConfigError, Rejection
from uniform_core.files import write_bytes
from uniform_core.fingerprint import digest
from uniform_core.seeds import SeedPart, numpy_rng
from uniform_core.spec import AVSpec
from uniform_core.types import Count, Frozen, NonNegative, PositiveFloat, SourceItem, Window

VERSION = 2
SPLITS = ("train", "held_out", "instrument")
_PERIODS = 24  # of each split; the splits' periods interleave, so their ranges are equal and no period is shared
_ONLY_HOW_MANY = (
    *("train_short", "train_long", "held_out_short", "instrument_short"),
    *("labels", "windows_per_long", "clip_s", "stride_s"),
)
_SOURCE_ID = re.compile(r"(?P<split>[a-z_]+)/(?P<label>[a-z_]+)/(?P<form>short|long)-(?P<index>\d{5})")


class Combination(Frozen):
    """Attributes of one class, all of which must hold."""

    label: str
    attributes: dict[str, str]


class ProceduralConfig(DatasetConfig):
    """How many files of each class, and what they look like. Short files are a little longer than a clip."""

    splits = ("train", "held_out", "instrument")

    kind: Literal["procedural"] = "procedural"
    seed: NonNegative = 0
    labels: tuple[str, ...] = tuple(SCENES)
    train_short: NonNegative = Field(default=32, description="short training files of each class")
    train_long: NonNegative = Field(default=1, description="long training files of each class, cut into windows")
    held_out_short: NonNegative = Field(default=32, description="held-out files of each class")
    instrument_short: NonNegative = Field(default=32, description="files of each class for feature and synchrony nets")
    windows_per_long: Count = 12
    short_s: PositiveFloat = 2.2
    long_s: PositiveFloat = 16.0
    size_px: Count = 64
    video_rate_hz: Count = 25
    audio_rate_hz: Count = 16_000
    never_trained: Combination | None = Combination(
        label="bouncing_ball", attributes={"colour": "blue", "size": "large"}
    )

    @model_validator(mode="after")
    def _known_and_even(self) -> ProceduralConfig:
        unknown = sorted(set(self.labels) - set(SCENES))
        if unknown or len(set(self.labels)) != len(self.labels) or not self.labels:
            raise ValueError(f"labels must be different ones of {sorted(SCENES)}; found {list(self.labels)}")
        if self.size_px % 2:
            raise ValueError(f"size_px must be even for H.264; found {self.size_px}")
        if self.never_trained is not None:
            _check_combination(self.never_trained)
        return self

    @classmethod
    def example(cls) -> ProceduralConfig:
        return cls(
            labels=("bouncing_ball", "siren"),
            train_short=2,
            train_long=1,
            held_out_short=2,
            instrument_short=1,
            windows_per_long=2,
            long_s=4.0,
            size_px=48,
        )

    @property
    def name(self) -> str:
        return f"procedural-s{self.seed}-{digest(self.fingerprint_params())[:6]}"

    def fingerprint_params(self) -> dict[str, Any]:
        """What changes a file. Counts and cuts do not: a larger set holds the smaller, and renders only what is new."""
        return {**self.model_dump(mode="json", exclude=set(_ONLY_HOW_MANY)), "version": VERSION}

    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every file, the classes taking turns. Raises ConfigError where a file is shorter than a clip of the spec."""
        clip_s = self.clip_s or spec.duration_s
        counts = {
            ("train", "short"): self.train_short,
            ("train", "long"): self.train_long,
            ("held_out", "short"): self.held_out_short,
            ("instrument", "short"): self.instrument_short,
        }
        for (split, form), count in counts.items():
            if count and clip_s > self._duration_s(form):
                raise ConfigError(
                    f"procedural.{form}_s",
                    expected=f"at least the {clip_s} s of a clip",
                    found=f"{self._duration_s(form)} s",
                    fix=f"Set {form}_s to {clip_s + 0.2:.1f}.",
                )
            for index, label in itertools.product(range(count), self.labels):
                yield self._item(split, label, form=form, index=index, clip_s=clip_s)

    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The item's file, rendered where it does not lie there yet. A name says all that its file depends on."""
        found = _SOURCE_ID.fullmatch(item.source_id)
        if item.dataset != self.name or found is None or found["split"] not in SPLITS or found["label"] not in SCENES:
            return Rejection(
                "unknown_source", f"expected an item of {self.name}; found {item.dataset} {item.source_id!r}"
            )
        key = digest([self.fingerprint_params(), item.source_id])[:12]
        path = directory / f"{item.source_id}-{key}.mp4"
        if not path.exists():
            scene = self.scene(found["split"], found["label"], form=found["form"], index=int(found["index"]))
            frames_THWC = scene.frames(rate_hz=self.video_rate_hz, size_px=self.size_px)
            waveform_N = scene.waveform(rate_hz=self.audio_rate_hz)
            write_bytes(
                path,
                encode_mp4(frames_THWC, waveform_N, video_rate_hz=self.video_rate_hz, audio_rate_hz=self.audio_rate_hz),
            )
        return path

    def scene(self, split: str, label: str, *, form: str, index: int) -> Scene:
        """The scene of a file: the same for the same seed, whatever else is rendered."""
        rng = numpy_rng(*self._stream(split, label, form), index)
        kind = SCENES[label]
        return kind(
            self._dealt_attributes(split, label, form=form, index=index),
            period_s=split_periods_s(kind, split)[rng.integers(_PERIODS)],
            duration_s=self._duration_s(form),
            rng=rng,
        )

    def _item(self, split: str, label: str, *, form: str, index: int, clip_s: float) -> SourceItem:
        scene = self.scene(split, label, form=form, index=index)
        return SourceItem(
            dataset=self.name,
            source_id=f"{split}/{label}/{form}-{index:05d}",
            split=split,
            label=label,
            caption=scene.caption,
            windows=self._windows(label, index, clip_s=clip_s) if form == "long" else None,
            event_times_s=scene.events.inside(scene.duration_s),
            attributes=dict(scene.attributes),
        )

    def _windows(self, label: str, index: int, *, clip_s: float) -> tuple[Window, ...]:
        """Random windows of a long file, in order of time; one more leaves the others where they are."""
        rng = numpy_rng(*self._stream("train", label, "long"), index, "windows")
        last_ms = round((self._duration_s("long") - clip_s) * 1000)
        starts_ms = rng.integers(0, last_ms + 1, self.windows_per_long).tolist()
        return tuple(Window(ms / 1000, round(ms / 1000 + clip_s, 6)) for ms in sorted(set(starts_ms)))

    def _dealt_attributes(self, split: str, label: str, *, form: str, index: int) -> Mapping[str, str]:
        """Attributes dealt like cards: each combination comes once before any comes again.

        The combination that training never sees is left out of its pack, and lies on top of the held-out one.
        """
        pack: list[dict[str, str]] = [
            dict(zip(SCENES[label].choices, values, strict=True))
            for values in itertools.product(*SCENES[label].choices.values())
        ]
        hidden = [attributes for attributes in pack if self._is_hidden(label, attributes)]
        if split == "train":
            pack = [attributes for attributes in pack if attributes not in hidden]
        deal, place = divmod(index, len(pack))
        order = numpy_rng(*self._stream(split, label, form), "deal", deal).permutation(len(pack))
        dealt: list[dict[str, str]] = [pack[card] for card in order]
        if split == "held_out":
            dealt.sort(key=lambda attributes: attributes not in hidden)  # stable: the rest stays shuffled
        return dealt[place]

    def _is_hidden(self, label: str, attributes: Mapping[str, str]) -> bool:
        hidden = self.never_trained
        return hidden is not None and hidden.label == label and hidden.attributes.items() <= attributes.items()

    def _stream(self, split: str, label: str, form: str) -> tuple[SeedPart, ...]:
        return ("procedural", self.seed, split, label, form)

    def _duration_s(self, form: str) -> float:
        return self.short_s if form == "short" else self.long_s


def split_periods_s(scene: type[Scene], split: str) -> np.ndarray:
    """The mean times between events that a split may use, s; no two splits share one."""
    low_s, high_s = scene.period_s
    steps = (len(SPLITS) * np.arange(_PERIODS) + SPLITS.index(split) + 0.5) / (len(SPLITS) * _PERIODS)
    return np.asarray(low_s * (high_s / low_s) ** steps)


def _check_combination(combination: Combination) -> None:
    """Raise ValueError unless the class has these attributes and others would be left to train on."""
    if combination.label not in SCENES:
        raise ValueError(f"never_trained.label must be one of {sorted(SCENES)}; found {combination.label!r}")
    choices = SCENES[combination.label].choices
    for name, value in combination.attributes.items():
        if value not in choices.get(name, ()):
            raise ValueError(f"never_trained of {combination.label} takes {dict(choices)}; found {name}={value!r}")
    if not combination.attributes:
        raise ValueError("never_trained must name at least one attribute, or be null")
