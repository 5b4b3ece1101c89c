"""What an evaluation is made of: clips in turns, and only what the config in hand would make."""

from __future__ import annotations

from pathlib import Path

from catalog_rows import open_catalog, sha, stamp

from uniform_core.build import build_run
from uniform_core.corpus.evaluation import current_generations, in_turns
from uniform_core.corpus.fingerprints import sample_fingerprint
from uniform_core.fingerprint import digest
from uniform_core.types import Task


def test_clips_of_an_older_sampler_are_not_scored_with_the_new_ones(tmp_path: Path) -> None:
    catalog, model_id = open_catalog(tmp_path), digest("model")
    configs = [build_run("nano", overrides=[f"sample.sampler.steps={steps}"]) for steps in (2, 3)]
    rows = [
        stamp(
            work_key=digest([config.sample.sampler.steps, system, task]),
            stage_fp=sample_fingerprint(config, model_id, task=task, system=system),
            model_id=model_id,
            task=str(task),
            system=system,
            clip_id=digest("clip"),
            seed=0,
            text_hash=None,
            steps=config.sample.sampler.steps,
            guidance=1.0,
            path=f"{config.sample.sampler.steps}-{system}-{task}.mp4",
            file_sha256=sha("file"),
            bytes=1,
        )
        for config in configs
        for system in ("uniform", "untrained")
        for task in Task
    ]
    catalog.insert("generations", rows)
    for config in configs:
        made = current_generations(catalog, config, model_id=model_id)
        by_system = {(system.name, system.task): [row["steps"] for row in rows] for system, rows in made.items()}
        expected = {(name, task): [config.sample.sampler.steps] for name in ("uniform", "untrained") for task in Task}
        assert by_system == expected | {("codec_round_trip", None): []}
        for system, found in made.items():
            assert all((row["system"], row["task"]) == (system.name, system.task) for row in found)


def test_classes_take_turns_in_the_order_of_their_names() -> None:
    rows = [{"n": n, "label": label} for n, label in enumerate(["b", "b", "b", "a", None, "a"])]
    assert [row["n"] for row in in_turns(rows, label_of=lambda row: row["label"])] == [4, 3, 0, 5, 1, 2]
