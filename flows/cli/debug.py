"""Commands that debug a model of any config: can it learn a few clips by heart, and what does its attention bring?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flows.cli.show import print_json, table
from uniform_core.errors import WorkFailedError

if TYPE_CHECKING:
    from tasks.cut import Cut
    from tasks.overfit import Overfitted
    from uniform_core.training.overfit import Learned

OVERFIT_CLIPS, CUT_CLIPS = 4, 96
MORE = "If the loss still fell at the end, give more --steps or another train.lr; else"


def debug(arguments: argparse.Namespace) -> int:
    """Do the action and print what came of it. Raises WorkFailedError where the model does not bear it out."""
    return overfit(arguments) if arguments.action == "overfit" else cut(arguments)


def overfit(arguments: argparse.Namespace) -> int:
    """Train a fresh model on a few clips; print each error before and after."""
    from flows.context import run_context  # here: a wrong word should not wait for torch
    from tasks.overfit import run_overfit

    clips = OVERFIT_CLIPS if arguments.clips is None else arguments.clips
    with run_context(arguments.preset, arguments.overrides, arguments.data) as context:
        done = run_overfit(context, clips=clips, steps=arguments.steps)
    rows = [_learned_row(part) for part in done.parts]
    if arguments.json:
        print_json({"clip_ids": done.clip_ids, "steps": arguments.steps, "errors": rows})
    else:
        print(f"{len(done.clip_ids)} clips, {arguments.steps} steps\n\n" + table(rows))
    require_overfitted(done, steps=arguments.steps)
    return 0


def _learned_row(part: Learned) -> dict[str, Any]:
    return {
        "task": str(part.task),
        "modality": str(part.modality),
        "first": part.first,
        "last": part.last,
        "ratio": part.ratio,
        "near_zero": part.is_near_zero,
    }


def require_overfitted(done: Overfitted, *, steps: int) -> None:
    """Raises WorkFailedError where an error has not come near zero: it says which, and what to look at."""
    from uniform_core.training.overfit import NEAR_ZERO

    behind = [part for part in done.parts if not part.is_near_zero]
    if not behind:
        return
    raise WorkFailedError(
        f"{len(done.clip_ids)} clips learned by heart in {steps} steps",
        expected=f"every error at most {NEAR_ZERO:.0%} of its first",
        found=", ".join(f"{part.task} {part.modality} {part.ratio:.1%}" for part in behind),
        fix=_what_to_look_at(behind, done.parts),
    )


def _what_to_look_at(behind: Sequence[Learned], parts: Sequence[Learned]) -> str:
    modalities, tasks = {part.modality for part in behind}, {part.task for part in behind}
    if max(part.ratio for part in behind) < 1.0 and len(behind) == len(parts):
        return (
            f"{MORE} see that model.hidden is above the values of a patch, whose noise must pass it; then look at "
            "what the network reads (join, patch embedding, time) and at how the loss reads what it says."
        )
    if len(behind) == len(parts):
        return "Nothing was learned: look at train.lr, at the gradient's way back, and at the latents' scale."
    if len(modalities) == 1:
        (modality,) = modalities
        return f"{MORE} look at the way of {modality} alone: its latents, their scale, its columns in join and split."
    named = " and ".join(sorted(str(task) for task in tasks))
    return f"{MORE} look at {named}: task columns, given stream, times of training."


def cut(arguments: argparse.Namespace) -> int:
    """Score the run's model with and without attention between sound and picture."""
    from flows.context import run_context  # here: a wrong word should not wait for torch
    from tasks.cut import run_cut

    clips = CUT_CLIPS if arguments.clips is None else arguments.clips
    with run_context(arguments.preset, arguments.overrides, arguments.data) as context:
        cuts = run_cut(context, clips=clips)
    rows = [row for one in cuts for row in _cut_rows(one)]
    if arguments.json:
        print_json(rows)
    else:
        print(table(rows))
    require_cut(cuts)
    return 0


def _cut_rows(one: Cut) -> list[dict[str, Any]]:
    verdicts = {"whole": one.is_above_chance_whole, "severed": one.is_at_chance_severed}
    return [
        {
            "task": str(one.task),
            "attention": name,
            "score": score.name,
            "value": score.value,
            "low": score.low,
            "high": score.high,
            "clips": score.n_generated,
            "wanted": "above chance" if name == "whole" else "chance",
            "as_wanted": verdicts[name],
        }
        for name, score in (("whole", one.whole), ("severed", one.severed))
    ]


def require_cut(cuts: Sequence[Cut]) -> None:
    """Raises WorkFailedError where the whole model is not above chance, or the severed one is not at it."""
    weak = [str(one.task) for one in cuts if not one.is_above_chance_whole]
    leaking = [str(one.task) for one in cuts if not one.is_at_chance_severed]
    found = [
        f"{name} {', '.join(tasks)}"
        for name, tasks in (("whole at chance:", weak), ("severed off chance:", leaking))
        if tasks
    ]
    if not found:
        return
    if leaking:
        fix = "See whether captions tell when things happen; else information passes where no attention does."
    else:
        fix = "The model has not learned synchrony, or --clips are too few to show it: train longer, or ask for more."
    raise WorkFailedError(
        "synchrony with and without attention between sound and picture",
        expected="the whole model above 0.5 by its 95 % interval, and 0.5 in the 99.9 % interval of the severed one",
        found="; ".join(found),
        fix=fix,
    )
