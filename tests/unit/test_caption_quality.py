"""What is measured of a caption, each flag by a text that deserves it, and captioners that are asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import pytest
from pydantic import ValidationError

from uniform_core.agreement import AgreementInput, LabelWordsConfig
from uniform_core.build import build_run
from uniform_core.captioners import Captioner, CaptionerConfig, CaptionInput, CaptionResult
from uniform_core.captions.asking import Asker, TokenCount
from uniform_core.captions.flags import FLAGS, Flag
from uniform_core.captions.language import language_of
from uniform_core.captions.measures import distinct_runs, is_refusal, measure, overlap
from uniform_core.captions.quality import CaptionQuality
from uniform_core.text.hashing import words_of

PROMPT = "Describe what is seen in the video and what happens in it, in one sentence."
GOOD = "A brown dog barks at the door of a house while a child laughs."
Say = Callable[[int], CaptionResult]


class ScriptedCaptioner(Captioner):
    """Says of every clip what its script says for the seed."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.asked: list[tuple[int, int]] = []

    def caption(self, inputs: Sequence[CaptionInput], *, seed: int = 0) -> list[CaptionResult]:
        self.asked.append((seed, len(inputs)))
        return [replace(self._say(seed), seed=seed) for _ in inputs]


class ScriptedConfig(CaptionerConfig):
    """A captioner for tests, with a prompt."""

    kind: Literal["scripted"] = "scripted"
    varies: bool = True
    script: Any = None

    @property
    def revision(self) -> str:
        return "1"

    @property
    def prompt(self) -> str:
        return PROMPT

    @property
    def can_vary(self) -> bool:
        return self.varies

    def build(self) -> ScriptedCaptioner:
        return self.script


def asked(*results: CaptionResult, varies: bool = True, label: str = "dog", **quality: Any):
    """The answer where each try in turn says this, the last for ever; and the seeds that were asked with."""
    captioner = ScriptedCaptioner(lambda seed: results[min(seed, len(results) - 1)])
    tokens = TokenCount(lambda text: len(words_of(text)) + 1, "hashing-1", 40)
    asker = Asker(ScriptedConfig(varies=varies, script=captioner), CaptionQuality(**quality), tokens)
    (answer,) = asker.ask([CaptionInput("0" * 32, label, None)])
    return answer, [seed for seed, _ in captioner.asked]


def success(text: str) -> CaptionResult:
    return CaptionResult("success", text)


@pytest.mark.parametrize(
    ("flag", "result", "quality"),
    [
        ("empty", CaptionResult("empty", message="nothing"), {}),
        ("too_short", success("A dog"), {}),
        (
            "too_long",
            success(GOOD + " " + "It runs over the wide green lawn to a tall man with a long red coat. " * 2),
            {"min_distinct_4grams": 0},
        ),
        ("cut_off", CaptionResult("truncated", GOOD), {}),
        ("repetitive", success("The dog is on the lawn. " * 4), {}),
        ("prompt_echo", success("Describe what is seen in the video and what happens in it."), {}),
        ("refusal", success("I'm sorry, but I can't see the video that is spoken of."), {}),
        ("refusal", CaptionResult("refused", "The answer is withheld in this case by the filter."), {}),
        ("language", success("Собака лает у двери дома"), {}),
        ("language", success("Ein brauner Hund bellt laut vor einer großen Haustür"), {}),
        ("low_agreement", success(GOOD), {"min_agreement": 0.5, "label": "cat"}),
    ],
)
def test_each_flag_is_raised_by_a_caption_that_deserves_it(flag, result, quality):
    label = quality.pop("label", "dog") if quality else "dog"
    answer, _ = asked(result, varies=False, label=label, **quality)
    assert answer.kept.flags == (flag,)


def test_every_flag_has_such_a_caption():
    [marks] = [m for m in test_each_flag_is_raised_by_a_caption_that_deserves_it.pytestmark if m.name == "parametrize"]
    assert {case[0] for case in marks.args[1]} == set(get_args(Flag)) == set(FLAGS)


def test_a_good_caption_has_none_and_is_asked_for_once():
    answer, seeds = asked(success(GOOD))
    assert (answer.kept.flags, answer.tries, seeds) == ((), 1, [0])
    assert answer.kept.agreement == 1.0


def test_a_flagged_caption_is_asked_for_again_with_other_seeds_until_one_is_good():
    answer, seeds = asked(success("A dog"), CaptionResult("empty", message="?"), success(GOOD), retries=5)
    assert (answer.kept.text, answer.kept.result.seed, seeds) == (GOOD, 2, [0, 1, 2])
    assert [one.result.text for one in answer.others] == ["A dog", None]


def test_a_caption_that_stays_flagged_is_kept_and_is_the_best_of_them():
    answer, seeds = asked(success("A dog"), success("Two dogs"), success("A cat"), retries=2)
    assert seeds == [0, 1, 2]
    assert (answer.kept.text, answer.kept.flags, answer.tries) == ("A dog", ("too_short",), 3)


NOTHING = CaptionResult("empty", message="?")
REFUSAL = success("I'm sorry, but I can't see the video that is spoken of.")
TWICE_WRONG = success("Собака лает")  # too short, and not English


@pytest.mark.parametrize(
    ("tries", "kept", "at_least"),
    [
        ((NOTHING, success("A dog")), "A dog", 1),
        ((NOTHING, TWICE_WRONG), TWICE_WRONG.text, 2),
        ((REFUSAL, TWICE_WRONG), TWICE_WRONG.text, 2),
        ((REFUSAL, success("A dog")), "A dog", 1),
        ((NOTHING, REFUSAL), REFUSAL.text, 1),
    ],
)
def test_a_text_is_kept_before_a_refusal_and_that_before_nothing_whatever_their_flags(tries, kept, at_least):
    for order in (tries, tries[::-1]):
        answer, seeds = asked(*order, retries=1, min_words=9)
        assert (answer.kept.text, seeds) == (kept, [0, 1])
        assert len(answer.kept.flags) >= at_least


@pytest.mark.parametrize("how", [{"varies": False}, {"retries": 0}])
def test_who_can_say_nothing_else_is_asked_once(how):
    answer, seeds = asked(success("A dog"), success(GOOD), **how)
    assert (answer.kept.text, seeds) == ("A dog", [0])


def test_a_failure_is_not_asked_again_and_a_failing_retry_costs_nothing():
    broken = CaptionResult("error", message="the server is gone")
    answer, seeds = asked(broken, success(GOOD))
    assert (answer.kept.result, seeds) == (broken, [0])
    answer, seeds = asked(success("A dog"), broken, retries=1)
    assert (answer.kept.text, answer.tries) == ("A dog", 2)


def test_only_the_flagged_are_asked_again():
    captioner = ScriptedCaptioner(lambda seed: success(GOOD))
    asker = Asker(ScriptedConfig(script=captioner), CaptionQuality(min_agreement=1.0), None)
    answers = asker.ask([CaptionInput("0" * 32, label, None) for label in ("dog", "cat", None)])
    assert captioner.asked == [(0, 3), (1, 1), (2, 1)]
    assert [answer.kept.flags for answer in answers] == [(), ("low_agreement",), ()]
    assert asker.ask([]) == []


def test_a_refusal_in_words_has_the_status_that_no_run_takes_for_a_caption():
    answer, _ = asked(success("I'm sorry, but I cannot watch videos."), varies=False)
    assert answer.kept.result.status == "refused"


@pytest.mark.parametrize(
    ("text", "refuses"),
    [
        ("As an AI language model, I have no eyes.", True),
        ("I’m unable to view the video.", True),
        ("Unfortunately, I can't do that.", True),
        ("No video was provided.", True),
        ("I do not have access to it.", True),
        ('A man says "I cannot see you" into a phone.', False),
        ("A girl in a can costume; I can see a street.", False),
        ("A man is unable to open the door.", False),
        ("x" * 400 + " I cannot see the video", False),
    ],
)
def test_refusals(text, refuses):
    assert is_refusal(text) is refuses


def test_measures_of_short_texts_are_null_or_of_all_words():
    assert distinct_runs(words_of("a dog barks")) is None
    assert distinct_runs(words_of("a dog barks loud")) == 1.0
    assert overlap([], ["a"]) is None
    assert overlap(["video"], words_of(PROMPT)) == 1.0
    assert overlap(["dog", "video"], words_of(PROMPT)) == 0.0
    nothing = measure("!?", prompt=PROMPT)
    assert (nothing.n_words, nothing.language, nothing.english_share, nothing.prompt_overlap) == (0, None, None, None)
    assert measure(GOOD, prompt=None).prompt_overlap is None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (GOOD, "en"),
        ("bouncing ball", "latin"),
        ("Un perro ladra en la puerta de la casa mientras una niña se ríe.", "latin"),
        ("Ein Hund bellt an der Tür, und ein Kind lacht.", "latin"),
        ("Een hond blaft bij de deur van het huis.", "latin"),
        ("犬が吠えている", "hiragana"),
        ("개가 짖는다", "hangul"),
        ("１２３ !", None),
    ],
)
def test_what_can_be_told_of_a_language(text, language):
    assert language_of(text, words_of(text)) == language


@pytest.mark.parametrize(
    ("label", "text", "score"),
    [
        ("playing_guitar", "He plays the guitar.", 1.0),
        ("dog barking", "The barks of a hound.", 0.5),
        ("dog", "A cat.", 0.0),
        (None, "A cat.", None),
        ("the", "A cat.", None),
    ],
)
def test_the_share_of_the_words_of_a_class(label, text, score):
    assert LabelWordsConfig().build().score([AgreementInput(text, label)]) == [score]


def test_thresholds_are_config_and_absent_from_a_dump_where_they_are_as_before():
    assert not {"caption_quality", "corpus"} & build_run("nano").model_dump().keys()
    config = build_run("nano", overrides=["caption_quality.min_words=5", "caption_quality.retries=0"])
    assert (config.caption_quality.min_words, config.caption_quality.retries) == (5, 0)
    assert config.model_dump()["caption_quality"]["min_words"] == 5
    with pytest.raises(ValidationError):
        CaptionQuality(min_distinct_4grams=1.5)
