"""Licences said aloud where weights are put to work."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from uniform_core.config import RunConfig
from uniform_core.corpus.parts import forbidding_licences, words_read


def say_licences(config: RunConfig, stages: Iterable[str] | None = None) -> None:
    """Print a line on stderr for each of the weights of some stages (None: all) that forbid commercial use."""
    for line in forbidding_licences(words_read(config, stages)):
        print(line, file=sys.stderr)
