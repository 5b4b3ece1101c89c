"""The generator: a clip is its own request's, whatever the batch; what is given comes back as it came."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from generation_toy import CODECS, LAYOUT, SPEC, given_for, make_exported, make_generator, make_requests
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.diffusion import (
    AncestralConfig,
    DdimConfig,
    EulerConfig,
    GuidanceConfig,
    IddpmConfig,
    RectifiedFlowConfig,
)
from uniform_core.diffusion.base import ObjectiveConfig
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.generation.generator import build_untrained
from uniform_core.generation.requests import GeneratedClip, GenerationRequest, Given
from uniform_core.progress import ProgressEvent
from uniform_core.types import Modality, Task


def assert_close(left: Sequence[GeneratedClip], right: Sequence[GeneratedClip]) -> None:
    assert [clip.request_id for clip in left] == [clip.request_id for clip in right]
    for one, other in zip(left, right, strict=True):
        difference = np.abs(one.video_THWC.astype(int) - other.video_THWC.astype(int))
        assert difference.max() <= 1  # rounding of a level
        assert (
            np.abs(one.waveform_N - other.waveform_N).max() < 0.1
        )  # Griffin-Lim amplifies rounding; another clip differs by 1


def test_clips_have_the_specs_shapes_and_the_requests_order() -> None:
    requests = make_requests()
    clips = make_generator().generate(requests)
    assert [clip.request_id for clip in clips] == [request.request_id for request in requests]
    for clip in clips:
        assert (clip.video_THWC.shape, clip.video_THWC.dtype) == ((SPEC.frames, 16, 16, 3), np.uint8)
        assert (clip.waveform_N.shape, clip.waveform_N.dtype) == ((SPEC.samples,), np.float32)
        assert np.abs(clip.waveform_N).max() <= 1


def test_given_tasks_may_have_a_sampler_of_their_own() -> None:
    requests = make_requests()
    alike = make_generator().generate(requests)
    own = make_generator(sampler_given=DdimConfig(steps=4, eta=1.0)).generate(requests)
    for request, one, other in zip(requests, alike, own, strict=True):
        same = np.array_equal(one.video_THWC, other.video_THWC) and np.array_equal(one.waveform_N, other.waveform_N)
        assert same == (request.task.given is None), request.task


def test_what_is_given_comes_back_as_it_came() -> None:
    for request, clip in zip(make_requests(), make_generator().generate(make_requests()), strict=True):
        if request.given is not None:
            media = clip.video_THWC if request.task is Task.V2A else clip.waveform_N
            np.testing.assert_array_equal(media, request.given.media)


@pytest.mark.parametrize(
    ("objective", "sampler"),
    [(RectifiedFlowConfig(), EulerConfig(steps=4)), (IddpmConfig(), AncestralConfig(steps=4, clamp_x0_sigma=3.0))],
)
def test_a_clip_does_not_depend_on_batch_or_order(objective: ObjectiveConfig, sampler: object) -> None:
    exported, requests = make_exported(objective), make_requests(8)
    together = make_generator(exported=exported, sampler=sampler).generate(requests)
    for batch in (1, 3):
        assert_close(together, make_generator(exported=exported, sampler=sampler, batch=batch).generate(requests))
    turned = make_generator(exported=exported, sampler=sampler, batch=2).generate(requests[::-1])
    assert_close(together, turned[::-1])
    sounds = [request for request in requests if request.task is Task.V2A]
    generator = make_generator(exported=exported, sampler=sampler)
    whole = generator.sample_latents(Task.V2A, sounds)
    for row, request in enumerate(sounds):
        alone = generator.sample_latents(Task.V2A, [request])
        torch.testing.assert_close(alone.audio_BCTF[0], whole.audio_BCTF[row], rtol=1e-4, atol=1e-3)
        assert torch.equal(alone.video_BCTHW[0], request.given.raw)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("task", [Task.V2A, Task.A2V])
def test_a_given_latent_returns_to_the_bit(task: Task, precision: torch.dtype) -> None:
    """The raw one, whose scale is not the model's: there and back it is another in its last bits."""
    parts = [given_for(task, number) for number in range(3)]
    held = [replace(part, raw=part.raw.to(precision)) for part in parts if part is not None]
    requests = [GenerationRequest(f"r{n}", task, n, given=part) for n, part in enumerate(held)]
    exported = make_exported()
    found = make_generator(exported=exported).sample_latents(task, requests)[task.given]
    raw = torch.stack([part.raw for part in held])
    assert found.dtype == precision
    assert torch.equal(found, raw)
    scale = exported.card.scale.video if task is Task.V2A else exported.card.scale.audio
    assert not torch.equal(scale.to_raw(scale.to_model(raw.float())), raw.float())


def test_seed_text_and_given_each_decide() -> None:
    generator = make_generator()
    base = GenerationRequest("r", Task.V2A, 1, caption="a red ball", given=given_for(Task.V2A, 0))
    changes = {
        "seed": GenerationRequest("r", Task.V2A, 2, caption=base.caption, given=base.given),
        "text": GenerationRequest("r", Task.V2A, 1, caption="a blue siren", given=base.given),
        "given": GenerationRequest("r", Task.V2A, 1, caption=base.caption, given=given_for(Task.V2A, 5)),
    }
    sound = generator.generate([base])[0].waveform_N
    np.testing.assert_array_equal(sound, generator.generate([base])[0].waveform_N)
    for name, request in changes.items():
        assert np.abs(sound - generator.generate([request])[0].waveform_N).max() > 1e-3, name


@settings(max_examples=8, deadline=None)
@given(
    captions=st.lists(st.text("abc xyz", max_size=30), min_size=1, max_size=3),
    task=st.sampled_from(list(Task)),
    passes=st.sampled_from(["batched", "split"]),
)
def test_a_clip_without_text_depends_on_no_caption(captions: list[str], task: Task, passes: str) -> None:
    """Not on those of the clips beside it, nor on how they are guided: it is the clip that is made alone, unguided."""
    own = GenerationRequest("own", task, 1, given=given_for(task, 1))
    others = [
        GenerationRequest(f"r{n}", task, n + 2, caption=text, given=given_for(task, n))
        for n, text in enumerate(captions)
    ]
    alone = make_generator(guidance=GuidanceConfig()).sample_latents(task, [own])
    beside = make_generator(guidance=GuidanceConfig(text_scale=5.0, passes=passes)).sample_latents(task, [own, *others])
    for modality in Modality:
        size = float(alone[modality].abs().max())
        torch.testing.assert_close(beside[modality][:1], alone[modality], rtol=0, atol=1e-5 * size)


def test_no_text_and_the_empty_text_are_the_same() -> None:
    clips = make_generator().generate([GenerationRequest("a", Task.T2AV, 1), GenerationRequest("a", Task.T2AV, 1, "")])
    np.testing.assert_array_equal(clips[0].video_THWC, clips[1].video_THWC)


def test_progress_is_told_batch_by_batch() -> None:
    events: list[ProgressEvent] = []
    make_generator(batch=2).generate(make_requests(7), listener=events.append)
    assert [event.done for event in events] == [2, 3, 5, 7]
    assert {event.total for event in events} == {7}
    assert make_generator().generate([]) == []


def test_requests_that_do_not_fit_their_task_are_refused() -> None:
    with pytest.raises(ConfigError, match="video given for task v2a; found nothing"):
        GenerationRequest("r", Task.V2A, 1)
    with pytest.raises(ConfigError, match="nothing given for task t2av; found audio"):
        GenerationRequest("r", Task.T2AV, 1, given=given_for(Task.A2V, 0))
    with pytest.raises(ConfigError, match="given video: expected shape"):
        CODECS.give_video(np.zeros((3, 16, 16, 3), np.uint8))
    with pytest.raises(ConfigError, match="given sound: expected shape"):
        CODECS.give_audio(np.zeros(100, np.float32))
    small = Given(Modality.VIDEO, torch.zeros(8, 1, 4, 4), np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(ConfigError, match="given video latent"):
        make_generator().generate([GenerationRequest("r", Task.V2A, 1, given=small)])


def test_latents_that_are_not_finite_name_their_request() -> None:
    exported = make_exported()
    with torch.no_grad():
        exported.model.final_layer.linear.bias.fill_(float("nan"))
    with pytest.raises(WorkFailedError, match="request r3: expected finite latents"):
        make_generator(exported=exported).generate(make_requests()[1:])


def test_the_untrained_model_is_fresh_and_goes_the_same_way() -> None:
    exported = make_exported()
    untrained = build_untrained(exported, seed=1)
    assert (untrained.card.model, untrained.card.layout, untrained.card.steps) == (exported.card.model, LAYOUT, 0)
    assert not torch.equal(untrained.model.x_embedder.proj.weight, exported.model.x_embedder.proj.weight)
    assert untrained.model.final_layer.linear.weight.abs().max() == 0
    assert len(make_generator(exported=untrained).generate(make_requests())) == 7


def test_the_round_trip_is_the_codecs_own() -> None:
    video, audio = given_for(Task.V2A, 1), given_for(Task.A2V, 1)
    assert video is not None
    assert audio is not None
    clips = CODECS.round_trip(["x"], video_raw_BCTHW=video.raw[None], audio_raw_BCTF=audio.raw[None])
    np.testing.assert_array_equal(clips[0].video_THWC, CODECS.decode_video(video.raw[None])[0])
    np.testing.assert_array_equal(clips[0].waveform_N, CODECS.decode_audio(audio.raw[None])[0])
    smooth = np.full((SPEC.frames, 16, 16, 3), 90, np.uint8)
    again = CODECS.decode_video(CODECS.give_video(smooth).raw[None])[0]
    np.testing.assert_array_equal(again, smooth)  # a flat picture is one cosine: it survives exactly


def test_the_size_of_a_batch_is_no_part_of_the_fingerprint() -> None:
    config = make_generator().config
    assert config.model_copy(update={"batch": 1}).fingerprint_params() == config.fingerprint_params()
    assert "batch" not in config.fingerprint_params()
    other = config.model_copy(update={"guidance": GuidanceConfig(text_scale=3.0)})
    assert other.fingerprint_params() != config.fingerprint_params()


def test_bfloat16_samples_nearly_the_same_by_weights_of_its_own() -> None:
    exported = make_exported()
    requests = [request for request in make_requests() if request.task is Task.T2AV]
    exact, rounded = (
        make_generator(exported=exported, precision=precision).sample_latents(Task.T2AV, requests)
        for precision in ("float32", "bfloat16")
    )
    for modality in Modality:
        assert rounded[modality].dtype == torch.float32
        assert not torch.equal(exact[modality], rounded[modality])
        difference = (exact[modality] - rounded[modality]).abs().mean()
        assert float(difference) < 0.1 * float(exact[modality].std())
    assert {weight.dtype for weight in exported.model.parameters()} == {torch.float32}


def test_precision_is_in_the_fingerprint_where_it_is_not_float32_and_speed_never() -> None:
    config = make_generator().config
    assert {"precision", "compile", "batch"}.isdisjoint(config.fingerprint_params())
    assert config.model_copy(update={"compile": True}).fingerprint_params() == config.fingerprint_params()
    assert config.model_copy(update={"precision": "bfloat16"}).fingerprint_params()["precision"] == "bfloat16"
