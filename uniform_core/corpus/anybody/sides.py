"""What metrics are given of each system: contents of files, those of a system, and of baselines made of what is there.

The picture of a clip and its sound may lie in different files: a sound beside a silent film, a sound that was made for
a real picture, a partner that was exchanged. So a clip is a pair of contents, and features of either are looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from uniform_core.corpus.anybody.asked import NotMade, needs_reference
from uniform_core.corpus.controls import Clip, Clips
from uniform_core.fingerprint import digest
from uniform_core.metrics.base import MetricConfig
from uniform_core.seeds import numpy_rng
from uniform_core.types import Modality, Task

Baseline = Literal["real", "codec_round_trip", "shuffled", "retrieval"]
BASELINES: Final[tuple[Baseline, ...]] = ("real", "codec_round_trip", "shuffled", "retrieval")
ABSENT: Final = ""  # the content of a stream that no file has
# [k, d] of the given streams of these clips, in the order of their keys, or why there are none
Given = Callable[[Clips], np.ndarray | str]


@dataclass(frozen=True)
class Judged:
    """One system: its clips, the real ones that distances are taken to, and the partners of its pairs."""

    system: str
    generated: Clips
    reference: Clips
    partners: Clips

    def real(self, metric: MetricConfig) -> Clips:
        """The real clips that a metric compares with."""
        return self.partners if metric.paired else self.reference

    @property
    def stands_on(self) -> str:
        """32 hex digits of every content on every side, by its key."""
        sides = (self.generated, self.reference, self.partners)
        return digest(["anybody", *([[key, clip.video, clip.audio] for key, clip in sorted(s.items())] for s in sides)])


def judged(system: str, generated: Clips, reference: Clips) -> Judged:
    """A system and the real clips; those with its keys are the partners."""
    return Judged(system, generated, reference, {key: reference[key] for key in generated if key in reference})


def real_halves(reference: Clips) -> Judged:
    """Real clips against other real clips: two halves that have none in common, which keys alone decide."""
    order = sorted(reference, key=lambda key: digest(["half", key]))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    return Judged("real", {key: reference[key] for key in first}, {key: reference[key] for key in second}, {})


def shuffled(own: Judged, task: Task) -> Judged:
    """A system's clips with what it made (the sound, where it made both) in the place of another one's."""
    keys = sorted(own.generated)
    order = numpy_rng("anybody", "shuffled", str(task), len(keys)).permutation(len(keys))
    exchanged = Task.V2A if task.given is None else task
    clips = {
        keys[at]: own.generated[keys[at]].with_made(exchanged, own.generated[keys[other]])
        for at, other in zip(order, np.roll(order, 1), strict=True)
    }
    return Judged(f"{own.system}.shuffled", dict(sorted(clips.items())), own.reference, own.partners)


def retrieved(own: Judged, task: Task, given: Given) -> Judged | str:
    """For each condition the real clip, not its own, whose given stream is nearest; or why there is none."""
    if task.given is None:
        return "t2av is given words, which are not in the files"
    keys, known = sorted(own.partners), sorted(own.reference)
    if len(known) < 2 or not keys:
        return "it takes a partner for each clip, and other real clips"
    conditions_KD, known_ND = given(own.partners), given(own.reference)
    if isinstance(conditions_KD, str) or isinstance(known_ND, str):
        return conditions_KD if isinstance(conditions_KD, str) else str(known_ND)
    clips: dict[str, Clip] = {}
    for key, condition_D in zip(keys, conditions_KD, strict=True):
        distances_N = ((known_ND - condition_D) ** 2).sum(axis=1)
        distances_N[known.index(key)] = np.inf
        clips[key] = own.partners[key].with_made(task, own.reference[known[int(distances_N.argmin())]])
    return Judged("retrieval", clips, own.reference, own.partners)


def says_something(system: Judged, metric: MetricConfig, *, own: str) -> bool:
    """Whether a metric says of a baseline what it does not say of the system itself."""
    if system.system == "real":
        return not metric.paired
    if system.system == f"{own}.shuffled":
        return metric.paired or metric.protocol.judges is None
    return True


def real_for(metric: MetricConfig, halves: Judged) -> Judged:
    """Half against half where a metric compares; every real clip where it looks at one side alone."""
    if needs_reference(metric):
        return halves
    return Judged(halves.system, {**halves.generated, **halves.reference}, {}, {})


CODEC: Final = NotMade(
    "codec_round_trip",
    "files alone do not say which codec: ingest them (`uniform ingest folder:DIR`), run the pipeline on them, and "
    "score that model with --run, whose evaluation has them",
)


def contents_of(clips: Mapping[str, Clip], modality: Modality) -> dict[str, str]:
    """The content by key that a modality is looked at in."""
    return {key: clip.of(modality) for key, clip in clips.items()}
