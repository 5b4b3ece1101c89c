"""One rank of a two-rank training for tests: python training_rank.py RANK WORLD STORE_FILE FOLDER STOP_AFTER."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from training_toy import make_config, make_source, make_trainer

from uniform_core.training.checkpoint import CheckpointStore, save_tensors
from uniform_core.training.fit import fit
from uniform_core.training.trainer import StepReport


def main(rank: int, world: int, store_file: str, folder: str, stop_after: int) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store_file}", rank=rank, world_size=world, timeout=timedelta(seconds=120)
    )
    config = make_config(batch=5)  # shares of 3 and 2 clips
    trainer = make_trainer(config)
    reports: list[StepReport] = []

    def stop(report: StepReport) -> None:
        reports.append(report)
        if rank == 0 and report.step + 1 == stop_after:
            os._exit(9)  # as a kill: no teardown, in which gloo aborts at times; its peer loses the group

    fit(trainer, make_source(config), checkpoints=CheckpointStore(Path(folder), keep=3), on_step=stop)
    saved = trainer.checkpoint(extra={})
    state = {
        f"{part}/{name}": value
        for part in ("model", "ema", "optimizer")
        for name, value in getattr(saved, part).items()
    }
    losses = torch.tensor([report.loss for report in reports], dtype=torch.float64)
    save_tensors(Path(folder) / f"end-{rank}.safetensors", {**state, "losses": losses})
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
