"""Every value of the paper's tables, with the protocol that it was probably scored under, and how sure that is.

The values stand in `values.csv`, as they are printed; what the paper does not say (protocol, length and number of the
clips) was inferred, and each value names what from (`BASES`).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from pydantic import Field

from uniform_core.types import Count, Frozen, Modality, PositiveFloat, Task

Metric = Literal["fad", "fd", "is_audio", "kl", "fvd", "kvd", "is_video", "av_align"]


class Strength(StrEnum):
    """How sure the protocol of a value is. None of them is more than an inference: the paper names no code."""

    STRONG = "strong"  # the numbers of others that stand beside it are known from where they come
    INFERRED = "inferred"  # by its column, its scale, or what the paper cites
    WEAK = "weak"  # one of several that would fit
    UNKNOWN = "unknown"  # nothing tells


class Mark(StrEnum):
    """What a value must not be printed without."""

    RECONSTRUCTED = "reconstructed"
    AUDIOCLIP = "audioclip_x1e4"


MARKED: Final[Mapping[Mark, str]] = {Mark.RECONSTRUCTED: "reconstructed", Mark.AUDIOCLIP: "AudioCLIP ×10⁴"}

BASES: Final[Mapping[str, str]] = {
    "mmaudio": "the row's four audio numbers are those of MMAudio's table 1, which av-benchmark made of 8 s clips",
    "same_columns": "the same four columns as the rows that av-benchmark made",
    "cited_metric": "the paper cites Seeing and Hearing for AV-align, whose published code is this rule",
    "tempotokens": "the row is TempoTokens' own, remembered and not read again",
    "kvd_column": "the KVD column is of MM-Diffusion's evaluator alone, and the scale is its",
    "lineage": "the FVD code of MM-Diffusion, which AV-DiT and Seeing and Hearing took over",
    "audioclip": "10 and more is the scale of MM-Diffusion's Fréchet distance of AudioCLIP, times 10,000",
    "vggish_scale": "the scale of the paper's VGGish distances elsewhere",
    "not_published": "from Seeing and Hearing's paper; that code was not published",
    "no_extractor": "the paper does not say which classifier; C3D of UCF-101 is the only common one",
}


class PaperValue(Frozen):
    """One printed number. `text` None: the table does not say whether the method had a caption.

    `steps` and `guidance` are those of the supplement's sweeps; None elsewhere, where the paper has 30 and 5 (§4.1.2).
    `protocol` is the whole name of a score, such as `fad.vggish16k.av_benchmark`; None where nothing tells. `clip_s`
    and `clips` are the length and the number of the clips behind it; None where they are not known.
    """

    table: str
    task: Task
    dataset: Literal["vggsound", "landscape", "aist++", "audioset"]
    method: str
    text: bool | None
    steps: Count | None
    guidance: PositiveFloat | None
    metric: Metric
    value: float
    note: str
    mark: Mark | None
    protocol: str | None
    strength: Strength
    basis: str = Field(min_length=1)
    clip_s: PositiveFloat | None
    clips: Count | None

    @property
    def printed(self) -> str:
        """The value as it may be shown: never without its mark."""
        return f"{self.value:g}" if self.mark is None else f"{self.value:g} ({MARKED[self.mark]})"

    @property
    def is_of_uniform(self) -> bool:
        """Whether the paper's authors made the clips with a model of this architecture."""
        return self.method in (UNIFORM, UNIMODAL)


UNIFORM: Final = "UniForm"
UNIMODAL: Final = "Unimodal"


@dataclass(frozen=True)
class PaperMetric:
    """A column of the paper: how it is titled, which way is better, and the first word of our scores of the kind.

    `judges` tells those of sound from those of picture where both have the word; None: it speaks of both together.
    """

    title: str
    is_lower_better: bool
    word: str
    judges: Modality | None

    @property
    def heading(self) -> str:
        """The title with the arrow that the paper prints."""
        return f"{self.title} {'↓' if self.is_lower_better else '↑'}"


METRICS: Final[Mapping[str, PaperMetric]] = {
    "fad": PaperMetric("FAD", True, "fad", Modality.AUDIO),
    "fd": PaperMetric("FD", True, "fd", Modality.AUDIO),
    "is_audio": PaperMetric("IS (sound)", False, "is", Modality.AUDIO),
    "kl": PaperMetric("KL", True, "kl", Modality.AUDIO),
    "fvd": PaperMetric("FVD", True, "fvd", Modality.VIDEO),
    "kvd": PaperMetric("KVD", True, "kvd", Modality.VIDEO),
    "is_video": PaperMetric("IS (picture)", False, "is", Modality.VIDEO),
    "av_align": PaperMetric("AV-align", False, "av_align", None),
}


@dataclass(frozen=True)
class PaperTable:
    """One table. `place` is where it stands; `remark` is what a reader of it should know, or empty."""

    number: str
    title: str
    place: str
    remark: str = ""

    @property
    def name(self) -> str:
        """As the paper calls it."""
        return f"Table S{self.number[1:]}" if self.number.startswith("s") else f"Table {self.number}"

    @property
    def values(self) -> tuple[PaperValue, ...]:
        """Its values, in the order in which they are printed."""
        return tuple(value for value in paper_values() if value.table == self.number)


_SWAPPED = "§4.6.1 names the two datasets the other way round; the numbers are those of tables 1 and 2."
_GARBLED = (
    "The rows were put together from a garbled text: no number of them may be quoted. UniForm's FAD with text and the "
    "AV-align of Seeing&Hearing could not be told."
)
TABLES: Final[Mapping[str, PaperTable]] = {
    table.number: table
    for table in (
        PaperTable("1", "V2A beside other methods", "§4.2"),
        PaperTable("2", "A2V beside other methods", "§4.3"),
        PaperTable("3", "T2AV beside other methods", "§4.4", "The FAD column mixes two extractors."),
        PaperTable("4", "the three tasks beside Seeing&Hearing, whose models are separate", "§4.5"),
        PaperTable("5", "V2A and A2V with and without text", "§4.6.1", _SWAPPED),
        PaperTable("6", "AV-align of joint generation beside that of two unimodal models", "§4.6.2"),
        PaperTable("s1", "A2V on VGGSound", "supplement A.1"),
        PaperTable("s2", "T2AV on VGGSound", "supplement A.1"),
        PaperTable("s3", "V2A on Landscape", "supplement A.2", _GARBLED),
        PaperTable("s4", "V2A and A2V on AIST++", "supplement A.3"),
        PaperTable("s5", "the three tasks on AudioSet", "supplement A.4"),
        PaperTable("s6", "numbers of steps and scales of guidance on Landscape", "supplement B"),
    )
}
NUMBERS: Final = tuple(TABLES)


@cache
def paper_values() -> tuple[PaperValue, ...]:
    """Every value of every table."""
    text = (files(__package__) / "values.csv").read_text("utf-8")
    return tuple(PaperValue.model_validate(row) for row in _rows(text))


def _rows(text: str) -> Iterator[dict[str, Any]]:
    for row in csv.DictReader(text.splitlines()):
        table, _, axis = row["table"].lower().partition("/")
        name, _, number = axis.partition("=")
        swept = {"steps": None, "guidance": None} | ({name: int(number)} if name else {})
        empty_as_none = {key: row[key] or None for key in ("mark", "protocol", "clip_s", "clips")}
        counts = {"clips": None if row["clips"] == "" else int(row["clips"])}
        said = {"": None, "yes": True, "no": False}[row["text"]]
        yield {**row, **empty_as_none, **counts, **swept, "table": table, "text": said}
