"""Several datasets in one run, as the paper trains on VGGSound, AudioSet, Landscape and AIST++ together (§4.1.1).

A union lists and fetches nothing of its own: a run works on its `parts`, each by itself. So what was fetched, decoded
or captioned of a dataset alone is found again in a union, and the other way round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator
from typing_extensions import override

from uniform_core.datasets.base import DatasetConfig
from uniform_core.datasets.filters import Filters
from uniform_core.datasets.index import IndexDataset
from uniform_core.errors import ConfigError, Rejection
from uniform_core.spec import AVSpec
from uniform_core.types import Count, SourceItem

if TYPE_CHECKING:  # the family's `__init__` knows the members; a type checker sees the base
    AnySingle = DatasetConfig


class UnionConfig(DatasetConfig):
    """Datasets under one roof, one of each name; what is in several of them is told apart by that name.

    `clip_s`, `stride_s`, `filters` and `limit` stand in for members that say none of their own; `limit` is of each
    member, all of which must then be indexes. A union has no unions among its members.
    """

    kind: Literal["union"] = "union"
    members: tuple[AnySingle, ...] = Field(min_length=2)
    limit: Count | None = None

    @model_validator(mode="after")
    def _members_are_apart(self) -> Self:
        name, count = Counter(member.name for member in self.members).most_common(1)[0]
        if count > 1:
            raise ValueError(
                f"members must be different datasets; {name} is named {count} times: name it once, "
                "with the splits or subsets that it is to have"
            )
        if self.limit is not None and (
            others := [one.kind for one in self.members if not isinstance(one, IndexDataset)]
        ):
            raise ValueError(f"limit is of datasets that an index lists; {', '.join(others)} has none")
        return self

    @classmethod
    def example(cls) -> Self:
        members = [{"kind": "landscape", "index": "indexes"}, {"kind": "folder", "path": "videos"}]
        return cls.model_validate({"members": members})

    @classmethod
    def from_argument(cls, argument: str) -> Self:
        """A union has no word of its own: it is said by its members."""
        raise ConfigError(
            f"--data union{argument and f':{argument}'}",
            expected="its members, as in --data vggsound:train+landscape",
            found="the word union",
            fix="Name the datasets, with a + between them; or --set data.members, as JSON.",
        )

    @property
    def name(self) -> str:
        return "+".join(member.name for member in self.members)

    @property
    @override
    def parts(self) -> tuple[DatasetConfig, ...]:
        """The members, each as it would be alone with what the union says for those that say nothing."""
        return tuple(self._completed(member) for member in self.members)

    @property
    @override
    def max_reject_fraction(self) -> float:
        """The smallest of the members': of a whole run. What is fetched and ingested is held to each member's own."""
        return min(member.max_reject_fraction for member in self.members)

    def fingerprint_params(self) -> dict[str, Any]:
        """Those of its parts, by their names."""
        return {"members": {part.name: part.fingerprint_params() for part in self.parts}}

    @override
    def items(self, spec: AVSpec) -> Iterator[SourceItem]:
        """Every item of every part, part by part."""
        for part in self.parts:
            yield from part.items(spec)

    @override
    def fetch(self, item: SourceItem, directory: Path) -> Path | Rejection:
        """The item's file, as the part has it that lists the item."""
        part = next((one for one in self.parts if one.name == item.dataset), None)
        if part is None:
            return Rejection("unknown_source", f"expected an item of {self.name}; found one of {item.dataset}")
        return part.fetch(item, directory)

    def _completed(self, member: DatasetConfig) -> DatasetConfig:
        given = {
            "clip_s": member.clip_s or self.clip_s,
            "stride_s": member.stride_s or self.stride_s,
            "filters": self.filters if member.filters == Filters() else member.filters,
        }
        if isinstance(member, IndexDataset):
            given["limit"] = member.limit or self.limit
        changed = {name: value for name, value in given.items() if value != getattr(member, name)}
        return member.model_copy(update=changed) if changed else member
