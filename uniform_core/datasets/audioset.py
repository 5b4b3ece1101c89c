"""AudioSet: clips of up to 10 s of YouTube videos with labels; its balanced, strongly labelled and evaluation parts.

Source: facts/datasets.md §1.3 and §1.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import ClassVar, Final, Literal, Self, get_args

from pydantic import Field
from typing_extensions import override

from uniform_core.datasets.index import MOST_CLIPS, IndexDataset
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, ListedClip, Row, shown
from uniform_core.datasets.index_names import label_of, ms_name, seconds, span_of, split_ms, youtube_id
from uniform_core.datasets.index_once import too_many
from uniform_core.datasets.official import AUDIOSET_LABELS, AUDIOSET_LISTS, AUDIOSET_STRONG_LABELS
from uniform_core.fetching.indexes import IndexFile
from uniform_core.types import SourceItem, Window

Subset = Literal["balanced", "strong"]
CLIP_S: Final = 10.0
_MID: Final = re.compile(r"/[a-z]/[a-z0-9_]{1,30}")
_SEGMENTS: Final = Form(columns=4, comment="#")
_EVENTS: Final = Form(
    columns=4,
    separator="\t",
    header=("segment_id", "start_time_seconds", "end_time_seconds", "label"),
    is_quoted=False,
)
_LABELS: Final = Form(columns=3, header=("index", "mid", "display_name"))
_STRONG_LABELS: Final = Form(columns=2, separator="\t", is_quoted=False)
_MOST_LABELS: Final = 10_000

Names = Mapping[str, str]  # of labels, by their mid


class AudioSetConfig(IndexDataset):
    """AudioSet. `subsets` make up the training split; the paper trains on both.

    A clip's label is the names of all its labels; `mids` among its attributes are what AudioSet calls them.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "eval")

    kind: Literal["audioset"] = "audioset"
    subsets: tuple[Subset, ...] = Field(default=("balanced", "strong"), min_length=1)

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """The argument is a split, or one of the subsets of the training split."""
        if argument in get_args(Subset):
            return cls.model_validate({"split": "train", "subsets": (argument,)})
        return super().from_argument(argument)

    @property
    def lists(self) -> tuple[IndexFile, ...]:
        return tuple(AUDIOSET_LISTS[part] for part in self._parts)

    @property
    def companions(self) -> tuple[IndexFile, ...]:
        weak = (AUDIOSET_LABELS,) if set(self._parts) - {"strong"} else ()
        return (*weak, AUDIOSET_STRONG_LABELS) if "strong" in self._parts else weak

    @override
    def other_stems(self, item: SourceItem, *, is_alone: bool) -> tuple[str, ...]:
        """Downloaders write the span in ms, in hundredths or in seconds; the video's name alone is its only clip's."""
        assert item.span is not None  # every line has one
        start_s, end_s = item.span.start_s, item.span.end_s
        spans = [f"{round(start_s * n)}_{round(end_s * n)}" for n in (1000, 100)]
        spans.append(f"{start_s:.3f}_{end_s:.3f}")
        stems = [f"{item.video_id}_{span}" for span in spans]
        if is_alone:
            stems.append(f"{item.video_id}")
        return (*stems, *(f"Y{stem}" for stem in (item.source_id, *stems)))  # no name may begin with a -: some have a Y

    @override
    def listed(self) -> Iterator[ListedClip | BadLine]:
        names: dict[str, dict[str, str]] = {}
        for table in self.companions:
            names[table.name] = {}
            yield from self._read_names(table, names[table.name])
        for part in self._parts:
            if part == "strong":
                yield from self._strong(names[AUDIOSET_STRONG_LABELS.name])
            else:
                weak = names[AUDIOSET_LABELS.name]
                yield from self.read(AUDIOSET_LISTS[part], _SEGMENTS, partial(_segment, part=part, names=weak))

    @property
    def _parts(self) -> tuple[str, ...]:
        """The lists that are read, each once, in an order of their own."""
        train = tuple(part for part in get_args(Subset) if part in self.subsets)
        return {"train": train, "eval": ("eval",), None: (*train, "eval")}[self.split]

    def _read_names(self, table: IndexFile, names: dict[str, str]) -> Iterator[BadLine]:
        """Fills the names of labels, and yields the lines that are none."""
        form = _LABELS if table == AUDIOSET_LABELS else _STRONG_LABELS
        for line in self.read(table, form, _label):
            if isinstance(line, BadLine):
                yield line
            elif len(names) == _MOST_LABELS:
                raise too_many(table.name, _MOST_LABELS, "labels")
            else:
                names[line[0]] = line[1]

    def _strong(self, names: Names) -> Iterator[ListedClip | BadLine]:
        """The clips of the events, in the order in which each is named first."""
        file = AUDIOSET_LISTS["strong"]
        numbers: dict[str, int] = {}
        mids: dict[str, dict[str, None]] = {}
        for line in self.read(file, _EVENTS, partial(_event, names=names)):
            if isinstance(line, BadLine):
                yield line
                continue
            number, segment, mid = line
            if segment not in numbers and len(numbers) == MOST_CLIPS:
                raise too_many(file.name, MOST_CLIPS, "clips")
            numbers.setdefault(segment, number)
            mids.setdefault(segment, {})[mid] = None
        for segment, number in numbers.items():
            video_id, start_s = split_ms(segment)
            span = Window(start_s, start_s + CLIP_S)
            yield _clip((file.name, number), video_id, span, part="strong", mids=mids[segment], names=names)


def _label(row: Row) -> tuple[str, str]:
    """The mid and the name of a label. Raises BadValueError."""
    mid, name = row.fields[-2:]
    if not _MID.fullmatch(mid):
        raise BadValueError(f"a mid like /m/09x0r expected, {shown(mid)} found")
    return mid, label_of(name)


def _segment(row: Row, *, part: str, names: Names) -> ListedClip:
    """The clip of a line of a segment list. Raises BadValueError."""
    video_id, start, end, labels = row.fields
    mids = dict.fromkeys(_known(mid.strip(), names) for mid in labels.split(","))
    span = span_of(seconds(start), seconds(end))
    return _clip((row.file, row.number), youtube_id(video_id), span, part=part, mids=mids, names=names)


def _event(row: Row, *, names: Names) -> tuple[int, str, str]:
    """The line's number, its clip and its label. Raises BadValueError."""
    segment, start, end, mid = row.fields
    if seconds(end) < seconds(start):
        raise BadValueError(f"an event that ends after its start at {start} s expected, {end} s found")
    return row.number, ms_name(*split_ms(segment)), _known(mid, names)


def _known(mid: str, names: Names) -> str:
    if mid not in names:
        raise BadValueError(f"a label of AudioSet's tables expected, {shown(mid)} found")
    return mid


def _clip(
    place: tuple[str, int], video_id: str, span: Window, *, part: str, mids: Iterable[str], names: Names
) -> ListedClip:
    """The clip of a file's line."""
    file, number = place
    return ListedClip(
        file,
        number,
        ms_name(video_id, span.start_s),
        video_id,
        "eval" if part == "eval" else "train",
        span,
        labels=tuple(names[mid] for mid in mids),
        attributes={"subset": part, "mids": ",".join(mids)},
    )
