"""A run that takes its captions from a corpus: training samples, fingerprints, versions, and what it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from caption_table import CLIPS, build, policy, say_all
from catalog_rows import START, clip_row, latent_rows, open_catalog, sha

from tasks.telling import config_tags
from tasks.train import _notes, _Read
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import encode_candidates
from uniform_core.corpus.caption_pointer import activate, pinned
from uniform_core.corpus.captions import active_captions, caption_versions, count_captioned
from uniform_core.corpus.evaluation import evaluation_digest
from uniform_core.corpus.fingerprints import model_id, train_fingerprint
from uniform_core.corpus.samples import samples_digest, training_samples
from uniform_core.errors import ConfigError, WorkFailedError

ROWS = [clip_row(n, clip_id=CLIPS[n], label="dog") | {"source_caption": None} for n in range(3)]
RUN_CLIPS = pa.Table.from_pylist(ROWS)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = open_catalog(tmp_path)
    catalog.insert("clips", [{key: value for key, value in row.items() if key != "source_caption"} for row in ROWS])
    config = build_run("nano")
    [template] = latent_rows(catalog, ROWS[:1])
    names = ("work_key", "stage_fp", "modality", "clip_id", "clip_sha256")
    candidates = encode_candidates(config, RUN_CLIPS).to_pylist()
    catalog.insert("latents", [template | {name: row[name] for name in names} for row in candidates])
    say_all(catalog, {0: "a brown dog", 1: "a white dog"}, "vlm")
    return catalog


def run_of(word: str | None) -> RunConfig:
    return build_run("nano", overrides=[] if word is None else [f'corpus="{word}"'])


def texts(catalog: Catalog, config: RunConfig, clips: pa.Table = RUN_CLIPS) -> dict[int, str]:
    rows = active_captions(catalog, config, clips).to_pylist()
    return {CLIPS.index(row["clip_id"]): row["text"] for row in rows}


def test_training_reads_the_corpus_that_is_named_whatever_is_said_later(catalog):
    version = build(catalog, policy({"captioner": "vlm"}))
    assert active_captions(catalog, run_of(None), RUN_CLIPS).num_rows == 0
    config = run_of(version.name)
    assert texts(catalog, config) == {0: "a brown dog", 1: "a white dog"}
    samples = training_samples(catalog, config, RUN_CLIPS, split="train")
    assert samples["caption"].to_pylist() == ["a brown dog", "a white dog", None]
    assert count_captioned(samples) == 2
    before = samples_digest(samples)
    say_all(catalog, {0: "something else"}, "vlm", created_at=START + timedelta(hours=1))
    assert samples_digest(training_samples(catalog, config, RUN_CLIPS, split="train")) == before
    later = build(catalog, policy({"captioner": "vlm"}))
    assert texts(catalog, run_of(later.name)) == {0: "something else", 1: "a white dog"}
    assert samples_digest(training_samples(catalog, run_of(later.name), RUN_CLIPS, split="train")) != before


def test_the_active_version_is_what_a_name_means_and_putting_it_back_gives_the_same_model(catalog):
    first = build(catalog, policy({"captioner": "vlm"}))
    activate(catalog, first.name, run_id="run")
    named = run_of("main")

    def model() -> str:
        return model_id(named, samples_digest(training_samples(catalog, named, RUN_CLIPS, split="train")))

    before = model()
    say_all(catalog, {0: "something else"}, "vlm", created_at=START + timedelta(hours=1))
    activate(catalog, build(catalog, policy({"captioner": "vlm"})).name, run_id="run")
    assert model() != before
    activate(catalog, first.name, run_id="run")
    assert model() == before
    full = pinned(catalog, named)
    assert train_fingerprint(full) == train_fingerprint(named)
    digests = {evaluation_digest(catalog, one, model_id="m" * 32, clips=RUN_CLIPS) for one in (full, named)}
    assert len(digests) == 1


def test_a_run_without_a_corpus_is_as_it_was():
    assert train_fingerprint(build_run("nano")) != train_fingerprint(run_of("main"))
    assert "corpus" not in build_run("nano").model_dump_json()
    assert "uniform.corpus" not in config_tags(build_run("nano"))


def test_the_record_of_a_run_names_the_corpus_and_the_versions_that_it_read(catalog):
    version = build(catalog, policy({"captioner": "vlm"}))
    say_all(catalog, {2: "a new one"}, "vlm")
    config = pinned(catalog, run_of(version.name))
    now = catalog.versions(["clips", "captions", "caption_texts"])
    read = caption_versions(catalog, config, now)
    assert read == {**now, **{name: version.versions[name] for name in ("captions", "caption_texts")}} != now
    assert caption_versions(catalog, build_run("nano"), now) == now
    assert (
        config_tags(config)["uniform.corpus"]
        == f"main@{version.version}"
        == json.loads(config.model_dump_json())["corpus"]
    )


def test_training_says_which_corpus_it_reads_and_of_how_many_clips(catalog):
    version = build(catalog, policy({"captioner": "vlm"}))
    config = pinned(catalog, run_of(version.name))
    index = training_samples(catalog, config, RUN_CLIPS, split="train")
    read = _Read(index, index, {}, None)
    assert _notes(config, read) == [f"captions: corpus main@{version.version}, of 2 of 3 clips"]
    assert _notes(build_run("nano"), read) == []


def test_a_caption_of_frames_that_are_no_longer_the_clips_is_not_taken(catalog):
    say_all(catalog, {2: "an old film"}, "looking", frame_indices=[0, 8])
    version = build(catalog, policy({"captioner": "looking"}, {"captioner": "vlm"}))
    assert texts(catalog, run_of(version.name))[2] == "an old film"
    moved = pa.Table.from_pylist([*ROWS[:2], ROWS[2] | {"source_sha256": sha("new"), "clip_sha256": sha("new clip")}])
    assert texts(catalog, run_of(version.name), moved) == {0: "a brown dog", 1: "a white dog"}


def test_clips_that_captioners_do_not_see_have_none_of_a_corpus(catalog):
    version = build(catalog, policy({"captioner": "vlm"}))
    hidden = pa.Table.from_pylist([ROWS[0] | {"split": "instrument"}, ROWS[1]])
    assert texts(catalog, run_of(version.name), hidden) == {1: "a white dog"}


def test_a_corpus_of_other_clips_and_one_that_is_not_there_are_refused(catalog):
    version = build(catalog, policy({"captioner": "vlm"}))
    others = pa.Table.from_pylist([clip_row(99) | {"source_caption": None}])
    with pytest.raises(WorkFailedError, match=r"captions of 2 clips, none of them of this run"):
        active_captions(catalog, run_of(version.name), others)
    with pytest.raises(ConfigError, match="no corpus named 'other'"):
        active_captions(catalog, run_of("other"), RUN_CLIPS)
    assert active_captions(catalog, run_of(version.name), RUN_CLIPS.slice(0, 0)).num_rows == 0
