"""The caption is one that others wrote: it came with the source (rendered, in a `.txt` beside it, in a
`captions.csv`), or stands in a table of captions by the names of clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from uniform_core.captioners.base import Captioner, CaptionInput, CaptionResult, WordsCaptionerConfig
from uniform_core.errors import ConfigError
from uniform_core.files import expanded, reading
from uniform_core.pinned import sha256_of
from uniform_core.types import Count

if TYPE_CHECKING:
    from uniform_core.captioners.table import CaptionTable

VERSION = 1


class SidecarCaptioner(Captioner):
    """Passes on the source's caption, or the table's where there is one: one line, not longer than `max_chars`."""

    def __init__(self, max_chars: int, *, table: CaptionTable | None = None) -> None:
        self._max_chars, self._table = max_chars, table

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        return [self._one(item, seed) for item in inputs]

    def _one(self, item: CaptionInput, seed: int) -> CaptionResult:
        found = item.source_caption if self._table is None else self._table.caption_of(item)
        text = " ".join((found or "").split())
        if not text:
            where = "beside the source" if self._table is None else f"of {item.source_id} in the table"
            return CaptionResult("empty", message=f"{item.clip_id}: expected a caption {where}; found none", seed=seed)
        if len(text) > self._max_chars:
            return CaptionResult("truncated", _cut_at_word(text, self._max_chars), finish_reason="max_chars", seed=seed)
        return CaptionResult("success", text, seed=seed)


def _cut_at_word(text: str, max_chars: int) -> str:
    """The longest run of whole words within `max_chars`; the first word is cut where it alone is longer."""
    head = text[: max_chars + 1]
    cut = head.rfind(" ")
    return head[:cut] if cut > 0 else text[:max_chars]


class SidecarConfig(WordsCaptionerConfig):
    """Captions that people, other models or the renderer wrote.

    `table` is a CSV or Parquet file, for one of AudioSetCaps (id, caption) or Auto-ACD (youtube_id, caption); other
    columns are named in `id_column` and `caption_column`. Its clips are found by their file's name, or by their video
    and start. The revision holds the table's sha256: another table is another corpus, wherever it lies.
    """

    kind: Literal["sidecar"] = "sidecar"
    max_chars: Count = 2_000
    table: str | None = Field(default=None, min_length=1, exclude_if=lambda value: value is None)
    id_column: str | None = Field(default=None, min_length=1, exclude_if=lambda value: value is None)
    caption_column: str | None = Field(default=None, min_length=1, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _names_both_columns(self) -> SidecarConfig:
        if (self.id_column is None) is not (self.caption_column is None):
            raise ValueError("give id_column and caption_column, or neither")
        if self.id_column is not None and self.table is None:
            raise ValueError("id_column and caption_column are of a table: give one")
        return self

    @property
    def revision(self) -> str:
        if self.table is None:
            return f"rule-{VERSION}"
        path = expanded(self.table)
        if not path.is_file():
            return f"rule-{VERSION} absent: {self.table}"
        with reading(str(path)):
            return f"rule-{VERSION} table {sha256_of(path)[:16]}"

    def fingerprint_params(self) -> dict[str, Any]:
        """How the table is read; `revision` says which, wherever it lies."""
        return {name: value for name, value in self.model_dump(mode="json").items() if name != "table"}

    def require_ready(self) -> None:
        if self.table is not None and not expanded(self.table).is_file():
            fix = "Correct the path, or get the table from its publisher."
            raise ConfigError(self.table, expected="a table of captions", found="no such file", fix=fix)
        self.build()

    def build(self) -> SidecarCaptioner:
        """The captioner, its table read. Raises ConfigError for one that cannot be used."""
        if self.table is None:
            return SidecarCaptioner(self.max_chars)
        from uniform_core.captioners.table import read_table

        table = read_table(self.table, id_column=self.id_column, caption_column=self.caption_column)
        return SidecarCaptioner(self.max_chars, table=table)
