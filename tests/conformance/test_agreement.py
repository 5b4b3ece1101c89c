"""What every scorer of agreement promises. A new member is tested the moment `uniform_core.agreement` imports it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from uniform_core import agreement
from uniform_core.agreement import AgreementConfig, AgreementInput
from uniform_core.fingerprint import canonical_json

FRAMES_THWC = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
INPUTS = [
    AgreementInput("a dog barks", "dog_barking", FRAMES_THWC),
    AgreementInput("a dog barks", None),
    AgreementInput("Ω", "", FRAMES_THWC),
    AgreementInput("x " * 5000, "müll_auto"),
]


@pytest.fixture(params=agreement.MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def config(request: pytest.FixtureRequest) -> AgreementConfig:
    return request.param.example()


def test_one_finite_score_or_none_for_each_input(config: AgreementConfig) -> None:
    scorer = config.build()
    scores = scorer.score(INPUTS)
    assert len(scores) == len(INPUTS)
    assert scores[0] is not None
    assert all(score is None or math.isfinite(score) for score in scores)
    assert scorer.score([]) == []


def test_a_score_does_not_depend_on_the_others(config: AgreementConfig) -> None:
    scorer = config.build()
    together = scorer.score(INPUTS)
    assert [scorer.score([item])[0] for item in INPUTS] == together
    assert scorer.score(INPUTS[::-1]) == together[::-1]


def test_a_config_says_who_it_is_and_survives_json(config: AgreementConfig) -> None:
    assert config.revision
    assert canonical_json(config.fingerprint_params()) == canonical_json(type(config).example().fingerprint_params())
    assert TypeAdapter(agreement.AnyAgreement).validate_json(config.model_dump_json()) == config
    with pytest.raises(ValidationError):
        type(config).model_validate({**config.model_dump(), "no_such": 1})
