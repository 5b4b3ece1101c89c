"""What became of each weight when a model was initialised: a value, and a text for people."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from uniform_core.model.init_config import InitSource

BLOCK = re.compile(r"(?<=blocks)\.\d+\.")


@dataclass(frozen=True)
class InitReport:
    """The names that were `loaded`; those of the file that were `skipped`, with why; and the `new` ones, with how.

    `digest` says what the weights are, wherever they lie; None of a random start.
    """

    source: InitSource
    weights: str | None
    digest: str | None
    loaded: tuple[str, ...]
    skipped: Mapping[str, str]
    new: Mapping[str, str]

    def line(self) -> str:
        """The account in one line."""
        from_where = "" if self.weights is None else f" from {self.weights}"
        counts = f"{len(self.loaded)} weights loaded, {len(self.skipped)} skipped, {len(self.new)} new"
        return f"init {self.source}{from_where}: {counts}"

    def text(self) -> str:
        """The account in lines: what was skipped and what is new, blocks together."""
        skipped = [f"  skipped {words}" for words in _together(self.skipped)]
        new = [f"  new {words}" for words in _together(self.new)]
        return "\n".join([self.line(), *skipped, *new])

    def as_json(self) -> dict[str, Any]:
        """The account for a model's card: counts, and lists with blocks together."""
        return {
            "source": self.source,
            "weights_digest": self.digest,
            "loaded": len(self.loaded),
            "skipped": _together(self.skipped),
            "new": _together(self.new),
        }


def _together(names: Mapping[str, str]) -> list[str]:
    """`name x count: words` with the same name of all blocks as one, in the order of the names.

    >>> _together({"blocks.0.a": "ones", "blocks.1.a": "ones", "b": "zeros"})
    ['blocks.N.a x 2: ones', 'b: zeros']
    """
    counts = Counter((BLOCK.sub(".N.", name), words) for name, words in names.items())
    return [f"{name}{f' x {count}' if count > 1 else ''}: {words}" for (name, words), count in counts.items()]
