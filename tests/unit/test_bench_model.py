"""The bench of the model: it runs without the services, and what it prints is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent.parent / "bench" / "bench_model.py"
WITHOUT = """
import runpy, sys
for name in ("ray", "prefect", "mlflow"):
    sys.modules[name] = None  # importing it raises ImportError
sys.path.insert(0, sys.argv[1])
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What the smallest size says, in a process where ray, prefect and mlflow cannot be imported."""
    root = BENCH.parent.parent.parent
    words = [str(BENCH), "--size", "nano", "--device", "cpu", "--runs", "1", "--json"]
    words += ["--vae", "drawn", "--vae", "no/such/weights"]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(BENCH.parent), *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_both_forms_of_training_and_sampling_are_measured(said: dict[str, Any]) -> None:
    rows = [row for row in said["rows"] if "times_plain" in row]
    assert [(row["what"], row["form"]) for row in rows] == [
        (what, form) for what in ("train step", "2 guided steps") for form in ("plain", "uniform")
    ]
    for row in rows:
        assert row["s_per_clip"] == pytest.approx(1 / row["clips_per_s"])
        assert row["share_of_matmul"] == pytest.approx(row["tflops"] / said["matmul_tflops"])
        assert 0 < row["share_of_matmul"] < 1
        assert row["peak_bytes"] is None or row["peak_bytes"] > 100 << 20, "torch itself takes that much"
    for plain, ours in (rows[:2], rows[2:]):
        assert plain["times_plain"] == 1
        assert ours["times_plain"] == pytest.approx(ours["clips_per_s"] / plain["clips_per_s"])
        assert ours["tflops"] / plain["tflops"] == pytest.approx(ours["times_plain"]), "credited with the same FLOPs"


def test_every_form_of_attention_is_measured_and_the_used_one_named(said: dict[str, Any]) -> None:
    rows = [row for row in said["rows"] if "of_the_fastest" in row]
    for kind in ("temporal attention", "spatial attention"):
        forms = {row["form"]: row for row in rows if row["what"] == kind}
        assert set(forms) == {"fused", "products", "packed"}
        assert min(row["of_the_fastest"] for row in forms.values()) == 1
        assert [name for name, row in forms.items() if row["is_used"]] == ["products"], "few tokens, on a CPU"


def test_encoding_is_measured_by_drawn_weights(said: dict[str, Any]) -> None:
    (row,) = [row for row in said["rows"] if row["what"] == "video encode" and row["form"] == "drawn"]
    assert row["clip"] == "34 x 64 x 64", "a clip for a small model; XL/2's is the paper's"
    assert row["s_per_clip"] == pytest.approx(1 / row["clips_per_s"])
    assert 0 < row["s_per_clip"] < 600
    assert row["peak_bytes"] is None or row["peak_bytes"] > 100 << 20, "torch itself takes that much"


def test_an_encode_that_cannot_be_measured_says_why(said: dict[str, Any]) -> None:
    (row,) = [row for row in said["rows"] if row["what"] == "video encode" and row["form"] == "opensora"]
    assert "no/such/weights" in row["skipped"]
    assert row["clip"] == "68 x 256 x 256"


def test_make_bench_measures_encoding_too() -> None:
    makefile = (BENCH.parent.parent.parent / "Makefile").read_text()
    assert "tests/bench/bench_model.py --vae drawn" in makefile
