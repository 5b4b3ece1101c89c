"""The hashing encoder and the two rule captioners, beyond what their families promise."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from uniform_core.captioners import CaptionInput, ClassLabelConfig, SidecarConfig
from uniform_core.captioners.base import CaptionResult
from uniform_core.text import HashingTextConfig
from uniform_core.text.hashing import words_of


def features(text: str, **values: int) -> torch.Tensor:
    (one,) = HashingTextConfig(**values).build().encode([text])
    return one.features_LD


def caption(config: ClassLabelConfig | SidecarConfig, label: str | None, source: str | None) -> CaptionResult:
    return config.build().caption([CaptionInput("0" * 32, label, source)])[0]


def test_one_token_a_word_and_an_end():
    assert features("a large red ball").shape == (5, 64)
    assert torch.equal(features("")[0], features("a large red ball")[-1])


def test_a_word_is_the_same_vector_wherever_it_stands():
    assert torch.equal(features("red ball")[0], features("a Red, car")[1])


def test_different_words_are_nearly_orthogonal_and_all_have_unit_power():
    vectors = torch.stack(
        [
            features(word, dimensions=256)[0]
            for word in ["red", "blue", "green", "large", "small", "low", "high", "ball"]
        ]
    )
    cosine = vectors @ vectors.T / 256
    torch.testing.assert_close(cosine.diagonal(), torch.ones(8))
    assert (cosine - torch.eye(8)).abs().max() < 0.25


@pytest.mark.parametrize("width", [1, 7, 8, 65])
def test_any_width(width: int):
    assert features("a ball", dimensions=width).shape == (3, width)
    assert features("a ball", dimensions=width).abs().eq(1).all()


def test_truncation_keeps_the_first_words_and_the_end():
    config = HashingTextConfig(token_limit=3)
    short, long = config.build().encode(["one two", "one two three"])
    assert not short.is_truncated
    assert long.is_truncated
    assert torch.equal(short.features_LD, long.features_LD)


def test_vectors_are_the_same_on_every_machine():
    """Fixed signs: a change of the rule must bump VERSION, since stored features would no longer fit."""
    assert features("ball", dimensions=8)[0].tolist() == [-1, 1, 1, -1, -1, -1, 1, 1]


def test_words_are_normalised():
    assert words_of("ﬁre Straße É E\u0301") == ["fire", "strasse", "é", "é"]


def test_class_label_says_the_label_in_words():
    assert caption(ClassLabelConfig(), "bouncing_ball", "ignored") == CaptionResult("success", "bouncing ball")
    assert caption(ClassLabelConfig(template="the sound of {label}"), "dog", None).text == "the sound of dog"
    assert caption(ClassLabelConfig(), "_ _", None).status == "empty"
    assert caption(ClassLabelConfig(), None, "a dog").status == "empty"


def test_a_label_with_braces_is_only_text():
    assert caption(ClassLabelConfig(), "{label} {0}", None).text == "{label} {0}"


@pytest.mark.parametrize("template", ["", "no slot", "{label} {label}"])
def test_a_template_has_one_slot(template: str):
    with pytest.raises(ValidationError, match="exactly once"):
        ClassLabelConfig(template=template)


def test_sidecar_passes_the_caption_on_one_line():
    assert caption(SidecarConfig(), "dog", " a dog\n barks ") == CaptionResult("success", "a dog barks")
    assert caption(SidecarConfig(), "dog", None).status == "empty"


@pytest.mark.parametrize(("limit", "said"), [(11, "one two"), (8, "one two"), (7, "one two"), (6, "one"), (2, "on")])
def test_sidecar_cuts_at_a_word(limit: int, said: str):
    result = caption(SidecarConfig(max_chars=limit), None, "one two three")
    assert (result.status, result.text, result.finish_reason) == ("truncated", said, "max_chars")


@pytest.mark.parametrize("kind", [ClassLabelConfig, SidecarConfig])
def test_captioners_that_look_at_nothing_refuse_frames(kind: type[ClassLabelConfig] | type[SidecarConfig]):
    with pytest.raises(ValidationError, match="no frames"):
        kind(frames=4)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        kind(frames=-1)


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        ("success", None, "?"),
        ("success", " \n", "?"),
        ("refused", None, "?"),
        ("empty", "a dog", ""),
        ("error", None, ""),
    ],
)
def test_a_result_has_words_or_a_reason(status: str, text: str | None, message: str):
    """Words of white space alone would be stored under the hash of the null text."""
    with pytest.raises(ValueError, match=f"status '{status}' cannot have"):
        CaptionResult(status, text, message)
