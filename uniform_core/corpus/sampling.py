"""How the evaluated clips of a run are sampled, in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from uniform_core.config import RunConfig


@dataclass(frozen=True)
class SamplingWay:
    """One way of sampling: the tasks that it serves, in capitals, its steps, and the rest in words."""

    tasks: str
    steps: str
    words: str

    def __str__(self) -> str:
        return f"{self.tasks}: {self.steps}, {self.words}"


def sampling_ways(config: RunConfig) -> Iterator[SamplingWay]:
    """Each way of sampling of the evaluated tasks."""
    tasks_of: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for task in config.evaluate.tasks:
        sampler, with_text = config.sample.sampler_of(task), task in config.evaluate.text_for
        params = dict(sampler.fingerprint_params())
        steps, kind = params.pop("steps"), params.pop("kind")
        how = [kind, *(f"{name} {value}" for name, value in params.items() if value is not None)]
        text, given = config.sample.scales_of(task, with_text=with_text)
        words = f"caption given, guidance {text:g}" if with_text else "no caption"
        if task.given is not None:
            words += f", guidance by the given {given:g}"
        guided = config.sample.guidance.by_guide(task)
        if guided:
            scales = (f"{modality} {scale:g}" for modality, scale in guided.items())
            words += f", guidance by its early average {', '.join(scales)}"
        if ((text, given) != (1.0, 1.0) or guided) and config.sample.guidance.interval != (0.0, 1.0):
            words += " from {:g} to {:g} of the way to noise".format(*config.sample.guidance.interval)
        tasks_of[f"{steps} steps", f"{', '.join(how)}; {words}"].append(str(task).upper())
    for (steps, words), tasks in tasks_of.items():
        yield SamplingWay(", ".join(tasks), steps, words)
