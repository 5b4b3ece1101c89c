"""The model's train step and guided sampling beside the plain eager form, in one run: prints rates and ratios.

    python tests/bench/bench_model.py [--size cpu|tiny|xl2] [--device auto|cpu|cuda] [--vae WEIGHTS|drawn] [--json]

Needs torch and this package, and neither ray, prefect nor mlflow. Both forms are credited with the same FLOPs, those
that the clips need (three forwards of a trained clip, texts by their real tokens), so TFLOP/s compare as clips do.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch reads it: a CPU is measured by one thread

import argparse
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import torch
from attention_forms import measure_attention
from meter import Meter
from model_forms import Work, generation, plain_generation, plain_train_step, train_step
from model_sizes import SIZES, Size
from vae_encode import measure_vae

from uniform_core.model import cost

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(SIZES), help="default: xl2 on a GPU, else cpu")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--runs", type=int, default=3, help="of each work; the fastest counts (default: 3)")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="default: on a GPU")
    parser.add_argument(
        "--vae",
        action="append",
        default=[],
        metavar="WEIGHTS|drawn",
        help="also encode by the video codec with these weights, or with drawn ones; may be repeated",
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    meter = Meter("cuda" if asked.device == "cuda" or (asked.device == "auto" and has_gpu) else "cpu")
    name = asked.size or ("xl2" if meter.is_cuda else "cpu")
    compiled = meter.is_cuda if asked.compile is None else asked.compile
    result = run(SIZES[name](), meter, runs=asked.runs, compiled=compiled)
    vae_size = "paper" if name == "xl2" else "cpu"
    result["rows"] += [
        measure_vae(weights, meter, size=vae_size, runs=asked.runs, compiled=compiled) for weights in asked.vae
    ]
    result = {"size": name, "compiled": compiled, **result}
    print(json.dumps(result) if asked.json else told(result))


def run(size: Size, meter: Meter, *, runs: int, compiled: bool) -> dict[str, Any]:
    """All of the model, and the peak that it is compared with."""
    dtype = torch.bfloat16 if size.precision == "bfloat16" else torch.float32
    peak_flops = meter.products_flops(dtype)
    rows = [*_both(size, meter, runs=runs, compiled=compiled, peak_flops=peak_flops)]
    rows += measure_attention(size, meter, runs=10 * runs)
    return {
        "device": meter.name,
        "clock": meter.clock,
        "torch": torch.__version__,
        "precision": size.precision,
        "parameters": cost.count_parameters(size.model, size.layout),
        "matmul_tflops": peak_flops / 1e12,
        "rows": rows,
    }


def _both(size: Size, meter: Meter, *, runs: int, compiled: bool, peak_flops: float) -> Iterator[Row]:
    """A row for each work in each form, ours with how many times the plain rate it has."""
    forward = cost.forward_flops(size.model, size.layout, text_tokens=round(size.text_tokens))
    made = cost.generation_flops(
        size.model, size.layout, text_tokens=round(size.text_tokens), steps=size.steps, passes=2
    )
    device = meter.device
    works: dict[str, tuple[int, int, dict[str, Callable[[], Work]]]] = {
        "train step": (
            size.batch,
            3 * forward.total,
            {
                "plain": lambda: plain_train_step(size, device),
                "uniform": lambda: train_step(size, device, compiled=compiled),
            },
        ),
        f"{size.steps} guided steps": (
            size.samples,
            made,
            {
                "plain": lambda: plain_generation(size, device),
                "uniform": lambda: generation(size, device, compiled=compiled),
            },
        ),
    }
    for what, (clips, flops_a_clip, forms) in works.items():
        plain_rate = 0.0
        for form, build in forms.items():
            measured = meter.measure(build(), runs=runs)
            rate = clips / measured.seconds
            plain_rate = plain_rate or rate
            flops = rate * flops_a_clip
            yield {
                "what": what,
                "form": form,
                "clips_per_s": rate,
                "s_per_clip": 1 / rate,
                "tflops": flops / 1e12,
                "share_of_matmul": flops / peak_flops,
                "peak_bytes": measured.peak_bytes,
                "times_plain": rate / plain_rate,
            }
            gc.collect()
            if meter.is_cuda:
                torch.cuda.empty_cache()


def told(result: dict[str, Any]) -> str:
    """The result for a person."""
    lines = [
        f"{result['size']}: {result['parameters']:,} parameters, {result['precision']}, torch {result['torch']}, "
        f"{result['device']}; products {result['matmul_tflops']:.4g} TFLOP/s; {result['clock']} seconds; blocks "
        + ("compiled" if result["compiled"] else "not compiled")
    ]
    lines += [f"{row['what']:<20}{row['form']:<10}" + _numbers(row) for row in result["rows"]]
    return "\n".join(lines)


def _numbers(row: Row) -> str:
    if "skipped" in row:
        return f"skipped: {row['skipped']}"
    if "of_the_fastest" in row:
        used = " (used)" if row["is_used"] else ""
        words = f"{1e3 * row['seconds']:9.3f} ms for {row['sequences']} x {row['tokens']} tokens"
        return f"{words}, {row['of_the_fastest']:.2f} of the fastest's time{used}"
    words = f"{row['clips_per_s']:9.4g} clips/s {row['s_per_clip']:9.4g} s/clip"
    if "tflops" in row:
        words += f" {row['tflops']:9.4g} TFLOP/s {row['share_of_matmul']:6.1%} of products"
        words += f" {row['times_plain']:6.2f} x plain"
    if "clip" in row:
        words += f" of {row['clip']}"
    held = row["peak_bytes"]
    return words + (f" {held / 2**30:7.2f} GiB at peak" if held is not None else "")


if __name__ == "__main__":
    main()
