"""Which caption stands for a clip in a named corpus: selectors, the first that finds one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from uniform_core.captioners.base import CaptionStatus
from uniform_core.captions.flags import AnyFlag
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import text_digest
from uniform_core.types import Frozen

if TYPE_CHECKING:
    from uniform_core.config import RunConfig

Words = Annotated[str, Field(min_length=1, max_length=1_000)]


# Measures that a selector may bound; where one is null, a caption is not known to be within.
Measure = Literal["n_words", "n_text_tokens", "distinct_4grams", "prompt_overlap", "english_share", "agreement"]


class Bound(Frozen):
    """From `least` to `most`, both included; one of them may be left out."""

    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> Bound:
        if self.least is None and self.most is None:
            raise ValueError("a bound has a least, a most, or both")
        return self


class Selector(Frozen):
    """Captions that fit every word that is given; of several of one clip, the one that was written last.

    `revision` may have `*` for any run of letters. `prompt` is the beginning of a prompt's hash, `stage_fp` that of the
    fingerprint that `uniform captions list` shows. `without` are flags that a caption must not have; a caption that was
    never measured (format 2) is not known to be without them. `bounds` are thresholds of the policy's own, on measures:
    flags are by those of the run that wrote a caption.
    """

    captioner: Words
    revision: Words | None = None
    prompt: Annotated[str, Field(pattern="^[0-9a-f]{6,32}$")] | None = None
    stage_fp: Annotated[str, Field(pattern="^[0-9a-f]{6,32}$")] | None = None
    statuses: tuple[CaptionStatus, ...] = Field(default=("success", "truncated"), min_length=1)
    without: tuple[AnyFlag, ...] = ()
    bounds: dict[Measure, Bound] = Field(default={}, exclude_if=lambda value: value == {})

    @field_validator("statuses")
    @classmethod
    def _has_text(cls, statuses: tuple[CaptionStatus, ...]) -> tuple[CaptionStatus, ...]:
        if textless := {"empty", "error"} & set(statuses):
            raise ValueError(f"a corpus is of texts: leave out {', '.join(sorted(textless))}")
        return statuses


class CorpusPolicy(Frozen):
    """Selectors in order. A text that a selector would take for `duplicate_copies` clips is flagged as a duplicate."""

    selectors: tuple[Selector, ...] = Field(min_length=1, max_length=32)
    duplicate_copies: Annotated[int, Field(strict=True, ge=2)] = 20


# By name. `paper-pllava-13b` is §4.1.1 of the paper: a video captioner's words, and the class where there are none.
POLICIES: Final[Mapping[str, CorpusPolicy]] = {
    "paper-pllava-13b": CorpusPolicy(
        selectors=(
            Selector(
                captioner="pllava",
                revision="*pllava-13b@*",  # of the manifest, or of a folder whose config has that size
                without=("too_short", "repetitive", "prompt_echo", "refusal"),
            ),
            Selector(captioner="class_label"),
        )
    ),
    "sidecar-else-label": CorpusPolicy(selectors=(Selector(captioner="sidecar"), Selector(captioner="class_label"))),
    "label": CorpusPolicy(selectors=(Selector(captioner="class_label"),)),
}


def policy_of_run(config: RunConfig) -> CorpusPolicy:
    """The captioners of a run in their order, each as it is configured now."""
    from uniform_core.corpus.fingerprints import captions_fingerprint  # here: who lists corpora needs no run

    return CorpusPolicy(
        selectors=tuple(
            Selector(
                captioner=captioner.kind,
                revision=_escaped(captioner.revision),
                prompt=None if captioner.prompt is None else text_digest(captioner.prompt),
                stage_fp=captions_fingerprint(captioner),
            )
            for captioner in config.captioners
        )
    )


def _escaped(revision: str) -> str | None:
    """A revision as a selector takes it; the fingerprint alone says it where it has a star of its own."""
    return None if "*" in revision else revision


def policy_named(word: str) -> CorpusPolicy:
    """The policy of that name, or the one that a JSON object says. Raises ConfigError."""
    if word in POLICIES:
        return POLICIES[word]
    if not re.match(r"\s*\{", word):
        raise ConfigError(
            f"policy {word!r}",
            expected="one of " + ", ".join(POLICIES) + ', or JSON: {"selectors": [{"captioner": …}, …]}',
            found="an unknown name",
            fix="Correct it.",
        )
    try:
        return CorpusPolicy.model_validate_json(word)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            "policy",
            expected=f"at {place or 'its top'}: {first['msg']}",
            found=repr(first["input"])[:200],
            fix="Correct it.",
        ) from error
