"""`UNIFORM_PROCEDURAL_SEED`: other procedural clips than the preset's, without another word in the call."""

from __future__ import annotations

from collections.abc import Sequence

from uniform_core.build import build_run
from uniform_core.datasets import ProceduralConfig
from uniform_core.errors import ConfigError
from uniform_core.settings import load_settings


def seeded(preset: str, overrides: Sequence[str], data: str | None) -> list[str]:
    """The overrides, with the seed that the environment gives to the run's procedural datasets.

    So the seed stands among the words of a run, from where it goes into its report and into Prefect. Raises ConfigError
    where the call itself says another seed.
    """
    seed = load_settings().procedural_seed
    if seed is None:
        return list(overrides)
    config = build_run(preset, overrides=overrides, data=data)
    words = []
    for part, dataset in {**config.named_datasets, "instrument": config.instrument}.items():
        if not isinstance(dataset, ProceduralConfig):
            continue
        word = f"{part}.seed={seed}"
        said = [text for text in overrides if text.partition("=")[0] == f"{part}.seed"]
        if said and said[-1] != word:
            raise ConfigError(
                f"--set {said[-1]}",
                expected=f"the seed of UNIFORM_PROCEDURAL_SEED, {seed}",
                found=said[-1].partition("=")[2],
                fix="Leave out one of the two.",
            )
        words += [] if said else [word]
    return [*overrides, *words]
