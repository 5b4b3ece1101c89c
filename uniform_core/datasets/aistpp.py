"""AIST++: dances to music, filmed by nine cameras; whole videos, by the split in which no music and no dance is shared.

The paper's caption of a clip is its genre: captioner `class_label`. The paper cuts the centre square out of each
picture. Canonical clips keep the whole of it, and whoever reads them for the model cuts: a run with these data must
have `resize: crop` (decision 024). Source: facts/datasets.md §1.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from typing_extensions import override

from uniform_core.datasets.index import IndexDataset
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, ListedClip, Row, shown
from uniform_core.datasets.index_once import too_many
from uniform_core.datasets.official import AIST_MEDIA, AIST_TERMS, AISTPP_IGNORED, AISTPP_LISTS, AISTPP_VIDEOS
from uniform_core.errors import ConfigError
from uniform_core.fetching.indexes import IndexFile
from uniform_core.fetching.sources import AnySource, HttpSource, SourceConfig

if TYPE_CHECKING:  # the union is made of what the family imports; a type checker sees the base
    AnySource = SourceConfig

GENRES: Final = {  # the letters of names, and what they stand for
    "BR": "Break",
    "PO": "Pop",
    "LO": "Lock",
    "MH": "Middle Hip-hop",
    "LH": "LA-style Hip-hop",
    "HO": "House",
    "WA": "Waack",
    "KR": "Krump",
    "JS": "Street Jazz",
    "JB": "Ballet Jazz",
}
SITUATIONS: Final = {"BM": "basic", "FM": "advanced", "GR": "group", "MD": "moving camera"}  # that have one piece each
_NAME: Final = re.compile(
    r"g(?P<genre>[A-Z]{2})_s(?P<situation>[A-Z]{2})_c(?P<camera>All|[0-9]{2})(?P<dancers>(_d[0-9]{2}){1,20})"
    r"_m(?P<music>[A-Z]{2}[0-9])_ch(?P<choreography>[0-9]{2})"
)
_FORM: Final = Form(columns=1, is_quoted=False)
_MOST_NAMES: Final = 100_000


class AistppConfig(IndexDataset):
    """AIST++ as one camera filmed it. `is_cleaned` leaves out the sequences of its authors' ignore_list.txt.

    The videos are the AIST Dance Database's, whose terms `accept_terms` says that you have read and accept.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    needs_crop: ClassVar[bool] = True

    kind: Literal["aistpp"] = "aistpp"
    camera: Literal["c01", "c02", "c03", "c04", "c05", "c06", "c07", "c08", "c09"] = "c01"  # c01 is in front
    is_cleaned: bool = False
    accept_terms: bool = False
    sources: tuple[AnySource, ...] = (HttpSource(hosts=(urlsplit(AIST_MEDIA).hostname or "",)),)

    @property
    def lists(self) -> tuple[IndexFile, ...]:
        return tuple(self._chosen.values())

    @property
    def companions(self) -> tuple[IndexFile, ...]:
        return (AISTPP_VIDEOS, AISTPP_IGNORED) if self.is_cleaned else (AISTPP_VIDEOS,)

    @override
    def fingerprint_params(self) -> dict[str, Any]:
        """Who has accepted the terms changes no clip."""
        return {name: value for name, value in super().fingerprint_params().items() if name != "accept_terms"}

    @property
    @override
    def refused(self) -> ConfigError | None:
        """The terms are not accepted, and the videos are to come from the database."""
        if self.accept_terms or all(source.kind != "http" for source in self.sources):
            return None
        return ConfigError(
            "data aistpp",
            expected=f"that you accept the terms of the AIST Dance Database ({AIST_TERMS})",
            found="data.accept_terms=false",
            fix="Read them, and say --set data.accept_terms=true; or take http out of data.sources.",
        )

    def url_of(self, video_id: str) -> str:
        return f"{AIST_MEDIA}/{video_id}.mp4"

    @override
    def listed(self) -> Iterator[ListedClip | BadLine]:
        names: dict[str, set[str]] = {}
        for table in self.companions:
            names[table.name] = set()
            yield from self._read_names(table, names[table.name])
        ignored = names.get(AISTPP_IGNORED.name, set())
        for split, file in self._chosen.items():
            for line in self.read(file, _FORM, partial(self._clip, split=split)):
                if isinstance(line, BadLine):
                    yield line
                elif line.source_id not in names[AISTPP_VIDEOS.name]:
                    reason = f"a video of {AISTPP_VIDEOS.name} expected, {line.source_id} found"
                    yield BadLine(line.file, line.number, reason)
                elif line.attributes["sequence"] not in ignored:
                    yield line

    @property
    def _chosen(self) -> dict[str, IndexFile]:
        return {split: file for split, file in AISTPP_LISTS.items() if self.split in (None, split)}

    def _read_names(self, table: IndexFile, names: set[str]) -> Iterator[BadLine]:
        """Fills the names, and yields the lines that are none. They are looked up only, so any grammar will do."""
        for line in self.read(table, _FORM, lambda row: row.fields[0]):
            if isinstance(line, BadLine):
                yield line
            elif len(names) == _MOST_NAMES:
                raise too_many(table.name, _MOST_NAMES, "names")
            else:
                names.add(line)

    def _clip(self, row: Row, *, split: str) -> ListedClip:
        """The chosen camera's film of a sequence. Raises BadValueError for what is no name of one."""
        name = row.fields[0]
        found = _NAME.fullmatch(name)
        if found is None:
            raise BadValueError(f"a name like gBR_sBM_cAll_d04_mBR0_ch01 expected, {shown(name)} found")
        for letters, known in ((found["genre"], GENRES), (found["situation"], SITUATIONS)):
            if letters not in known:
                raise BadValueError(f"one of {', '.join(known)} expected, {letters} found in {shown(name)}")
        video = f"g{found['genre']}_s{found['situation']}_{self.camera}{found['dancers']}_m{found['music']}"
        video += f"_ch{found['choreography']}"
        return ListedClip(
            row.file,
            row.number,
            video,
            video,
            split,
            labels=(GENRES[found["genre"]],),
            attributes={
                "sequence": video.replace(f"_{self.camera}_", "_cAll_"),
                "situation": SITUATIONS[found["situation"]],
                "music": found["music"],
                "camera": self.camera,
                "crop": "centre_square",
            },
        )
