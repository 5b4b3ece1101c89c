"""What a model would cost, as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping

from flows.cli.show import seconds, size
from uniform_core.corpus.model_plan import ModelPlan, h100_hours


def model_words(plan: ModelPlan) -> dict[str, str]:
    """Each cost by its name."""
    return {
        "parameters": f"{plan.parameters:,}",
        "tokens a clip": f"{plan.tokens:,}, and up to {plan.text_tokens} of text",
        "a forward pass": f"{flops(plan.forward_flops['total'])}: {_parts(plan.forward_flops)}",
        "a clip in training": _in_training(plan),
        "a clip made": flops(plan.generation_flops),
        "its latents": _by_dtype(plan.latent_bytes),
        "its text, at most": _by_dtype(plan.text_bytes),
        "memory of a rank": _memory(plan),
        "its checkpoints": _disk(plan),
        "the whole training": _recipe(plan),
    }


def flops(count: float) -> str:
    """FLOPs in words: 13_470_000_000_000 → '13.47 TFLOP'."""
    value = float(count)
    for unit in ("", "K", "M", "G", "T", "P"):
        if value < 1000:
            return f"{value:.4g} {unit}FLOP"
        value /= 1000
    return f"{value:,.4g} EFLOP"


def _parts(forward: Mapping[str, int]) -> str:
    """The share of each part that has a hundredth of a per cent."""
    shares = {name: count / forward["total"] for name, count in forward.items() if name != "total"}
    return ", ".join(f"{name.replace('_', ' ')} {share:.2%}" for name, share in shares.items() if share >= 1e-4)


def _in_training(plan: ModelPlan) -> str:
    extra = plan.machine_train_flops - plan.train_flops
    return flops(plan.train_flops) + (f", {flops(plan.machine_train_flops)} with what is recomputed" if extra else "")


def _by_dtype(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{size(count)} as {dtype}" for dtype, count in counts.items())


def _memory(plan: ModelPlan) -> str:
    parts = [f"{name} {size(count)}" for name, count in plan.memory.items() if name != "total" and count]
    return f"about {size(plan.memory['total'])} for {plan.micro_batch} clips at once: {', '.join(parts)}"


def _disk(plan: ModelPlan) -> str:
    kept = f"{plan.checkpoints} of {size(plan.checkpoint_bytes)} are kept, and one more while it is written"
    return f"{kept}; the model takes {size(plan.export_bytes)}"


def _recipe(plan: ModelPlan) -> str:
    return (
        f"{plan.clip_passes:,} clips, {flops(plan.training_flops)}: {seconds(3600 * plan.h100_hours)} of one H100 at "
        f"{plan.assumed_share:.0%} of {plan.h100_flops / 1e12:.0f} TFLOP/s, which is assumed; "
        f"{seconds(3600 * h100_hours(plan.training_flops, share=1.0))} at all of it"
    )
