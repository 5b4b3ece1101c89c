"""Landscape: 10 s clips of YouTube videos of nine kinds of sounding nature, by the public list of TempoTokens.

The paper's caption of a clip is its class: captioner `class_label`. Source: facts/datasets.md §1.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from uniform_core.datasets.index import IndexDataset
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, ListedClip, Row, shown
from uniform_core.datasets.index_names import padded_name, seconds, youtube_id
from uniform_core.datasets.official import LANDSCAPE
from uniform_core.fetching.indexes import IndexFile
from uniform_core.types import Window

CLIP_S: Final = 10.0
LABELS: Final = (
    *("squishing water", "wind noise", "fire crackling", "splashing water", "raining"),
    *("underwater bubbling", "thunder", "waterfall burbling", "explosion"),
)
_FORM: Final = Form(columns=4, header=("ytid", "start_time", "class", "set"))


class LandscapeConfig(IndexDataset):
    """Landscape, with the list's own split into train and test."""

    kind: Literal["landscape"] = "landscape"

    @property
    def lists(self) -> tuple[IndexFile, ...]:
        return (LANDSCAPE,)

    def listed(self) -> Iterator[ListedClip | BadLine]:
        return self.read(LANDSCAPE, _FORM, self._clip)

    def _clip(self, row: Row) -> ListedClip:
        video_id, start_s = youtube_id(row.fields[0]), seconds(row.fields[1])
        for value, known in ((row.fields[2], LABELS), (row.fields[3], self.splits)):
            if value not in known:
                raise BadValueError(f"one of {', '.join(known)} expected, {shown(value)} found")
        return ListedClip(
            row.file,
            row.number,
            padded_name(video_id, start_s),
            video_id,
            row.fields[3],
            Window(start_s, start_s + CLIP_S),
            labels=(row.fields[2],),
        )
