"""Datasets that are lists of clips of videos elsewhere: what all of them have, whatever their lists look like.

A list is read as it comes, and nothing of it leads to a place or a host until it has the grammar of its kind. A line
that cannot be used is an item, too, so that it has its reason in the ledger, with its number.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from pydantic import field_validator, model_validator
from typing_extensions import override

from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, ListedClip, Row, read_rows
from uniform_core.datasets.index_once import each_once
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.entries import is_text
from uniform_core.fetching.indexes import IndexFile, ensure_index, pinned_path
from uniform_core.fetching.sources import AnySource, SourceConfig, YoutubeSource
from uniform_core.fetching.wanted import WantedClip, WantedVideo
from uniform_core.pinned import sha256_of
from uniform_core.progress import Listener, silent
from uniform_core.settings import load_settings
from uniform_core.spec import AVSpec
from uniform_core.types import Count, SourceItem, Window

if TYPE_CHECKING:  # the union is made of what the family imports; a type checker sees the base
    AnySource = SourceConfig

VERSION: Final = 1
BAD_LINE: Final = "bad_line"  # the attribute of a line that cannot be used: its reason
INDEX: Final = "index"  # the attribute that names the list which an item stands in
MOST_BAD_LINES: Final = 1_000  # that are items of their own; more are counted in one
MOST_CLIPS: Final = 4_000_000  # twice the largest list there is
Read = TypeVar("Read")


class IndexDataset(DatasetConfig):
    """A dataset by its index. The files of its clips are asked of `sources`, in their order.

    `index` is a list of one's own, or a folder that has the lists under their published names; where it is null, the
    official ones are fetched and kept. `limit` ends the listing after so many clips. Where `clip_s` is null, one clip
    is cut from the beginning of each file; else as many as the cut rule finds in it.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    split: str | None = None  # None: all of them
    index: Path | None = None
    limit: Count | None = None
    sources: tuple[AnySource, ...] = (YoutubeSource(),)

    @field_validator("index")
    @classmethod
    def _is_text(cls, index: Path | None) -> Path | None:
        if index is not None and not is_text(str(index)):
            raise ValueError("should be UTF-8 text without a NUL")
        return index

    @model_validator(mode="after")
    def _split_is_known(self) -> Self:
        if self.split is not None and self.split not in self.splits:
            raise ValueError(f"split must be one of {', '.join(self.splits)}; found {self.split!r}")
        return self

    @classmethod
    def example(cls) -> Self:
        return cls.model_validate({"index": Path("indexes")})

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """The argument is a split; without one it is the whole dataset."""
        if argument and argument not in cls.splits:
            raise ConfigError(
                f"--data {cls.model_fields['kind'].default}:{argument}",
                expected=f"a split ({', '.join(cls.splits)}), or none for all of them",
                found=argument,
                fix="Correct it.",
            )
        return cls.model_validate({"split": argument or None})

    @property
    def name(self) -> str:
        return self.kind

    @property
    @abstractmethod
    def lists(self) -> tuple[IndexFile, ...]:
        """The files that list the clips of this config."""

    @property
    def companions(self) -> tuple[IndexFile, ...]:
        """Further files that are needed to read the lists."""
        return ()

    @abstractmethod
    def listed(self) -> Iterator[ListedClip | BadLine]:
        """Every line of the lists that says something, in order. Raises ConfigError where a list cannot be used."""

    def url_of(self, video_id: str) -> str | None:  # noqa: ARG002  (members use it)
        """Where a video is, where the dataset itself says so."""
        return None

    def other_stems(self, item: SourceItem, *, is_alone: bool) -> tuple[str, ...]:  # noqa: ARG002  (members use it)
        """What copies call a clip otherwise; `is_alone`: its video has no other clip in the lists of the run."""
        return ()

    def fingerprint_params(self) -> dict[str, Any]:
        """Places do not enter: the same clip is the same wherever its file and its list came from."""
        return {**self.model_dump(mode="json", exclude={"index", "sources"}), "version": VERSION}

    def prepare(self, *, on_progress: Listener = silent) -> None:
        """The lists are here: to be called before `items`, by whoever may use the network.

        Raises ConfigError, ServiceError or StorageError that says which list is missing and what to do.
        """
        if self.refused is not None:
            raise self.refused
        if self.index is None:
            ensure_index((*self.lists, *self.companions), self._folder, dataset=self.name, on_progress=on_progress)
        for file in (*self.lists, *self.companions):
            self.path_of(file)

    @property
    def refused(self) -> ConfigError | None:
        """Why nothing of it may be fetched as it is set up, whatever is here; None where nothing speaks against it."""
        return None

    @property
    def missing_lists(self) -> tuple[IndexFile, ...]:
        """The files that `prepare` would have to bring.

        Raises ConfigError where `index` lacks one: nobody brings it there.
        """
        files = (*self.lists, *self.companions)
        if self.index is None:
            return tuple(file for file in files if not (self._folder / file.name).is_file())
        for file in files:
            self.path_of(file)
        return ()

    @property
    def published_clips(self) -> int | None:
        """How many clips its lists were published with, as many as it takes of them; None where nobody says."""
        counts = [count for file in self.lists for split, count in file.published if self.split in (None, split)]
        if not counts or None in counts:
            return None
        whole = sum(count for count in counts if count is not None)
        return whole if self.limit is None else min(whole, self.limit)

    def path_of(self, file: IndexFile) -> Path:
        """Where a list stands. Raises ConfigError where it does not, or is not what it was when it came."""
        if self.index is None:
            return pinned_path(file, self._folder, dataset=self.name)
        path = self._given_path(file, self.index.expanduser())
        if not path.is_file():
            raise ConfigError(
                f"index of {self.name}: {path}",
                expected=f"{file.name} ({file.what})",
                found="no file" if path.exists() else "nothing there",
                fix="Put it there, or leave data.index out to have it fetched.",
            )
        return path

    def index_sha256(self, item: SourceItem) -> str:
        """The sha256 of the list that an item stands in, 64 hex digits."""
        file = next(file for file in (*self.lists, *self.companions) if file.name == item.attributes[INDEX])
        return sha256_of(self.path_of(file))

    def read(self, file: IndexFile, form: Form, made_of: Callable[[Row], Read]) -> Iterator[Read | BadLine]:
        """What each line of a list says. `made_of` raises BadValueError for a line that cannot be used."""
        for row in read_rows(self.path_of(file), form, name=file.name):
            if isinstance(row, BadLine):
                yield row
                continue
            try:
                yield made_of(row)
            except BadValueError as error:
                yield BadLine(row.file, row.number, str(error))

    @override
    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every clip and every line that cannot be used, in the order of the lists. The network is not asked."""
        listed, bad, last = 0, 0, None
        for line in each_once(self.listed, splits=self.splits, only=self.split, most=MOST_CLIPS):
            if isinstance(line, BadLine):
                bad, last = bad + 1, line
                if bad <= MOST_BAD_LINES:
                    yield self._bad_item(line, str(line.number), line.reason)
            else:
                listed += 1
                yield self._item(line, spec)
                if listed == self.limit:
                    break
        if last is not None and bad > MOST_BAD_LINES:
            yield self._bad_item(last, "more", f"{last.reason} (and {bad - MOST_BAD_LINES - 1:,} lines before it)")

    @override
    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The clip's file, where it was fetched to, or where its owner keeps it; or why there is none."""
        if BAD_LINE in item.attributes:
            return Rejection("bad_index_line", item.attributes[BAD_LINE])
        try:
            name = WantedClip(item.source_id).source_id
        except ValueError as error:
            return Rejection("unknown_source", str(error))
        path = directory / f"{name}.mp4"
        if not path.is_file():
            found = "a link that leads nowhere" if path.is_symlink() else "nothing there"
            return Rejection("not_fetched", f"a fetched file expected, {found} found", terminal=False)
        return path.resolve() if path.is_symlink() else path

    def videos(self, items: Iterable[SourceItem], *, alone: Container[str] = ()) -> Iterator[WantedVideo]:
        """The videos of items with all their clips, in the order in which each is named first; no bad lines.

        `alone` are the ids of clips whose videos have no other clip in the run's lists.
        """
        clips: dict[str, list[WantedClip]] = {}
        for item in items:
            if item.video_id is not None:
                stems = self.other_stems(item, is_alone=item.source_id in alone)
                clips.setdefault(item.video_id, []).append(WantedClip(item.source_id, item.span, stems))
        for video_id, wanted in clips.items():
            yield WantedVideo(self.name, video_id, tuple(wanted), url=self.url_of(video_id))

    def differences(self) -> list[str]:
        """Where the lists have not as many clips or labels as were published, in words. Reads all of them."""
        clips: dict[str, int] = {}
        labels: dict[str, set[str]] = {}
        for line in self.listed():
            if isinstance(line, ListedClip):
                clips[line.file] = clips.get(line.file, 0) + 1
                labels.setdefault(line.file, set()).update(line.labels)
        return [
            f"{file.name}: {published:,} {what} published, {found:,} found"
            for file in self.lists
            for what, published, found in (
                ("clips", file.clips, clips.get(file.name, 0)),
                ("labels", file.labels, len(labels.get(file.name, ()))),
            )
            if published is not None and published != found
        ]

    @property
    def _folder(self) -> Path:
        return load_settings().indexes_dir / self.name

    def _given_path(self, file: IndexFile, given: Path) -> Path:
        """The file in the folder that was given; itself, where it alone was given; else beside what was given."""
        if given.is_dir():
            return given / file.name
        names = {one.name for one in (*self.lists, *self.companions)}
        if given.name not in names and len(self.lists) > 1:
            raise ConfigError(
                f"index of {self.name}: {given}",
                expected=f"a folder with {', '.join(sorted(names))}",
                found="one file" if given.exists() else "nothing there",
                fix="Name a folder, or a single split.",
            )
        is_given = given.name == file.name or (given.name not in names and file in self.lists)
        return given if is_given else given.parent / file.name

    def _item(self, clip: ListedClip, spec: AVSpec) -> SourceItem:
        length_s = (self.clip_s or spec.duration_s) if clip.span is None else clip.span.end_s - clip.span.start_s
        return SourceItem(
            dataset=self.name,
            source_id=clip.source_id,
            split=clip.split,
            label="; ".join(clip.labels) or None,
            video_id=clip.video_id,
            span=clip.span,
            windows=(Window(0.0, round(length_s, 3)),) if self.clip_s is None else None,
            attributes={INDEX: clip.file, **clip.attributes},
        )

    def _bad_item(self, line: BadLine, number: str, reason: str) -> SourceItem:
        return SourceItem(
            dataset=self.name,
            source_id=f"{line.file}:{number}",  # no clip has a colon in its name
            split=self.split or self.splits[0],
            attributes={INDEX: line.file, BAD_LINE: f"{line.file}, line {line.number}: {reason}"},
        )
