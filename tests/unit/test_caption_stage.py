"""The captions stage: what a row says, what is asked again, and what is done again when something changes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from catalog_rows import clip_row, latent_rows, open_catalog
from scripted_captioner import ASKED, ScriptedConfig

import tasks.caption_reader
import tasks.captions
from flows.cli import work
from flows.cli.main import main
from tasks.captions import run_captions
from tasks.context import RunContext
from tasks.stage import StageFailedError, StageSummary
from uniform_core.build import build_run
from uniform_core.captioners import ClassLabelConfig, OpenAiHttpConfig
from uniform_core.captions import cleaning
from uniform_core.catalog import Candidates, Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import CAPTIONED, captions_candidates, encode_candidates
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import text_digest
from uniform_core.text import HashingTextConfig

LABELS = ("dog", "cat", "horse", "fox")
CLIPS = [clip_row(n, label=label) | {"source_caption": None} for n, label in enumerate(LABELS)]


@dataclass(frozen=True)
class OfClips(RunContext):
    """A context of clips that are given, and of no Ray."""

    given: pa.Table = None

    def clips(self, columns: Sequence[str] | None = None) -> pa.Table:
        return self.given


@pytest.fixture(autouse=True)
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tasks.captions, tasks.caption_reader):
        monkeypatch.setattr(module, "AnyCaptioner", ScriptedConfig)
    ASKED.clear()


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path)


def context_of(catalog: Catalog, captioner: ScriptedConfig, clips: list[dict[str, Any]], **more: Any) -> OfClips:
    config = build_run("nano", overrides=more.pop("overrides", [])).model_copy(update={"captioners": (captioner,)})
    words: dict[str, Any] = {"run_id": "run", **more}
    return OfClips(
        settings=_settings(catalog),
        config=config,
        catalog=catalog,
        ray=None,  # type: ignore[arg-type]  # a captioner without frames works in the driver
        listener=lambda event: None,
        given=pa.Table.from_pylist(clips),
        **words,
    )


def _settings(catalog: Catalog) -> Any:
    from uniform_core.settings import Settings

    return Settings(home=catalog.root.parent)


def caption(catalog: Catalog, captioner: ScriptedConfig = ScriptedConfig(), **more: Any) -> StageSummary:  # noqa: B008
    (summary,) = run_captions(context_of(catalog, captioner, more.pop("clips", CLIPS), **more))
    return summary


def rows_of(catalog: Catalog) -> dict[str, dict[str, Any]]:
    labels = {clip["clip_id"]: clip["label"] for clip in CLIPS}
    return {labels[row["clip_id"]]: row for row in catalog.read("captions").to_pylist()}


def test_a_row_says_who_was_asked_what_how_often_and_what_was_measured(catalog):
    script = ("A  {label}", "The {label} is seen and heard\nnear a house.")
    summary = caption(catalog, ScriptedConfig(script=script, temperature=0.5))
    row = rows_of(catalog)["dog"]
    texts = {text["text_hash"]: text["text"] for text in catalog.read("caption_texts").to_pylist()}
    assert texts[row["raw_text_hash"]] == "The dog is seen and heard\nnear a house."
    assert texts[row["text_hash"]] == "The dog is seen and heard near a house."
    assert [texts[key] for key in row["other_raw_text_hashes"]] == ["A  dog"]
    said = (
        "seed",
        "tries",
        "sampling",
        "frame_policy",
        "n_words",
        "n_text_tokens",
        "token_counter",
        "flags",
        "language",
    )
    assert [row[name] for name in said] == [1, 2, '{"temperature":0.5}', None, 9, 10, "hashing-1", [], "en"]
    assert (row["agreement"], row["agreement_by"], row["prompt_overlap"]) == (1.0, "label_words rule-1", 0.0)
    assert row["cleaning_version"] == cleaning.VERSION == 1
    assert catalog.read("prompts")["prompt"].to_pylist() == ["What is seen?"]
    assert summary.note == "captions of scripted: 4 of 4 asked for again"
    assert not [
        finding for finding in catalog.verify(deep=False) if finding.check.startswith(("captions_without_t", "texts"))
    ]


def test_what_stays_flagged_is_kept_with_its_flags_and_said(catalog):
    summary = caption(catalog, ScriptedConfig(script=("A {label}", "One {label}")))
    rows = rows_of(catalog)
    assert {label: row["flags"] for label, row in rows.items()} == {label: ["too_short"] for label in LABELS}
    assert {row["tries"] for row in rows.values()} == {3}
    assert summary.note == "captions of scripted: 4 of 4 asked for again, 4 flagged (4 too_short)"
    assert summary.done == 4


def test_a_class_is_as_short_as_its_name_and_that_is_no_fault(catalog, monkeypatch):
    for module in (tasks.captions, tasks.caption_reader):
        monkeypatch.setattr(module, "AnyCaptioner", ClassLabelConfig)
    assert caption(catalog, ClassLabelConfig()).note == ""
    assert {(row["n_words"], *row["flags"]) for row in rows_of(catalog).values()} == {(1,)}


def test_nothing_said_is_a_row_that_says_so(catalog):
    caption(catalog, ScriptedConfig(script=("",)))
    row = rows_of(catalog)["dog"]
    said = ("status", "flags", "text_hash", "n_words", "n_text_tokens", "token_counter", "agreement_by")
    assert [row[name] for name in said] == ["empty", ["empty"], None, None, None, None, None]


def test_tokens_are_not_counted_where_that_cannot_be_and_it_is_said(catalog, monkeypatch):
    def absent(_self: object) -> None:
        raise ConfigError("weights x", expected="a folder", found="none", fix="Pull them.")

    monkeypatch.setattr(HashingTextConfig, "token_counter", absent)
    summary = caption(catalog)
    assert "tokens not counted: weights x" in summary.note
    assert rows_of(catalog)["dog"]["n_text_tokens"] is None


def test_a_rerun_does_only_what_can_be_tried_again(catalog):
    bad = CLIPS[1]["clip_id"]
    first = caption(catalog, ScriptedConfig(failing=(bad,)))
    assert (first.done, first.failed, first.by_error_class) == (3, 1, {"captioner_error": 1})
    ASKED.clear()
    again = caption(catalog)
    assert [(bad, 0)] == ASKED
    assert (again.done, again.already_done) == (1, 3)
    ASKED.clear()
    assert caption(catalog).done == 0
    assert ASKED == []


def test_a_captioner_that_fails_at_every_clip_or_too_many_fails_the_stage_after_all_have_worked(catalog):
    everyone = tuple(clip["clip_id"] for clip in CLIPS)
    broken = ScriptedConfig(failing=everyone, asks="What is heard?")
    context = context_of(catalog, broken, CLIPS)
    both = context.config.model_copy(update={"captioners": (broken, ScriptedConfig())})
    with pytest.raises(StageFailedError, match=r"a result for at least one of 4 items.*4 captioner_error") as failed:
        run_captions(replace(context, config=both))
    assert (failed.value.summary.failed, catalog.read("captions").num_rows) == (4, 4), "the other one has done its work"
    bounded = context.config.model_copy(update={"max_reject_fraction": 0.5})
    some = [ScriptedConfig(failing=everyone[:n], asks=f"Which {n}?") for n in (2, 3)]
    run_captions(replace(context, config=bounded.model_copy(update={"captioners": (some[0],)})))
    with pytest.raises(StageFailedError, match="at most 50% of 4 items rejected"):
        run_captions(replace(context, config=bounded.model_copy(update={"captioners": (some[1],)})))


def test_no_version_is_made_after_a_stage_that_failed(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    catalog = open_catalog(tmp_path / "home")
    catalog.insert("clips", [{name: clip[name] for name in clip_row(0)} for clip in CLIPS])
    broken = ScriptedConfig(failing=tuple(clip["clip_id"] for clip in CLIPS))
    monkeypatch.setattr(work, "_as_flows", lambda *_given: run_captions(context_of(catalog, broken, CLIPS)))
    words = ["captions", "build", "--preset", "nano", "--corpus", "main", "--policy", "label", "--activate"]
    assert main(words) == StageFailedError.exit_code
    assert "a result for at least one of 4 items" in " ".join(capsys.readouterr().err.split())
    assert (catalog.read("corpora").num_rows, catalog.read("corpus_events").num_rows) == (0, 0)


@pytest.mark.parametrize(
    ("cpus", "concurrency", "processes", "each"), [(16, 8, 8, 1), (2, 8, 2, 4), (3, 8, 3, 2), (16, 1, 1, 1)]
)
def test_requests_to_a_server_are_bounded_over_all_processes(catalog, cpus, concurrency, processes, each):
    captioner = OpenAiHttpConfig(concurrency=concurrency)
    context = context_of(catalog, ScriptedConfig(), CLIPS)
    context = replace(context, settings=context.settings.model_copy(update={"cpus": cpus}))
    stage = tasks.captions._stage(context, captioner, counts=False)
    part = OpenAiHttpConfig.model_validate_json(stage.setup["captioner_json"])
    assert (stage.workers.most, part.concurrency, stage.batch) == (processes, each, 4 * each)
    assert stage.stage_fp == captions_fingerprint(captioner) == captions_fingerprint(part)


def test_the_stage_makes_no_table_of_all_its_clips_and_asks_for_what_it_reads(catalog, monkeypatch):
    def never(_self: Candidates) -> pa.Table:
        raise AssertionError("a table of every candidate")

    monkeypatch.setattr(Candidates, "table", never)
    asked: list[Sequence[str] | None] = []
    clips = OfClips.clips
    monkeypatch.setattr(OfClips, "clips", lambda self, columns=None: asked.append(columns) or clips(self))
    first, again = caption(catalog), caption(catalog)
    assert (first.done, first.already_done, again.done, again.already_done) == (4, 0, 0, 4)
    assert asked == [CAPTIONED, CAPTIONED]
    assert not {"picture_hash", "sound_print"} & set(CAPTIONED)


def test_two_runs_at_once_commit_nothing_twice(catalog):
    done: list[StageSummary] = []
    runs = [
        threading.Thread(target=lambda n=n: done.append(caption(catalog, run_id=f"run {n}", clips=CLIPS)))
        for n in range(3)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    counts = Counter(row["clip_id"] for row in catalog.read("captions").to_pylist())
    assert counts == {clip["clip_id"]: 1 for clip in CLIPS}
    assert sum(summary.rows.get("captions", 0) for summary in done) == len(CLIPS)


class FramesConfig(ScriptedConfig):
    """One that looks."""

    frames: int = 4
    policy: str = "even:4"

    @property
    def frame_policy(self) -> str:
        return self.policy


def left_to_do(catalog: Catalog, config: RunConfig, clips: list[dict[str, Any]]) -> dict[str, int]:
    """How many captions and latents of these clips are outstanding."""
    table = pa.Table.from_pylist(clips)
    captioner = config.captioners[0]
    return {
        "captions": catalog.outstanding("captions", captions_candidates(captioner, table), stage="captions").num_rows,
        "latents": catalog.outstanding("latents", encode_candidates(config, table), stage="encode").num_rows,
    }


def test_a_new_prompt_recaptions_all_and_encodes_nothing_and_a_changed_clip_is_done_again(catalog):
    looking = FramesConfig()
    config = build_run("nano").model_copy(update={"captioners": (looking,)})
    assert left_to_do(catalog, config, CLIPS) == {"captions": 4, "latents": 8}
    keys = captions_candidates(looking, pa.Table.from_pylist(CLIPS)).select(["work_key", "clip_id"]).to_pylist()
    _captioned(catalog, looking, {row["clip_id"]: row["work_key"] for row in keys})
    _encoded(catalog, config)
    assert left_to_do(catalog, config, CLIPS) == {"captions": 0, "latents": 0}
    for change in ({"asks": "What is heard?"}, {"temperature": 0.7}, {"policy": "even:4@short=336"}):
        changed = config.model_copy(update={"captioners": (looking.model_copy(update=change),)})
        assert left_to_do(catalog, changed, CLIPS) == {"captions": 4, "latents": 0}
    moved = [CLIPS[0] | {"clip_sha256": "f" * 64}, *CLIPS[1:]]
    assert left_to_do(catalog, config, moved) == {"captions": 1, "latents": 2}
    quality = config.model_copy(update={"caption_quality": config.caption_quality.model_copy(update={"min_words": 9})})
    assert left_to_do(catalog, quality, CLIPS) == {"captions": 0, "latents": 0}


def _captioned(catalog: Catalog, captioner: ScriptedConfig, keys: dict[str, str]) -> None:
    from catalog_rows import caption_row, text_row

    catalog.insert("caption_texts", [text_row(1)])
    fp = captions_fingerprint(captioner)
    catalog.insert(
        "captions",
        [caption_row(clip, text_row(1)["text_hash"], work_key=keys[clip["clip_id"]], stage_fp=fp) for clip in CLIPS],
    )


def _encoded(catalog: Catalog, config: RunConfig) -> None:
    [template] = latent_rows(catalog, CLIPS[:1])
    candidates = encode_candidates(config, pa.Table.from_pylist(CLIPS)).to_pylist()
    names = ("work_key", "stage_fp", "modality", "clip_id", "clip_sha256")
    catalog.insert("latents", [template | {name: row[name] for name in names} for row in candidates])


def test_another_cleaning_is_another_corpus(monkeypatch):
    before = captions_fingerprint(ScriptedConfig())
    monkeypatch.setattr(cleaning, "VERSION", 2)
    assert captions_fingerprint(ScriptedConfig()) != before


def test_prompts_are_told_apart_by_their_hash(catalog):
    caption(catalog)
    caption(catalog, ScriptedConfig(asks="What is heard?"), run_id="later")
    found = catalog.rows("SELECT prompt_hash, count(*) AS n FROM captions GROUP BY prompt_hash")
    assert {row["prompt_hash"]: row["n"] for row in found} == {
        text_digest("What is seen?"): 4,
        text_digest("What is heard?"): 4,
    }
