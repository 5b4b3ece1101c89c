"""What every text encoder promises. A new member is tested the moment `uniform_core.text` imports it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from tiny_flan_t5 import tiny_flan_t5

from uniform_core import text
from uniform_core.fingerprint import canonical_json
from uniform_core.text import TextEncoderConfig

TEXTS = ("a red ball", "", "  \n", "!?", "Ωmega 火 🎈 mu\u0308ll \x00 \ud800", "word " * 3000, "a red ball")
# Kinds whose example needs weights: a miniature in the real format, written to a folder.
MINIATURES: Mapping[str, Callable[[Path], TextEncoderConfig]] = {"flan_t5": tiny_flan_t5}


@pytest.fixture(params=text.MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> TextEncoderConfig:
    member = request.param
    miniature = MINIATURES.get(member.model_fields["kind"].default)
    return member.example() if miniature is None else miniature(tmp_path / "weights")


def test_features_have_the_width_and_never_too_many_or_no_tokens(config: TextEncoderConfig):
    for features in config.build().encode(TEXTS):
        tokens, width = features.features_LD.shape
        assert width == config.width
        assert 1 <= tokens <= config.max_tokens
        assert features.features_LD.dtype in (torch.float32, torch.bfloat16)
        assert torch.isfinite(features.features_LD).all()


def test_tokens_are_counted_as_the_encoder_makes_them(config: TextEncoderConfig):
    count = config.token_counter()
    for text_, features in zip(TEXTS, config.build().encode(TEXTS), strict=True):
        if features.is_truncated:
            assert count(text_) > config.max_tokens
        else:
            assert count(text_) == len(features.features_LD)
    assert config.counter_name.startswith(config.kind)


def test_null_text_is_one_token(config: TextEncoderConfig):
    (null,) = config.build().encode([""])
    assert len(null.features_LD) == 1
    assert not null.is_truncated


def test_only_texts_that_are_too_long_are_truncated(config: TextEncoderConfig):
    flags = [features.is_truncated for features in config.build().encode(TEXTS)]
    assert flags == [len(text) > 1000 for text in TEXTS]


def test_features_do_not_depend_on_the_other_texts(config: TextEncoderConfig):
    encoder = config.build()
    together = encoder.encode(TEXTS)
    for alone, beside in zip((encoder.encode([one])[0] for one in TEXTS), together, strict=True):
        rounding = 4 * torch.finfo(alone.features_LD.dtype).eps * float(alone.features_LD.abs().max())
        torch.testing.assert_close(alone.features_LD, beside.features_LD, rtol=0, atol=rounding)
    assert encoder.encode([]) == []


def test_different_texts_differ_and_equal_texts_agree(config: TextEncoderConfig):
    first, other, again = (f.features_LD for f in config.build().encode(["a red ball", "a blue ball", "a red ball"]))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_no_one_can_alter_what_another_call_will_get(config: TextEncoderConfig):
    encoder = config.build()
    (before,) = encoder.encode(["a red ball"])
    kept = before.features_LD.clone()
    before.features_LD.zero_()
    assert torch.equal(encoder.encode(["a red ball"])[0].features_LD, kept)


def test_config_survives_json_and_refuses_unknown_keys(config: TextEncoderConfig):
    again = TypeAdapter(text.AnyTextEncoder).validate_json(config.model_dump_json())
    assert type(again) is type(config)
    assert again == config
    assert canonical_json(again.fingerprint_params()) == canonical_json(config.fingerprint_params())
    with pytest.raises(ValidationError, match="no_such_key"):
        type(config).model_validate({**config.model_dump(), "no_such_key": 1})
