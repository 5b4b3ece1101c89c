"""VGGSound: 10 s clips of YouTube videos with one of 309 labels each.

Source: facts/datasets.md §1.1 and §1.2 (the lists and who uses them).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar, Final, Literal, Self

from pydantic import model_validator

from uniform_core.datasets.index import IndexDataset
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, ListedClip, Row, shown
from uniform_core.datasets.index_names import (
    label_of,
    padded_name,
    seconds,
    split_ms_span,
    split_padded,
    youtube_id,
)
from uniform_core.datasets.official import VGGSOUND, VGGSOUND_LISTS
from uniform_core.fetching.indexes import IndexFile
from uniform_core.types import Window

CLIP_S: Final = 10.0
_OFFICIAL: Final = ("train", "test")
_FORMS: Final = {
    "whole": Form(columns=4),
    "released": Form(columns=2),
    "specvqgan": Form(columns=1, is_quoted=False),
    "mmaudio": Form(columns=2, separator="\t", header=("id", "label")),
}


class VGGSoundConfig(IndexDataset):
    """VGGSound by the listing that is chosen.

    `whole` is vggsound.csv; `released` are train.csv and test.csv, without the 291 clips that the authors' own archive
    of the videos lacks; `specvqgan` and `mmaudio` are the lists of those papers, which have a split `val`.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")

    kind: Literal["vggsound"] = "vggsound"
    listing: Literal["whole", "released", "specvqgan", "mmaudio"] = "whole"

    @model_validator(mode="after")
    def _listing_has_the_split(self) -> Self:
        if self.split == "val" and self.listing in ("whole", "released"):
            raise ValueError("split val is not in the official lists: choose listing specvqgan or mmaudio")
        return self

    @property
    def lists(self) -> tuple[IndexFile, ...]:
        return tuple(self._chosen.values())

    @property
    def companions(self) -> tuple[IndexFile, ...]:
        """SpecVQGAN's lists have no labels: those of the whole list stand in."""
        return (VGGSOUND,) if self.listing == "specvqgan" else ()

    def listed(self) -> Iterator[ListedClip | BadLine]:
        labels: dict[str, tuple[str, ...]] = {}
        for file in self.companions:
            for line in self.read(file, _FORMS["whole"], _of_whole):
                if isinstance(line, ListedClip):
                    labels[line.source_id] = line.labels
                else:
                    yield line
        for split, file in self._chosen.items():
            yield from self.read(file, _FORMS[self.listing], partial(self._clip, split=split, labels=labels))

    @property
    def _chosen(self) -> dict[str, IndexFile]:
        """The lists by their split; that of all splits is under the empty name."""
        every = VGGSOUND_LISTS[self.listing]
        return {split: file for split, file in every.items() if self.split in (None, split) or not split}

    def _clip(self, row: Row, *, split: str, labels: Mapping[str, tuple[str, ...]]) -> ListedClip:
        if self.listing == "whole":
            return _of_whole(row)
        if self.listing == "specvqgan":
            video_id, span = split_ms_span(row.fields[0])
            name = padded_name(video_id, span.start_s)
            return ListedClip(row.file, row.number, name, video_id, split, span, labels=labels.get(name, ()))
        name = row.fields[0]
        if self.listing == "released":
            if not name.endswith(".mp4"):
                raise BadValueError(f"a name like ID_000030.mp4 expected, {shown(name)} found")
            name = name.removesuffix(".mp4")
        video_id, start_s = split_padded(name)
        return _ten_seconds(row, video_id, start_s, split=split, label=row.fields[1])


def _of_whole(row: Row) -> ListedClip:
    video_id, start, label, split = row.fields
    if split not in _OFFICIAL:
        raise BadValueError(f"a split ({', '.join(_OFFICIAL)}) expected, {shown(split)} found")
    return _ten_seconds(row, youtube_id(video_id), seconds(start), split=split, label=label)


def _ten_seconds(row: Row, video_id: str, start_s: float, *, split: str, label: str) -> ListedClip:
    return ListedClip(
        row.file,
        row.number,
        padded_name(video_id, start_s),
        video_id,
        split,
        Window(start_s, start_s + CLIP_S),
        labels=(label_of(label),),
    )
