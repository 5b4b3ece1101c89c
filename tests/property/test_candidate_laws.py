"""Laws of candidates as SQL: keys and words are those of Python, and a work list is the same however it is asked."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pytest
from catalog_rows import caption_row, clip_row, clock_at, open_catalog, sha, stamp, tensor_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scale_catalog import EVERY_CLIP, NO_CLIPS, over

from uniform_core.build import build_run
from uniform_core.captioners.base import Captioner, CaptionerConfig
from uniform_core.captioners.class_label import ClassLabelConfig
from uniform_core.catalog import Catalog, Failure, Progress
from uniform_core.catalog.candidates import text_digest_sql, work_key_sql
from uniform_core.catalog.memory import memory_connection
from uniform_core.catalog.shards import ref_columns, write_shard
from uniform_core.corpus.candidates import (
    captions_candidates,
    captions_work,
    encode_candidates,
    encode_work,
    screen_candidates,
)
from uniform_core.corpus.fingerprints import captions_fingerprint, encode_fingerprint
from uniform_core.errors import Rejection
from uniform_core.fingerprint import digest, text_digest, work_key
from uniform_core.types import Modality

MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\'), max_size=20)
CONFIG = build_run("nano")


class FramedConfig(CaptionerConfig):
    """A captioner that looks at frames; only its fingerprint is asked for."""

    kind: Literal["framed"] = "framed"
    frames: int = 4

    @property
    def revision(self) -> str:
        return "1"

    def build(self) -> Captioner:
        raise NotImplementedError


FRAMED, LABELLED = FramedConfig(), ClassLabelConfig()


def value_of(sql: str, *parameters: str) -> str:
    with memory_connection() as con:
        [(value,)] = con.execute(f"SELECT {sql} FROM (SELECT ? AS a, ? AS b, ? AS c)", parameters).fetchall()
        return str(value)


@MANY
@given(WORDS, WORDS, WORDS)
def test_a_work_key_by_sql_is_that_of_python(item: str, fp: str, source: str) -> None:
    found = value_of(work_key_sql("a", stage_fp="b", source_sha256="c"), item, fp, source)
    assert found == work_key(item, stage_fp=fp, source_sha256=source)


@pytest.mark.parametrize("odd", ['"', "\\", "\n", "\x0b", "\x00"])
def test_what_json_escapes_gives_an_error_and_no_other_key(odd: str) -> None:
    with pytest.raises(Exception, match="no letter that JSON escapes"):
        value_of(work_key_sql("a", stage_fp="b", source_sha256="c"), f"clip{odd}", "fp", "source")


@MANY
@given(TEXTS)
def test_a_text_digest_by_sql_is_that_of_python(text: str) -> None:
    assert value_of(text_digest_sql("a"), text, "", "") == text_digest(text)


CLIPS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(0, 40),
            "split": st.sampled_from(["train", "held_out", "instrument", "filtered_still", "copy_of_held_out"]),
            "dataset": WORDS,
            "source_id": TEXTS,
            "video_id": st.none() | TEXTS,
            "label": st.none() | TEXTS,
            "source_caption": st.none() | TEXTS,
            "start_ms": st.integers(0, 10**10),
            "length_ms": st.integers(1, 10**5),
        }
    ),
    unique_by=lambda clip: clip["n"],
    max_size=12,
)


def clip_of(facts: dict[str, Any]) -> dict[str, Any]:
    """The columns of a clip that candidates are made of."""
    n, length_ms = facts["n"], facts["length_ms"]
    place = {"clip_id": digest(["clip", n]), "clip_sha256": sha("clip", n), "path": f"clips/{n}.mkv"}
    kept = {name: value for name, value in facts.items() if name not in ("n", "length_ms")}
    return {**place, **kept, "end_ms": facts["start_ms"] + length_ms}


def table_of(clips: list[dict[str, Any]]) -> pa.Table:
    texts = ("clip_id", "clip_sha256", "path", "dataset", "source_id", "split", "video_id", "label", "source_caption")
    fields = [*((name, pa.string()) for name in texts), ("start_ms", pa.int64()), ("end_ms", pa.int64())]
    return pa.Table.from_pylist(clips, schema=pa.schema(fields))


def named(clip: dict[str, Any]) -> str:
    return f"{clip['dataset']}/{clip['source_id']} {clip['start_ms'] / 1000:g}-{clip['end_ms'] / 1000:g} s"


def of_the_run(clips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [clip for clip in clips if clip["split"] not in ("instrument", "filtered_still")]


def facts_of(clip: dict[str, Any], fp: str, seen: str, **more: Any) -> dict[str, Any]:
    shared = {name: clip[name] for name in ("dataset", "clip_id", "clip_sha256", "path")}
    key = work_key(more.pop("item_id", clip["clip_id"]), stage_fp=fp, source_sha256=seen)
    return {"work_key": key, "item": named(clip), "stage_fp": fp, **shared, **more}


def in_any_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(sorted(row.items())) for row in rows]


@MANY
@given(CLIPS)
def test_candidates_are_those_that_a_loop_over_clips_gives(drawn: list[dict[str, Any]]) -> None:
    clips = [clip_of(facts) for facts in drawn]
    table = table_of(clips)
    encoded = [
        facts_of(clip, fp, clip["clip_sha256"], item_id=f"{clip['clip_id']}/{modality}", modality=str(modality))
        | {"item": f"{named(clip)} {modality}"}
        for clip in of_the_run(clips)
        for modality, fp in ((modality, encode_fingerprint(CONFIG, modality)) for modality in Modality)
    ]
    assert in_any_order(encode_candidates(CONFIG, table).to_pylist()) == in_any_order(encoded)
    screened = [facts_of(clip, "f" * 32, clip["clip_sha256"]) for clip in clips if clip["split"] != "instrument"]
    assert in_any_order(screen_candidates(table, stage_fp="f" * 32).to_pylist()) == in_any_order(screened)
    for captioner in (FRAMED, LABELLED):
        captioned = [
            facts_of(
                clip,
                captions_fingerprint(captioner),
                clip["clip_sha256"] if captioner.frames else text_digest(f"{clip['label']}\n{clip['source_caption']}"),
                start_ms=str(clip["start_ms"]),
                **{name: clip[name] for name in ("label", "source_caption", "source_id", "video_id")},
            )
            for clip in of_the_run(clips)
        ]
        assert in_any_order(captions_candidates(captioner, table).to_pylist()) == in_any_order(captioned)


def test_candidates_have_their_columns_where_there_are_no_clips() -> None:
    none = table_of([])
    for made in (encode_candidates(CONFIG, none), captions_candidates(FRAMED, none)):
        assert made.num_rows == 0
        assert set(made.schema.types) == {pa.string()}


NUMBERS = st.sets(st.integers(0, 12))


def filled(catalog: Catalog, *, there: set[int], done: set[int], failed: set[int], buried: set[int]) -> pa.Table:
    """The clips of a catalog of which some are captioned by both captioners, failed, or were taken down."""
    catalog.insert("clips", [clip_row(n) for n in sorted(there | buried)])
    clips = (
        catalog.read("clips")
        .sort_by("clip_id")
        .append_column("source_caption", pa.nulls(len(there | buried), pa.string()))
    )
    number_of = {clip_row(n)["clip_id"]: n for n in there | buried}
    for captioner in (FRAMED, LABELLED):
        for row in captions_candidates(captioner, clips).to_pylist():
            n = number_of[row["clip_id"]]
            keyed = {"work_key": row["work_key"], "stage_fp": row["stage_fp"]}
            if n in done:
                catalog.insert("captions", [caption_row(clip_row(n), text_digest(f"text {n}"), **keyed)])
            if n in failed:
                damaged = Rejection("damaged_clip", "torn", terminal=True)
                fails = Failure("captions", row["work_key"], row["item"], damaged, row["stage_fp"], "run")
                catalog.record_failures([fails], clock=clock_at())
    rows = [
        stamp(work_key=digest(["gone", n]), dataset="drawn", source_id=f"source-{n}", reason="asked")
        for n in sorted(buried)
    ]
    catalog.insert("tombstones", rows)
    return clips


@FEW
@given(NUMBERS, NUMBERS, NUMBERS, st.sets(st.integers(0, 12), max_size=2))
def test_a_work_list_is_the_same_by_keys_and_by_columns(
    there: set[int], done: set[int], failed: set[int], buried: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = open_catalog(Path(folder) / "home")
        clips = filled(catalog, there=there, done=done, failed=failed, buried=buried)
        live = {clip_row(n)["clip_id"] for n in there - buried}
        left = {clip_row(n)["clip_id"] for n in there - done - failed - buried}
        for captioner in (FRAMED, LABELLED):
            by_key = catalog.outstanding("captions", captions_candidates(captioner, clips), stage="captions")
            assert by_key["clip_id"].to_pylist() == sorted(left)
            for work in (captions_work(captioner, clips), over(captions_work(captioner, NO_CLIPS))):
                assert catalog.outstanding("captions", work, stage="captions").equals(by_key)
            twice = over(captions_work(captioner, NO_CLIPS), f"{EVERY_CLIP} UNION ALL {EVERY_CLIP}")
            found = catalog.progress("captions", over(captions_work(captioner, NO_CLIPS)), stage="captions")
            assert catalog.progress("captions", twice, stage="captions") == found, "a clip counts once"
            assert (found.candidates, found.outstanding) == (len(live), len(left))
            assert found.done == len({clip_row(n)["clip_id"] for n in done & there - buried})
            every = catalog.progress("captions", captions_candidates(captioner, clips), stage="captions")
            assert (every.candidates, every.done, every.outstanding) == (clips.num_rows, found.done, len(left))
            for work in (captions_candidates(captioner, clips), captions_work(captioner, clips), twice):
                todo, counts = catalog.outstanding_of("captions", work, stage="captions")
                assert todo.equals(by_key)
                assert counts == found, "what was taken down is no candidate of a stage"


def test_latents_are_known_by_what_they_are_of(tmp_path: Path) -> None:
    """A clip whose content has changed is encoded again; another codec's latents count for nothing."""
    catalog = open_catalog(tmp_path / "home")
    catalog.insert("clips", [clip_row(0), clip_row(1)])
    work = over(encode_work(CONFIG, NO_CLIPS))
    todo = catalog.outstanding("latents", work, stage="encode")
    every = [(clip_id, m) for clip_id in sorted(clip_row(n)["clip_id"] for n in range(2)) for m in ("video", "audio")]
    assert [(row["clip_id"], row["modality"]) for row in todo.to_pylist()] == every
    done, other = todo.slice(0, 3).to_pylist(), todo.slice(3, 1).to_pylist()[0]
    refs = write_shard(catalog.tensors_dir, "latents", [(row["work_key"], tensor_of(row["work_key"])) for row in done])
    shard = next(iter(refs.values()))
    names = ("work_key", "stage_fp", "clip_id", "clip_sha256", "modality")
    rows = [{name: row[name] for name in names} | {"codec": "dct"} for row in (*done, other)]
    rows[3] |= {"work_key": digest("another"), "stage_fp": digest("another codec")}
    catalog.insert("latents", [stamp(**(stamp() | row | ref_columns(shard))) for row in rows])
    left = catalog.outstanding("latents", work, stage="encode").to_pylist()
    assert [(row["clip_id"], row["modality"]) for row in left] == every[3:]
    assert catalog.progress("latents", work, stage="encode") == Progress(candidates=4, done=3, outstanding=1)
    changed = todo.to_pylist()[0]["clip_id"]
    content = "CASE WHEN clip_id = '{}' THEN '{}' ELSE clip_sha256 END".format(changed, sha("other content"))
    again = over(encode_work(CONFIG, NO_CLIPS), f"SELECT * REPLACE ({content} AS clip_sha256) FROM ({EVERY_CLIP})")
    redone = catalog.outstanding("latents", again, stage="encode").to_pylist()
    assert [(row["clip_id"], row["modality"]) for row in redone] == [every[0], every[1], every[3]]


def test_a_failure_waits_whatever_fingerprint_it_has(tmp_path: Path) -> None:
    """A failed encode is recorded by the fingerprint of the video, which says nothing of the sound."""
    catalog = open_catalog(tmp_path / "home")
    catalog.insert("clips", [clip_row(0)])
    work = over(encode_work(CONFIG, NO_CLIPS))
    of_sound = catalog.outstanding("latents", work, stage="encode").to_pylist()[1]
    damaged = Rejection("damaged_clip", "torn", terminal=True)
    fails = Failure("encode", of_sound["work_key"], of_sound["item"], damaged, digest("a codec of pictures"), "run")
    catalog.record_failures([fails], clock=clock_at())
    [left] = catalog.outstanding("latents", work, stage="encode")["modality"].to_pylist()
    assert left == "video"
    assert catalog.progress("latents", work, stage="encode") == Progress(candidates=2, done=0, outstanding=1)
