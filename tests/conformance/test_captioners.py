"""What every captioner promises. A new member is tested the moment `uniform_core.captioners` imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from chat_host import chat_config, chatting
from pydantic import TypeAdapter, ValidationError
from tiny_vlm import tiny_pllava, tiny_vlm

from uniform_core import captioners
from uniform_core.captioners import CaptionerConfig, CaptionInput
from uniform_core.captioners.base import CaptionStatus
from uniform_core.fingerprint import canonical_json

# Kinds whose example needs weights: a miniature in the real format, written to a folder.
MINIATURES: Mapping[str, Callable[[Path], CaptionerConfig]] = {"transformers_vlm": tiny_vlm, "pllava": tiny_pllava}


@pytest.fixture(scope="module", params=captioners.MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def config(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaptionerConfig]:
    """Each kind's example; of those that need weights or a server, one with a small one."""
    example = request.param.example()
    if example.kind == "openai_http":
        with chatting() as host:
            yield chat_config(host)
        return
    miniature = MINIATURES.get(example.kind)
    yield example if miniature is None else miniature(tmp_path_factory.mktemp("captioner") / "weights")


def inputs_for(config: CaptionerConfig) -> list[CaptionInput]:
    """Clips with all that a captioner may want, with nothing but frames, and with odd texts."""
    rng = np.random.default_rng(0)
    frames_THWC = rng.integers(0, 256, (config.frames, 32, 32, 3), dtype=np.uint8) if config.frames else None
    indices = tuple(range(config.frames)) if config.frames else None
    texts = [
        ("a_dog", "a dog barks"),
        (None, None),
        ("", "  "),
        ("müll_auto", "Ω\n\tlouder  {label}"),
        ("x" * 5000, "y " * 5000),
    ]
    return [
        CaptionInput(
            f"{number:032x}",
            label,
            caption,
            frames_THWC=frames_THWC,
            frame_indices=indices,
            rate_hz=8.0,
            clip_frames=max(config.frames, 1),
            source_id=f"clip{number}.mp4",
            start_ms=0,
        )
        for number, (label, caption) in enumerate(texts)
    ]


def test_one_result_for_each_input(config: CaptionerConfig):
    inputs = inputs_for(config)
    assert len(config.build().caption(inputs)) == len(inputs)
    assert config.build().caption([]) == []


def test_something_is_said_of_a_clip_that_has_everything(config: CaptionerConfig):
    assert config.build().caption(inputs_for(config)[:1])[0].text


def test_text_is_there_exactly_where_the_status_says_so(config: CaptionerConfig):
    for result in config.build().caption(inputs_for(config)):
        assert result.status in get_args(CaptionStatus)
        assert (result.text is None) == (result.status in ("empty", "error"))
        assert result.message or result.text is not None
        assert result.text is None or result.text.strip()


def test_results_do_not_depend_on_the_batch(config: CaptionerConfig):
    captioner, inputs = config.build(), inputs_for(config)
    together = captioner.caption(inputs)
    assert [captioner.caption([item])[0] for item in inputs] == together
    assert captioner.caption(inputs[::-1]) == together[::-1]


def test_a_result_says_its_seed_and_varies_only_where_the_config_says_so(config: CaptionerConfig):
    captioner, inputs = config.build(), inputs_for(config)
    first, again = captioner.caption(inputs), captioner.caption(inputs, seed=5)
    assert {result.seed for result in first} == {0}
    assert {result.seed for result in again} == {5}
    if not config.can_vary:
        assert [result.text for result in again] == [result.text for result in first]


def test_frames_are_picked_within_the_clip_and_in_order(config: CaptionerConfig):
    for clip_frames in (1, 2, 17, 68):
        picked = config.pick_frames(clip_frames)
        assert len(picked) == config.frames
        assert list(picked) == sorted(picked)
        assert not picked or 0 <= picked[0] <= picked[-1] < clip_frames
    assert config.frame_policy
    assert config.batch_clips > 0


def test_what_is_asked_can_be_written_as_json(config: CaptionerConfig):
    assert canonical_json(config.sampling)


def test_identity_is_stable(config: CaptionerConfig):
    assert config.revision
    again = TypeAdapter(captioners.AnyCaptioner).validate_json(config.model_dump_json())
    assert canonical_json(config.fingerprint_params()) == canonical_json(again.fingerprint_params())
    assert again.revision == config.revision
    assert config.frames >= 0


def test_it_is_ready_where_all_is_there(config: CaptionerConfig):
    config.require_ready()


def test_config_survives_json_and_refuses_unknown_keys(config: CaptionerConfig):
    again = TypeAdapter(captioners.AnyCaptioner).validate_json(config.model_dump_json())
    assert type(again) is type(config)
    assert again == config
    with pytest.raises(ValidationError, match="no_such_key"):
        type(config).model_validate({**config.model_dump(), "no_such_key": 1})
