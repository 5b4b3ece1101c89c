"""What an evaluation is made of: clips in turns, and only what the config in hand would make."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from catalog_rows import caption_row, open_catalog, sha, stamp

from tasks.evaluation_inputs import EvaluationInputs
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.corpus.evaluation import (
    GENERATION_SCHEMA,
    System,
    current_generations,
    evaluation_digest,
    generation_candidates,
    in_turns,
)
from uniform_core.corpus.lineup import Lineup
from uniform_core.fingerprint import digest, text_digest
from uniform_core.metrics.base import LABELS_OF, Side
from uniform_core.metrics.features import FeatureSet
from uniform_core.types import Task

MODEL = digest("model")


def held_out_clips(labels: str = "ab", each: int = 2, *, caption: str | None = None) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "clip_id": digest([label, n]),
                "clip_sha256": sha(f"{label}{n}"),
                "split": "held_out",
                "label": label,
                "dataset": "toy",
                "source_id": f"{label}-{n}",
                "video_id": None,
                "source_caption": caption,
                "attributes": "{}",
                "event_times_s": [0.5],
                "start_ms": 0.0,
                "end_ms": 1500.0,
                "path": f"{label}-{n}.mp4",
            }
            for label in labels
            for n in range(each)
        ]
    )


def make(catalog: Catalog, config: RunConfig, clips: pa.Table) -> None:
    """A row of `generations` for each candidate that has none yet, its file named by its key."""
    rows = generation_candidates(catalog, config, clips, model_id=MODEL).to_pylist()
    names = ("work_key", "stage_fp", "model_id", "task", "system", "clip_id", "text_hash", "seed")
    catalog.insert(
        "generations",
        [
            stamp(
                **{name: row[name] for name in names},
                steps=2,
                guidance=1.0,
                modality_guidance=1.0,
                guide_scale=None,
                sampler=None,
                path=f"{row['work_key']}.mp4",
                file_sha256=sha(row["work_key"]),
                bytes=1,
            )
            for row in rows
        ],
    )


def said(catalog: Catalog, config: RunConfig, clips: pa.Table) -> None:
    """The captions stage, of the words that lie beside the clips."""
    (text,) = set(clips["source_caption"].to_pylist())
    key = text_digest(text)
    catalog.insert("caption_texts", [stamp(work_key=key, text_hash=key, text=text)])
    rows = captions_candidates(config.captioners[0], clips).to_pylist()
    by_id = {clip["clip_id"]: clip for clip in clips.to_pylist()}
    names = ("work_key", "stage_fp")
    catalog.insert(
        "captions",
        [caption_row(by_id[row["clip_id"]], key, **{name: row[name] for name in names}) for row in rows],
    )


@pytest.mark.parametrize(
    "change",
    [
        "sample.sampler.steps=3",
        "evaluate.seed=1",
        'evaluate.text_for=["t2av","v2a","a2v"]',
        "evaluate.text_for=[]",
        "vocoder.iterations=8",
    ],
)
def test_what_changes_a_clip_makes_it_anew_and_only_the_clips_of_now_are_scored(change: str, tmp_path: Path) -> None:
    catalog, clips = open_catalog(tmp_path), held_out_clips()
    before, after = build_run("nano"), build_run("nano", overrides=[change])
    make(catalog, before, clips)
    old = evaluation_digest(catalog, before, model_id=MODEL, clips=clips)
    assert evaluation_digest(catalog, after, model_id=MODEL, clips=clips) != old
    make(catalog, after, clips)
    keys = generation_candidates(catalog, after, clips, model_id=MODEL)["work_key"].to_pylist()
    made = current_generations(catalog, after, clips, model_id=MODEL)
    assert sorted(row["work_key"] for rows in made.values() for row in rows) == sorted(keys)
    for system, rows in made.items():
        assert all((row["system"], row["task"]) == (system.name, str(system.task or Task.T2AV)) for row in rows)
    assert evaluation_digest(catalog, before, model_id=MODEL, clips=clips) == old, "the old clips are still there"


def test_another_caption_makes_a_clip_anew_where_it_is_made_from_text_and_only_there(tmp_path: Path) -> None:
    catalog, config = open_catalog(tmp_path), build_run("nano")
    clips, otherwise = held_out_clips(caption="a red ball"), held_out_clips(caption="a blue ball")
    said(catalog, config, clips)
    make(catalog, config, clips)
    before = evaluation_digest(catalog, config, model_id=MODEL, clips=clips)
    said(catalog, config, otherwise)
    made = {
        (system.name, system.task): len(rows)
        for system, rows in current_generations(catalog, config, otherwise, model_id=MODEL).items()
    }
    assert made == {(name, task): 4 * (task is not Task.T2AV) for name in ("uniform", "untrained") for task in Task} | {
        ("codec_round_trip", None): 4,
        ("class_mean", None): 2,
    }
    assert evaluation_digest(catalog, config, model_id=MODEL, clips=otherwise) != before


def test_another_class_is_another_evaluation(tmp_path: Path) -> None:
    catalog, clips, config = open_catalog(tmp_path), held_out_clips(), build_run("nano")
    before = evaluation_digest(catalog, config, model_id=MODEL, clips=clips)
    relabelled = clips.set_column(clips.schema.get_field_index("label"), "label", pa.array(["b", "a", "b", "a"]))
    assert evaluation_digest(catalog, config, model_id=MODEL, clips=relabelled) != before


def test_scores_stand_on_the_files_that_were_made(tmp_path: Path) -> None:
    catalog, clips, config = open_catalog(tmp_path), held_out_clips(), build_run("nano")
    none = evaluation_digest(catalog, config, model_id=MODEL, clips=clips)
    make(catalog, config, clips)
    assert evaluation_digest(catalog, config, model_id=MODEL, clips=clips) != none, "clips that came later count"


def test_distributions_meet_other_clips_than_their_conditions_and_pairs_meet_their_own(tmp_path: Path) -> None:
    config, own = build_run("nano"), held_out_clips()
    reference = [
        {**row, "clip_id": digest(["r", row["clip_id"]]), "split": "train", "clip_sha256": sha(f"r{row['clip_id']}")}
        for row in own.to_pylist()
    ]
    clips = pa.concat_tables([own, pa.Table.from_pylist(reference, schema=own.schema)])
    catalog = open_catalog(tmp_path)
    make(catalog, config, own)
    seen: list[set[str]] = []

    class Store:
        fingerprints: dict[str, str] = {}

        def feature_set(self, contents: dict[str, str], **_: str) -> FeatureSet:
            seen.append(set(contents))
            return FeatureSet.of(list(contents), [np.zeros(1)] * len(contents))

    lineup = Lineup.of(catalog, config, clips, model_id=MODEL)
    evaluation = EvaluationInputs(lineup, Store(), losses={})  # type: ignore[arg-type]  # all that is asked of a store
    by_kind = {metric.kind: metric for metric in config.metrics}
    own_ids, reference_ids = (set(table["clip_id"].to_pylist()) for table in (own, clips.slice(own.num_rows)))
    for kind, against in (("frechet", reference_ids), ("kernel", reference_ids), ("kl", own_ids)):
        seen.clear()
        inputs = evaluation.of(System("real", None), by_kind[kind])
        assert {frozenset(ids) for ids in seen} == {frozenset(own_ids), frozenset(against)}
        if LABELS_OF[Side.REFERENCE] in inputs:
            assert set(inputs[LABELS_OF[Side.REFERENCE]].keys) == against


def test_classes_take_turns_in_the_order_of_their_names() -> None:
    rows = [{"n": n, "label": label} for n, label in enumerate(["b", "b", "b", "a", None, "a"])]
    assert [row["n"] for row in in_turns(rows, label_of=lambda row: row["label"])] == [4, 3, 0, 5, 1, 2]


def test_the_untrained_model_may_make_fewer_clips_of_all_classes(tmp_path: Path) -> None:
    catalog, clips = open_catalog(tmp_path), held_out_clips("abc", 4)
    label_of = dict(zip(clips["clip_id"].to_pylist(), clips["label"].to_pylist(), strict=True))

    def made(**evaluate: int) -> dict[tuple[str, str], Counter[str]]:
        config = build_run("nano", overrides=[f"evaluate.{name}={count}" for name, count in evaluate.items()])
        rows = generation_candidates(catalog, config, clips, model_id=MODEL)
        assert rows.schema == GENERATION_SCHEMA
        found: dict[tuple[str, str], Counter[str]] = {}
        for row in rows.to_pylist():
            found.setdefault((row["system"], row["task"]), Counter())[label_of[row["clip_id"]]] += 1
        return found

    fewer = made(clips_per_task=9, untrained_clips=3)
    for (system, _), counts in fewer.items():
        each = 1 if system in ("untrained", "class_mean") else 3
        assert counts == {"a": each, "b": each, "c": each}, system
    assert set(made(clips_per_task=9)) == set(fewer)
    assert {sum(counts.values()) for counts in made(clips_per_task=9).values()} == {9, 3}
    assert {sum(counts.values()) for counts in made(clips_per_task=6, untrained_clips=9).values()} == {6, 3}
