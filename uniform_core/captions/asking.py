"""A captioner that is asked again where something is wrong with what it said, each time with another seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from uniform_core.agreement import AgreementInput
from uniform_core.captioners import CaptionerConfig, CaptionInput, CaptionResult
from uniform_core.captions.cleaning import clean_caption
from uniform_core.captions.flags import Flag
from uniform_core.captions.measures import Measures, measure
from uniform_core.captions.quality import CaptionQuality, flags_of


@dataclass(frozen=True)
class TokenCount:
    """How tokens of a text are counted, by what, and how many of them the encoder takes."""

    count: Callable[[str], int]
    name: str
    limit: int


@dataclass(frozen=True)
class Try:
    """What was said once, with what was measured of it: of its cleaned text, None where there is no text."""

    result: CaptionResult
    text: str | None
    measures: Measures | None
    tokens: int | None
    agreement: float | None
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Answer:
    """The try that is kept, and the others in their order."""

    kept: Try
    others: tuple[Try, ...] = ()

    @property
    def tries(self) -> int:
        return 1 + len(self.others)


class Asker:
    """A captioner, loaded once, with the thresholds that its texts are held against."""

    def __init__(self, captioner: CaptionerConfig, quality: CaptionQuality, tokens: TokenCount | None) -> None:
        self._config, self._tokens = captioner, tokens
        self._quality = quality.model_copy(update={"min_words": 0}) if captioner.is_brief else quality
        self._captioner = captioner.build()
        self._scorer = None if quality.agreement is None else quality.agreement.build()
        self._retries = quality.retries if captioner.can_vary else 0

    def ask(self, inputs: Sequence[CaptionInput]) -> list[Answer]:
        """One answer for each input, in order: of several tries the first of the best.

        A text is better than none, one that is no refusal better than one that is, and then fewer flags than more.
        A try that failed is kept only where it was the first; the ledger has it tried again later.
        """
        said = [[one] for one in self._say(inputs, seed=0)]
        for seed in range(1, self._retries + 1):
            again = [place for place, tries in enumerate(said) if _is_worth_another(tries)]
            for place, one in zip(again, self._say([inputs[place] for place in again], seed=seed), strict=True):
                said[place].append(one)
        return [_best(tries) for tries in said]

    def _say(self, inputs: Sequence[CaptionInput], *, seed: int) -> list[Try]:
        if not inputs:
            return []
        results = [self._judged(result) for result in self._captioner.caption(inputs, seed=seed)]
        texts = [None if result.text is None else clean_caption(result.text) for result in results]
        scores = self._scores(inputs, texts)
        return [self._try(result, text, score) for result, text, score in zip(results, texts, scores, strict=True)]

    def _judged(self, result: CaptionResult) -> CaptionResult:
        """The result, refused where who was prompted says so in words."""
        if self._config.prompt is None or result.status != "success" or result.text is None:
            return result
        is_refused = measure(result.text, prompt=None).is_refusal
        return replace(result, status="refused") if is_refused else result

    def _scores(self, inputs: Sequence[CaptionInput], texts: Sequence[str | None]) -> list[float | None]:
        asked = {
            place: AgreementInput(text, seen.label, seen.frames_THWC)
            for place, (seen, text) in enumerate(zip(inputs, texts, strict=True))
            if text is not None
        }
        if self._scorer is None or not asked:
            return [None] * len(texts)
        scores = dict(zip(asked, self._scorer.score(list(asked.values())), strict=True))
        return [scores.get(place) for place in range(len(texts))]

    def _try(self, result: CaptionResult, text: str | None, score: float | None) -> Try:
        measures = None if text is None else measure(text, prompt=self._config.prompt)
        tokens = None if text is None or self._tokens is None else self._tokens.count(text)
        flags = flags_of(
            self._quality,
            status=result.status,
            measures=measures,
            tokens=tokens,
            token_limit=0 if self._tokens is None else self._tokens.limit,
            agreement=score,
        )
        return Try(result, text, measures, tokens, score, tuple(flags))


def quality_columns(answer: Answer, *, tokens: TokenCount | None, quality: CaptionQuality) -> Mapping[str, Any]:
    """The columns of `captions` that say what was measured of the try that is kept; null where it has no text."""
    kept, by = answer.kept, quality.agreement
    measured = {} if kept.measures is None else vars(kept.measures)
    return {
        **measured,
        "n_text_tokens": kept.tokens,
        "token_counter": None if tokens is None or kept.tokens is None else tokens.name,
        "agreement": kept.agreement,
        "agreement_by": None if by is None or kept.text is None else f"{by.kind} {by.revision}",
        "flags": list(kept.flags),
    }


def _is_worth_another(tries: Sequence[Try]) -> bool:
    """Whether something is wrong with every try; one that failed is the ledger's."""
    return tries[0].result.status != "error" and all(one.flags for one in tries)


def _best(tries: Sequence[Try]) -> Answer:
    whole = [one for one in tries if one.result.status != "error"] or [tries[0]]
    kept = min(whole, key=lambda one: (one.text is None, one.result.status == "refused", len(one.flags)))
    return Answer(kept, tuple(one for one in tries if one is not kept))
