"""What an evaluation is made of: clips in turns, and only what the config in hand would make."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
from catalog_rows import open_catalog, sha, stamp

from uniform_core.build import build_run
from uniform_core.corpus.evaluation import GENERATION_SCHEMA, current_generations, generation_candidates, in_turns
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


def test_the_untrained_model_may_make_fewer_clips_of_all_classes() -> None:
    clips = pa.Table.from_pylist(
        [
            {
                "clip_id": digest([label, n]),
                "clip_sha256": sha(f"{label}{n}"),
                "split": "held_out",
                "label": label,
                "dataset": "toy",
                "source_id": f"{label}-{n}",
            }
            for label in ("a", "b", "c")
            for n in range(4)
        ]
    )
    label_of = dict(zip(clips["clip_id"].to_pylist(), clips["label"].to_pylist(), strict=True))

    def made(**evaluate: int) -> dict[tuple[str, str], Counter[str]]:
        config = build_run("nano", overrides=[f"evaluate.{name}={count}" for name, count in evaluate.items()])
        rows = generation_candidates(config, clips, model_id=digest("model"))
        assert rows.schema == GENERATION_SCHEMA
        found: dict[tuple[str, str], Counter[str]] = {}
        for row in rows.to_pylist():
            found.setdefault((row["system"], row["task"]), Counter())[label_of[row["clip_id"]]] += 1
        return found

    fewer = made(clips_per_task=9, untrained_clips=3)
    for (system, _), counts in fewer.items():
        each = 1 if system == "untrained" else 3
        assert counts == {"a": each, "b": each, "c": each}, system
    assert set(made(clips_per_task=9)) == set(fewer)
    assert {sum(counts.values()) for counts in made(clips_per_task=9).values()} == {9}
    assert {sum(counts.values()) for counts in made(clips_per_task=6, untrained_clips=9).values()} == {6}
