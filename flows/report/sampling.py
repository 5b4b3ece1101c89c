"""How the evaluated clips were sampled, as facts of the page."""

from __future__ import annotations

from collections.abc import Iterator

from flows.report.data import Fact
from uniform_core.config import RunConfig
from uniform_core.corpus.sampling import sampling_ways


def sampling_facts(config: RunConfig) -> Iterator[Fact]:
    """A fact for each way of sampling, with the tasks that it serves."""
    for way in sampling_ways(config):
        yield Fact(f"Sampling {way.tasks}", way.steps, way.words)
