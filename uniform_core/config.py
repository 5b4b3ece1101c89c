"""A run, as one complete, typed, frozen value. What changes numbers is here; where things live is in `settings`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from uniform_core.captioners import AnyCaptioner, CaptionerConfig
from uniform_core.captions.quality import CaptionQuality
from uniform_core.codecs import (
    AnyAudioCodec,
    AnyVideoCodec,
    AnyVocoder,
    AudioCodecConfig,
    SoundForm,
    VideoCodecConfig,
    VocoderConfig,
)
from uniform_core.datasets import AnyDataset, DatasetConfig
from uniform_core.datasets.listed_splits import default_split, lists_split
from uniform_core.diffusion import AnyObjective, ObjectiveConfig
from uniform_core.errors import nearest
from uniform_core.fetching.hosts import HostRules
from uniform_core.generation.config import SampleConfig
from uniform_core.media.forms import CanonicalForm, CutRule
from uniform_core.metrics import Metric as AnyMetric
from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.gate import CONTROLS, Control, GateConfig
from uniform_core.metrics.layers import SCREENERS, why_unknown
from uniform_core.metrics.protocol import Choice, Loading, Terms
from uniform_core.metrics.recipes import NetsConfig
from uniform_core.model.config import ModelConfig
from uniform_core.spec import AVSpec, LatentLayout
from uniform_core.splits import SplitName
from uniform_core.text import AnyTextEncoder, TextEncoderConfig
from uniform_core.training.config import TrainConfig
from uniform_core.types import Count, Fraction, Frozen, NonNegative, Task

if TYPE_CHECKING:  # the families' unions are made of what their modules import; a type checker sees the base
    AnyCaptioner = CaptionerConfig
    AnyAudioCodec = AudioCodecConfig
    AnyVideoCodec = VideoCodecConfig
    AnyVocoder = VocoderConfig
    AnyDataset = DatasetConfig
    AnyMetric = MetricConfig
    AnyObjective = ObjectiveConfig
    AnyTextEncoder = TextEncoderConfig

ResizeRule = Literal["crop", "squash", "letterbox"]


class EvaluateConfig(Frozen):
    """Which clips are made for scoring, by which systems, and what is measured on them.

    A split may be that of one dataset of the run: `vggsound:test`. Its name alone means that of all of them, mixed.
    """

    split: str = "held_out"
    clips_per_task: Count  # spread over the classes
    untrained_clips: Count | None = None  # of them for the untrained model, whose clips are all alike; None: all
    reference_split: str = "train"  # real clips that distribution metrics compare with; never the conditions themselves
    reference_clips: Count = 384
    tasks: tuple[Task, ...] = Field(default=tuple(Task), min_length=1)
    text_for: tuple[Task, ...] = (Task.T2AV,)  # tasks that are given the caption; the others go by sight or sound alone
    baselines: tuple[Literal["untrained", "retrieval", "codec_round_trip", "unimodal"], ...] = (
        "untrained",
        "retrieval",
        "codec_round_trip",
    )
    controls: tuple[Control, ...] = CONTROLS  # systems that the gate has to refuse; they cost no sampling
    memory_clips: Count = 4096  # training clips, at most, that clips are compared with to find copies
    metrics: tuple[AnyMetric, ...] = Field(min_length=1)
    gate: GateConfig = GateConfig()
    nets: NetsConfig
    seed: NonNegative = 0  # of the nets and of the noise that clips are made from

    @model_validator(mode="after")
    def _each_once(self) -> EvaluateConfig:
        if SplitName.of(self.reference_split).meets(SplitName.of(self.split)):
            raise ValueError(
                f"reference_split {self.reference_split!r} must not be split {self.split!r}: clips would meet their "
                "own conditions"
            )
        names = [metric.name for metric in self.metrics]
        for what, given in (("tasks", [str(task) for task in self.tasks]), ("metrics", names)):
            if twice := next((name for name in given if given.count(name) > 1), None):
                raise ValueError(f"{what} names {twice} twice: give another protocol name, or leave one out")
        return self


class FetchConfig(Frozen):
    """How the files of an index are brought. Nothing of it changes a file, nor enters a fingerprint.

    `hosts` says how often each may be asked, by all workers together. `patience_s` is the longest wait for a host that
    opens again, or for a clip's next try; where it would be longer, the run ends, and says until when.
    """

    workers: Count = 8  # they mostly wait for hosts
    patience_s: float = Field(default=7200.0, ge=0)
    hosts: HostRules = HostRules()


class RunConfig(Frozen):
    """Everything that decides the result of a run. Made by a preset; overrides pass the same validation."""

    preset: str
    spec: AVSpec
    data: AnyDataset
    instrument: AnyDataset  # whose `instrument` split trains the small feature nets, whatever is scored
    resize: ResizeRule = "crop"
    video_codec: AnyVideoCodec
    audio_codec: AnyAudioCodec
    sound: SoundForm = SoundForm()  # how the audio codec is shown a sound
    vocoder: AnyVocoder
    captioners: tuple[AnyCaptioner, ...] = Field(min_length=1)  # the first that has a caption for a clip is used
    # What is wrong with a caption, and how often it is asked for again. Left out of a dump at these values.
    caption_quality: CaptionQuality = Field(
        default=CaptionQuality(), exclude_if=lambda value: value == CaptionQuality()
    )
    # The named corpus that captions are taken from: its active version, or `name@version`. None: the captioners' own.
    corpus: str | None = Field(default=None, min_length=1, max_length=200, exclude_if=lambda value: value is None)
    text: AnyTextEncoder
    # Whether training reads features that the stage `text` has stored, or computes those of a batch as it comes, once
    # each while memory lasts: XXL's of 200,000 captions take 311 GB. Left out of a dump where it is as it was before.
    text_features: Literal["stored", "online"] = Field(default="stored", exclude_if=lambda value: value == "stored")
    model: ModelConfig
    task_columns: Count = 1
    objective: AnyObjective
    train: TrainConfig
    train_workers: Count = 2
    train_split: str = "train"
    sample: SampleConfig
    evaluate: EvaluateConfig
    max_reject_fraction: Fraction | None = None  # None: the dataset's own
    # Whether clips that share a file, a video or their content with an evaluated clip may be trained on and referred
    # to; and the lists whose videos count as evaluated though they are not in the run. Left out of a dump at these.
    leakage: Literal["exclude", "allow"] = Field(default="exclude", exclude_if=lambda value: value == "exclude")
    guard_against: tuple[AnyDataset, ...] = Field(default=(), exclude_if=lambda value: value == ())
    fetch: FetchConfig = Field(default=FetchConfig(), exclude_if=lambda value: value == FetchConfig())

    @model_validator(mode="after")
    def _parts_fit(self) -> RunConfig:
        if self.model.text_width != self.text.width:
            raise ValueError(f"model.text_width {self.model.text_width} must equal the encoder's {self.text.width}")
        if self.train.batch % self.train_workers:
            raise ValueError(f"train.batch {self.train.batch} must be a multiple of train_workers {self.train_workers}")
        _ = self.layout
        self._places_fit()
        self.vocoder.require_fit(self.spec)
        for metric in self.evaluate.metrics:
            unknown = (why_unknown(need) for need in metric.features)
            if (problem := metric.protocol.against(self.terms) or next(filter(None, unknown), None)) is not None:
                raise ValueError(f"evaluate.metrics, {metric.name}: {problem}")
        self._splits_exist()
        if self.train.only is not None and self.evaluate.tasks != (Task.T2AV,):
            raise ValueError(f'a model of {self.train.only} alone makes T2AV alone: evaluate.tasks must be ["t2av"]')
        if SplitName.of(self.evaluate.split).meets(SplitName.of(self.train_split)):
            raise ValueError(f"evaluate.split {self.evaluate.split!r} must not be train_split: it would score memory")
        if self.train.guide_at is None and self.sample.guidance != self.sample.guidance.without_guide():
            raise ValueError("sample.guidance.guide_scale needs a guide: set train.guide_at, or leave the scales at 1")
        CanonicalForm.of(self.spec)
        for name, dataset in self.named_datasets.items():
            self._reading_fits(name, dataset)
        return self

    def _places_fit(self) -> None:
        """Public weights know where a token stands by the size of its picture; weights of our own by what they had."""
        source, spec, found = self.train.init.source, self.spec, self.model.position_scale
        if source not in ("pixart", "opensora_v1_2") or math.isclose(found, spec.position_scale, rel_tol=1e-3):
            return
        raise ValueError(
            f"model.position_scale {found} must be {spec.position_scale:.6g}, sqrt(height x width) / 512 of "
            f"{spec.height_px} x {spec.width_px}, for weights of train.init.source {source}"
        )

    def _splits_exist(self) -> None:
        evaluate, parts = self.evaluate, self.data.parts
        if any(part.splits is None for part in parts):
            return
        plain = list(dict.fromkeys(split for part in parts for split in part.splits or ()))
        own = [f"{part.name}:{split}" for part in parts for split in part.splits or () if lists_split(part, split)]
        named = {"train_split": self.train_split, "evaluate.split": evaluate.split}
        for name, split in (named | {"evaluate.reference_split": evaluate.reference_split}).items():
            if split not in (*plain, *own) and not (name == "evaluate.split" and split == default_split(parts, split)):
                known = ", ".join(plain if len(parts) == 1 else [*plain, *own])
                raise ValueError(f"{name} {split!r} must be one of {known}: {self.data.kind} has no other")

    def _reading_fits(self, name: str, dataset: DatasetConfig) -> None:
        if (screener := dataset.filters.screener) not in SCREENERS:
            known = ", ".join(SCREENERS)
            raise ValueError(
                f"{name}.filters.screener {screener!r} must be one of {known}. {nearest(screener, SCREENERS)}"
            )
        try:
            cut = CutRule.of(self.spec, dataset.clip_s, dataset.stride_s)
        except ValueError as error:
            raise ValueError(f"{name}.stride_s: {error}") from error
        if cut.clip_s < self.spec.duration_s:
            raise ValueError(f"{name}.clip_s {cut.clip_s} must be at least spec.duration_s {self.spec.duration_s}")
        if dataset.needs_crop and self.resize != "crop":
            raise ValueError(f"resize must be crop for {name}: of {dataset.name} only the middle square is looked at")

    @property
    def is_text_online(self) -> bool:
        """Whether training computes features of texts instead of reading them."""
        return self.text_features == "online"

    @property
    def metrics(self) -> tuple[MetricConfig, ...]:
        """The metrics of `evaluate`, under the run's terms."""
        return tuple(metric.at(self.terms) for metric in self.evaluate.metrics)

    @property
    def terms(self) -> Terms:
        """How this run reads clips for scoring, and which ones stand on either side."""
        evaluate = self.evaluate
        return Terms(
            loading=Loading.of_spec(self.spec, resize=self.resize),
            conditions=Choice(split=evaluate.split, clips=evaluate.clips_per_task),
            reference=Choice(split=evaluate.reference_split, clips=evaluate.reference_clips),
        )

    @property
    def layout(self) -> LatentLayout:
        """The unified latent of this run's codecs."""
        return LatentLayout(
            video_CTHW=self.video_codec.latent_shape_CTHW(self.spec),
            audio_CTF=self.audio_codec.latent_shape_CTF(self.spec),
            task_columns=self.task_columns,
            patch_THW=self.model.patch_THW,
            audio_form=self.model.audio_form,
        )

    @property
    def datasets(self) -> tuple[DatasetConfig, ...]:
        """The parts of the run's own data first, then the instrument data where it is other data."""
        return tuple(self.named_datasets.values())

    @property
    def named_datasets(self) -> dict[str, DatasetConfig]:
        """The same by their places in the config, as `--set` says them; each part of a union is one."""
        parts = self.data.parts
        own = {"data": self.data} if len(parts) == 1 else placed("data.members", parts)
        return own if self.instrument in parts else own | {"instrument": self.instrument}

    @property
    def reject_limit(self) -> float:
        """The share of rejected items above which a stage on all of the run's data has failed."""
        return self.reject_limit_of(self.data)

    def reject_limit_of(self, dataset: DatasetConfig) -> float:
        """The share of a dataset's rejected items above which what reads its files has failed."""
        return dataset.max_reject_fraction if self.max_reject_fraction is None else self.max_reject_fraction


def placed(where: str, parts: Sequence[DatasetConfig]) -> dict[str, DatasetConfig]:
    """Datasets of a list by their places, as `--set` takes them: by their kind where it is the only one, else counted.

    >>> from uniform_core.datasets import LandscapeConfig, ProceduralConfig
    >>> list(placed("guard_against", (LandscapeConfig(), ProceduralConfig(), ProceduralConfig(seed=1))))
    ['guard_against.landscape', 'guard_against.1', 'guard_against.2']
    """
    kinds = [part.kind for part in parts]
    names = (kind if kinds.count(kind) == 1 else str(number) for number, kind in enumerate(kinds))
    return {f"{where}.{name}": part for name, part in zip(names, parts, strict=True)}
