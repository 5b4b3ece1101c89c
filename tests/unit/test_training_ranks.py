"""Two processes over gloo: they agree to the bit, agree with one process, and resume exactly after a death."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_toy import make_config, make_source, make_trainer

from uniform_core.training.checkpoint import load_tensors
from uniform_core.training.fit import fit

TESTS = Path(__file__).parents[1]


def run_ranks(folder: Path, *, stop_after: int = 0) -> list[int]:
    """Exit codes of two ranks that share `folder`."""
    folder.mkdir(exist_ok=True)
    store_file = folder / f"store-{stop_after}-{len(list(folder.iterdir()))}"
    environment = os.environ | {"PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                str(TESTS / "training_rank.py"),
                str(rank),
                "2",
                str(store_file),
                str(folder),
                str(stop_after),
            ],
            env=environment,
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if not stop_after:
        assert [process.returncode for process in processes] == [0, 0], errors
    return [process.returncode for process in processes]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks") / "straight"
    run_ranks(folder)
    return folder


def test_ranks_end_with_the_same_bits_and_agree_with_one(undisturbed: Path) -> None:
    left, right = (load_tensors(undisturbed / f"end-{rank}.safetensors") for rank in range(2))
    losses = left.pop("losses")
    right.pop("losses")
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
    config = make_config(batch=5)
    alone = make_trainer(config)
    reports: list[float] = []
    fit(alone, make_source(config), on_step=lambda report: reports.append(report.loss))
    assert losses.tolist() == pytest.approx(reports, rel=1e-4)  # sums in another order
    assert losses[:1].tolist() == pytest.approx(reports[:1], rel=1e-6)


def test_a_rank_dies_and_the_rerun_ends_with_the_same_bits(undisturbed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    codes = run_ranks(folder, stop_after=4)
    assert codes[0] == 9
    assert codes[1] != 0
    assert not (folder / "end-0.safetensors").exists()
    assert (folder / "step_000000002" / "COMPLETE").exists()
    run_ranks(folder)
    left, right = (load_tensors(path / "end-0.safetensors") for path in (undisturbed, folder))
    left.pop("losses")
    assert len(right.pop("losses")) == 4  # from step 2 on
    assert [name for name in left if not torch.equal(left[name], right[name])] == []
