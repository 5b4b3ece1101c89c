"""Laws of losses and sampling, for every objective and sampler: what is of one modality, clip or text stays its own.

The networks are a small UniForm, and for noise a network that says nothing: its samples are made of noise alone.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import LAYOUT, NULL, RATE_HZ, lively_model, random_latent, random_text
from torch import Tensor

from uniform_core.diffusion import OBJECTIVES, SAMPLERS, GuidanceConfig, GuideScale, Objective, sample_joint
from uniform_core.diffusion.base import Tensors
from uniform_core.model import Conditions, JointLatent, JointOutput, TextBatch
from uniform_core.seeds import torch_generator
from uniform_core.training.draws import Draws, draw_training, draw_validation
from uniform_core.types import Modality, Task

MODEL, GUIDE = lively_model(), lively_model(position="reference")
objectives = st.sampled_from([one.example() for one in OBJECTIVES])
samplers = st.sampled_from([one.example().model_copy(update={"steps": 3, "clamp_x0_sigma": 3.0}) for one in SAMPLERS])
tasks = st.sampled_from(list(Task))
guidances = st.builds(
    GuidanceConfig,
    text_scale=st.sampled_from([1.0, 5.0]),
    modality_scale=st.sampled_from([1.0, 2.0]),
    guide_scale=st.sampled_from([GuideScale(), GuideScale(video=1.5, audio=2.0)]),
    interval=st.sampled_from([(0.0, 1.0), (0.2, 0.6)]),
    passes=st.sampled_from(["batched", "split"]),
)
every_pair = pytest.mark.parametrize(
    ("objective", "sampler"),
    list(itertools.product([one.example() for one in OBJECTIVES], [one.example() for one in SAMPLERS])),
    ids=lambda member: member.kind,
)


class Recorder:
    """The model, which remembers what it was shown, under which task."""

    def __init__(self) -> None:
        self.layout, self.shown = LAYOUT, []

    def prepare(self, task: Task, text: TextBatch, video_rate_hz: float) -> Conditions:
        return MODEL.prepare(task, text, video_rate_hz)

    def latent(self, tensors: Tensors) -> JointLatent:
        return MODEL.latent(tensors)

    def __call__(self, noisy: Tensors, t_B: Tensor, conditions: Conditions) -> JointOutput:
        self.shown.append((conditions.task, {m: z.clone() for m, z in noisy.items()}, float(t_B[0])))
        return MODEL(noisy, t_B, conditions)


def made(
    model,
    objective: Objective,
    sampler,
    *,
    task: Task,
    text,
    latent: JointLatent | None,
    guidance,
    seeds=(0, 1),
    guide=GUIDE,
):
    return sample_joint(
        model,
        objective,
        task=task,
        given=latent,
        text=text,
        null_text=NULL,
        video_rate_hz=RATE_HZ,
        sampler=sampler,
        guidance=guidance,
        generators=[torch_generator("item", seed) for seed in seeds],
        guide=guide,
    )


@settings(max_examples=40, deadline=None)
@given(objectives, samplers, st.sampled_from([Task.A2V, Task.V2A]), guidances, st.booleans())
def test_what_is_given_is_shown_clean_at_every_step_and_returns_to_the_bit(
    config, sampler, task: Task, guidance: GuidanceConfig, with_text: bool
) -> None:
    """Whatever guides: modality guidance alone asks what is said without it, and hides it in one noise at all steps."""
    objective, recorder, latent = config.build(), Recorder(), random_latent(2, seed=5)
    kept = {m: z.clone() for m, z in latent.items()}
    text = random_text([2, 4]) if with_text else None
    result = made(recorder, objective, sampler, task=task, text=text, latent=latent, guidance=guidance)
    assert all(torch.equal(latent[m], kept[m]) for m in Modality), "what is given was written to"
    assert torch.equal(result[task.given], kept[task.given])
    assert not torch.equal(result[task.made[0]], kept[task.made[0]])
    hidden_noises = []
    for shown_task, shown, t in recorder.shown:
        z = shown[task.given]
        if shown_task is task:
            assert torch.equal(z, torch.cat([kept[task.given]] * (len(z) // 2)))
        else:
            t_B = torch.full((2,), t)
            signal = objective.noised(kept[task.given], noise=torch.zeros_like(z), t_B=t_B)
            one = objective.noised(torch.zeros_like(z), noise=torch.ones_like(z), t_B=t_B)
            hidden_noises.append((z - signal) / one)
    assert bool(hidden_noises) == (guidance.modality_scale != 1)
    for noise in hidden_noises:
        torch.testing.assert_close(noise, hidden_noises[0], rtol=0, atol=1e-3)


@every_pair
@pytest.mark.parametrize("task", list(Task))
def test_without_text_guidance_by_text_changes_no_bit_and_costs_no_pass(objective, sampler, task: Task) -> None:
    built, results, batches = objective.build(), [], []
    short = sampler.model_copy(update={"steps": 3, "clamp_x0_sigma": 3.0})
    for scale, passes in ((1.0, "batched"), (5.0, "batched"), (5.0, "split")):
        guidance, recorder = GuidanceConfig(text_scale=scale, passes=passes), Recorder()
        results.append(
            made(recorder, built, short, task=task, text=None, latent=random_latent(2, seed=5), guidance=guidance)
        )
        batches.append([len(shown[Modality.VIDEO]) for _, shown, _ in recorder.shown])
    assert batches[0] == batches[1] == batches[2]
    assert set(batches[0]) == {2}
    assert len(batches[0]) == (5 if sampler.kind == "heun" else 3)
    for other in results[1:]:
        assert all(torch.equal(results[0][m], other[m]) for m in Modality)


class Silent(Recorder):
    """A network that says nothing: what is made of it is noise, scaled."""

    def __call__(self, noisy: Tensors, t_B: Tensor, conditions: Conditions) -> JointOutput:
        return JointOutput(*(torch.cat([0 * noisy[m], 0 * noisy[m]], dim=1) for m in Modality))


@settings(max_examples=40, deadline=None)
@given(
    config=objectives,
    sampler=samplers,
    task=tasks,
    guidance=guidances,
    cuts=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    data=st.data(),
)
def test_the_noise_of_a_clip_is_its_own_to_the_bit(config, sampler, task, guidance, cuts, data) -> None:
    """Start and every later draw, in batches of any size and order, as any number of workers may make them."""
    seeds = data.draw(st.permutations(range(sum(cuts))))
    objective, latent, network = config.build(), random_latent(len(seeds), seed=5), Silent()

    def of(part: list[int]) -> JointLatent:
        own = JointLatent(latent.video_BCTHW[part], latent.audio_BCTF[part])
        text = random_text([2] * len(part))
        return made(
            network, objective, sampler, task=task, text=text, latent=own, guidance=guidance, seeds=part, guide=network
        )

    whole = of(list(range(len(seeds))))
    ends = list(itertools.accumulate(cuts, initial=0))
    for start, stop in itertools.pairwise(ends):
        part = list(seeds[start:stop])
        found = of(part)
        assert all(torch.equal(found[m], whole[m][part]) for m in Modality)


@every_pair
def test_the_path_begins_at_the_clips_own_noise(objective, sampler) -> None:
    recorder = Recorder()
    short = sampler.model_copy(update={"steps": 2, "clamp_x0_sigma": 3.0})
    made(recorder, objective.build(), short, task=Task.T2AV, text=None, latent=None, guidance=GuidanceConfig())
    _, first, _ = recorder.shown[0]
    for row in range(2):
        generator = torch_generator("item", row)
        for modality in Modality:
            assert torch.equal(first[modality][row], torch.randn(first[modality].shape[1:], generator=generator))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 99),
    step=st.integers(0, 10**6),
    world=st.integers(1, 4),
    micro=st.integers(1, 4),
    batch=st.integers(4, 12),
)
def test_the_draws_of_a_training_clip_are_its_own_to_the_bit(seed, step, world, micro, batch) -> None:
    """Whatever the number of ranks, and of clips in a pass."""
    like, positions = random_latent(1), range(step * batch, (step + 1) * batch)

    def of_training(part) -> Draws:
        return draw_training(part, step=step, seed=seed, batch=batch, like=like, text_drop=0.5)

    def of_validation(part) -> Draws:
        return draw_validation(part, seed=seed, like=like, text_drop=0.5)

    for draw in (of_training, of_validation):
        whole = draw(positions)
        for rank in range(world):
            share = positions[rank::world]
            for start in range(0, len(share), micro):
                part = share[start : start + micro]
                places, found = [position - positions[0] for position in part], draw(part)
                assert torch.equal(found.uniform_B, whole.uniform_B[places])
                assert torch.equal(found.keep_text_B, whole.keep_text_B[places])
                assert all(torch.equal(found.noise[m], whole.noise[m][places]) for m in Modality)


@settings(max_examples=40, deadline=None)
@given(
    config=objectives,
    task=tasks,
    kept=st.sampled_from(list(Modality)),
    seeds=st.lists(st.integers(0, 9), min_size=6, max_size=6),
)
def test_the_loss_of_a_modality_ignores_the_values_of_the_other(config, task: Task, kept: Modality, seeds) -> None:
    """The other's latent, its noise, and what is said of it; of what is given, too, to which no loss belongs."""
    objective, other = config.build(), next(m for m in Modality if m is not kept)
    t_B = torch.tensor([0.0, 431.0, 999.0])
    clean, noise, said = (random_latent(3, seed=seed) for seed in seeds[:3])
    others = [random_latent(3, seed=100 + seed) for seed in seeds[3:]]
    clean_2, noise_2, said_2 = (
        {kept: one[kept], other: two[other]} for one, two in zip((clean, noise, said), others, strict=True)
    )

    def loss(clean: Tensors, noise: Tensors, said: Tensors) -> Tensors:
        outputs = {m: torch.cat([said[m], 0.3 * said[m]], dim=1) for m in Modality}
        noise_made = {m: noise[m] for m in task.made}
        return objective.loss_at(lambda *_: outputs, clean, task=task, t_B=t_B, noise=noise_made).by_modality

    one, two = loss(clean, noise, said), loss(clean_2, noise_2, said_2)
    assert set(one) == set(two) == set(task.made)
    if kept in task.made:
        assert torch.equal(one[kept], two[kept])
    if other in task.made:
        assert not torch.equal(one[other], two[other])
