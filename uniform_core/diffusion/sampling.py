"""From noise to latents: the loop, and the one entry that generation calls.

Axes: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from uniform_core.diffusion.base import (
    Denoiser,
    Level,
    NoiseSource,
    Objective,
    Prediction,
    SamplerConfig,
    Tensors,
    Walk,
    noise_of_each,
)
from uniform_core.diffusion.guidance import (
    ConditionsT,
    GuidanceConfig,
    JointModel,
    LatentT_co,
    TextT,
    guided_denoiser,
    made_shapes,
)
from uniform_core.errors import ConfigError
from uniform_core.lazy import lazy, lazy_name
from uniform_core.types import Modality, Task

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = lazy("torch")
    Tensor = lazy_name("torch", "Tensor")


OnStep = Callable[[int, int], None]  # (done, total)


def sample(
    objective: Objective,
    denoise: Denoiser,
    sampler: SamplerConfig,
    *,
    start: Tensors,
    given: Tensors,
    noise: NoiseSource,
    on_step: OnStep | None = None,
) -> dict[Modality, Tensor]:
    """What is made of the noise in `start`, beside what is given, which enters clean at every step (paper §3.1).

    The steps one after the other are paper Eq. (6), whatever the sampler.
    Departs from the paper's "z_T = 0" for the given modality, which it reads as "no noise in it".
    """

    def evaluate(state: Tensors, at: Level) -> Mapping[Modality, Prediction]:
        z = next(iter(state.values()))
        t_B = torch.full((z.shape[0],), at.time, device=z.device)
        outputs = denoise({**state, **given}, t_B)
        said = {m: objective.predict(outputs[m], state[m], at) for m in state}
        if sampler.clamp_x0_sigma is None:
            return said
        return {m: one.clamped(sampler.clamp_x0_sigma, z=state[m], at=at) for m, one in said.items()}

    walk = Walk(objective, evaluate, noise)
    state, advance = dict(start), sampler.start()
    steps = sampler.steps_on(objective)
    for done, step in enumerate(steps, start=1):
        state = advance(state, step, walk=walk)
        if on_step is not None:
            on_step(done, len(steps))
    return state


def sample_joint(
    model: JointModel[TextT, ConditionsT, LatentT_co],
    objective: Objective,
    *,
    task: Task,
    given: Tensors | None,
    text: TextT | None,
    null_text: TextT,
    video_rate_hz: float,
    sampler: SamplerConfig,
    guidance: GuidanceConfig,
    generators: Sequence[torch.Generator],
    device: str | torch.device = "cpu",
    on_step: OnStep | None = None,
    guide: JointModel[TextT, ConditionsT, LatentT_co] | None = None,
) -> LatentT_co:
    """Latents of a batch, one item a generator (paper Eq. (1)). The given modality returns unchanged, to the bit.

    An item depends on its own generator, text and given latent: not on the batch around it (noise to the bit, samples
    within float rounding). Of `given` only `task.given` is read. Raises ConfigError where sizes disagree, or where
    guidance asks for a guide and there is none.
    """
    if guide is None and (scales := guidance.by_guide(task)):
        raise ConfigError(
            "guidance.guide_scale",
            expected="a model that kept a guide in its training, or scales of 1",
            found=f"{', '.join(f'{m} {scale:g}' for m, scale in scales.items())} and no guide",
            fix="Train with train.guide_at, or set the scales to 1.",
        )
    batch = len(generators)
    shapes = made_shapes(model.layout, batch)
    kept = {} if task.given is None else {task.given: _given(given, task.given, shapes[task.given])}
    if text is not None and len(text) != batch:
        raise ConfigError(
            "sample_joint", expected=f"{batch} texts, one a generator", found=str(len(text)), fix="Give both alike."
        )
    noise = noise_of_each(generators)
    start = {m: noise(torch.empty(shapes[m], device=device)) for m in task.made}
    needs_noise = task.given is not None and guidance.modality_scale != 1
    with torch.no_grad():
        denoise = guided_denoiser(
            model,
            task=task,
            text=text,
            null_text=null_text,
            batch=batch,
            video_rate_hz=video_rate_hz,
            guidance=guidance,
            objective=objective,
            given_noise=noise(next(iter(kept.values()))) if needs_noise else None,
            guide=guide,
        )
        made = sample(objective, denoise, sampler, start=start, given=kept, noise=noise, on_step=on_step)
    return model.latent({**made, **kept})


def _given(given: Tensors | None, modality: Modality, shape: tuple[int, ...]) -> Tensor:
    found = None if given is None else tuple(given[modality].shape)
    if given is None or found != shape:
        raise ConfigError(
            f"given {modality.value} latent",
            expected=f"shape {shape}",
            found="none" if found is None else f"shape {found}",
            fix="Give one latent an item, of the model's layout.",
        )
    return given[modality]
