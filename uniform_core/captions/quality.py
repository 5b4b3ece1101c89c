"""The thresholds of caption quality, and the flags that a measured caption has by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from uniform_core.agreement import AgreementConfig, AnyAgreement, LabelWordsConfig
from uniform_core.captions.flags import FLAGS, Flag
from uniform_core.captions.measures import Measures
from uniform_core.types import Count, Fraction, Frozen, NonNegative

if TYPE_CHECKING:  # the union is made of what the family imports; a type checker sees the base
    AnyAgreement = AgreementConfig


class CaptionQuality(Frozen):
    """What is wrong with a caption, and how often a captioner is asked again where something is.

    None of it enters the fingerprint of captions: a caption that was taken stays when a threshold moves. Its measures
    are columns, so that a corpus can have bounds of its own (`Selector.bounds`).
    """

    min_words: NonNegative = 3
    min_distinct_4grams: Fraction = 0.7  # a captioner that is caught in a loop falls far below
    max_prompt_overlap: Fraction = 0.5
    language: Literal["en", "any"] = "en"
    language_words: Count = 8  # a text of Latin letters with fewer words is too short to be called another language
    agreement: AnyAgreement | None = LabelWordsConfig()
    min_agreement: float | None = None  # None: scored, never flagged; good captions often use other words
    retries: NonNegative = 2  # with other seeds, of captioners that can say something else


def flags_of(
    quality: CaptionQuality,
    *,
    status: str,
    measures: Measures | None,
    tokens: int | None,
    token_limit: int,
    agreement: float | None,
) -> list[Flag]:
    """What is wrong with a caption, in the order of `FLAGS`; `measures` None where there is no text."""
    wrong: set[str] = set()
    if status == "truncated":
        wrong.add("cut_off")
    if status == "refused":
        wrong.add("refusal")
    if measures is None:
        return _in_order(wrong | {"empty"})
    if measures.n_words < quality.min_words:
        wrong.add("too_short")
    if tokens is not None and tokens > token_limit:
        wrong.add("too_long")
    if measures.distinct_4grams is not None and measures.distinct_4grams < quality.min_distinct_4grams:
        wrong.add("repetitive")
    if measures.prompt_overlap is not None and measures.prompt_overlap > quality.max_prompt_overlap:
        wrong.add("prompt_echo")
    if measures.is_refusal:
        wrong.add("refusal")
    if quality.language == "en" and not _may_be_english(quality, measures):
        wrong.add("language")
    if None not in (agreement, quality.min_agreement) and agreement < quality.min_agreement:  # type: ignore[operator]  # neither is None
        wrong.add("low_agreement")
    return _in_order(wrong)


def _may_be_english(quality: CaptionQuality, measures: Measures) -> bool:
    is_short = measures.n_words < quality.language_words
    return measures.language in ("en", None) or (measures.language == "latin" and is_short)


def _in_order(wrong: set[str]) -> list[Flag]:
    return [flag for flag in FLAGS if flag in wrong]  # type: ignore[misc]  # FLAGS are the words of Flag
