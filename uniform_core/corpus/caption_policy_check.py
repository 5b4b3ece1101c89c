"""Whether a policy's words mean captions that are there: a wrong one would select nothing, and nobody would be told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from uniform_core.captioners import MEMBERS
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_policy import CorpusPolicy, Selector
from uniform_core.corpus.caption_versions import SHORT
from uniform_core.errors import ConfigError, nearest

_WAYS: Final = "SELECT DISTINCT captioner, captioner_revision, prompt_hash, stage_fp FROM captions"
_KINDS: Final = frozenset(member.model_fields["kind"].default for member in MEMBERS)
_SHOWN: Final = 10

Ways = Sequence[Mapping[str, Any]]


def require_captioners(catalog: Catalog, policy: CorpusPolicy) -> None:
    """Raises ConfigError for a selector of a captioner that there is not, and by which there are no captions."""
    _require_captioners(catalog.rows("SELECT DISTINCT captioner FROM captions"), policy)


def require_fitting(catalog: Catalog, policy: CorpusPolicy, versions: Mapping[str, int]) -> None:
    """Raises ConfigError where a captioner is unknown, or none of its captions has a selector's revision, prompt or
    fingerprint.

    A captioner that is known and has said nothing yet is no mistake where it is named without any of these.
    """
    ways = catalog.rows(_WAYS, versions=versions)
    _require_captioners(ways, policy)
    for selector in policy.selectors:
        own = [way for way in ways if way["captioner"] == selector.captioner]
        for column, given, fits in _words(selector):
            found = sorted({way[column] for way in own if way[column] is not None})
            if not any(fits(one) for one in found):
                raise _fits_none(selector, column, given, found)


def _require_captioners(ways: Ways, policy: CorpusPolicy) -> None:
    known = sorted(_KINDS | {way["captioner"] for way in ways})
    for selector in policy.selectors:
        if selector.captioner not in known:
            raise ConfigError(
                "policy, selectors",
                expected="a captioner: " + ", ".join(known),
                found=repr(selector.captioner),
                fix=nearest(selector.captioner, known),
            )


def _words(selector: Selector) -> Iterator[tuple[str, str, Callable[[str], bool]]]:
    """What a selector asks of a caption by its column, and whether a value of that column has it."""
    if (revision := selector.revision) is not None:
        pattern = re.compile(".*".join(map(re.escape, revision.split("*"))), re.DOTALL)
        yield "captioner_revision", revision, lambda one: pattern.fullmatch(one) is not None
    for column, beginning in (("prompt_hash", selector.prompt), ("stage_fp", selector.stage_fp)):
        if beginning is not None:
            yield column, beginning, lambda one, beginning=beginning: one.startswith(beginning)  # type: ignore[misc]


def _fits_none(selector: Selector, column: str, given: str, found: Sequence[str]) -> ConfigError:
    is_hash = column != "captioner_revision"
    shown = ", ".join(one[:SHORT] if is_hash else one for one in found[:_SHOWN])
    return ConfigError(
        f"policy, selector of {selector.captioner}",
        expected=f"a {column.replace('_', ' ')} of captions: {shown or 'there are no captions of it yet'}",
        found=given,
        fix="Correct it (`uniform captions list`), or caption first: `uniform captions build`.",
    )
