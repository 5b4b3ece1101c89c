"""Work lists and the failure ledger."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from catalog_rows import STAGE_FP, START, clip_row, clock_at, latent_rows, open_catalog, source_row, text_row

from uniform_core.catalog import Catalog, Failure
from uniform_core.errors import CatalogError, Rejection


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(tmp_path / "home")


KEYS = [text_row(n)["work_key"] for n in range(5)]


def failure(n: int, *, terminal: bool = True, stage: str = "text", error_class: str = "crash", **more) -> Failure:
    rejection = Rejection(error_class, "it broke", terminal)
    return Failure(stage, KEYS[n], f"item {n}", rejection, STAGE_FP, "run", dataset="drawn", **more)


def todo(catalog: Catalog, *, stage: str = "text", **later: float) -> list[int]:
    candidates = pa.table({"work_key": KEYS, "n": pa.array(range(5), pa.int32())})
    left = catalog.outstanding("caption_texts", candidates, stage=stage, clock=clock_at(**(later or {"hours": 0})))
    assert left.schema == candidates.schema
    return left["n"].to_pylist()


def test_what_is_done_is_not_outstanding(catalog: Catalog) -> None:
    assert todo(catalog) == [0, 1, 2, 3, 4]
    catalog.insert("caption_texts", [text_row(3), text_row(0), text_row(99)])
    assert todo(catalog) == [1, 2, 4], "candidates keep their order"


def test_candidates_are_taken_once_and_need_a_key(catalog: Catalog) -> None:
    twice = pa.table({"work_key": [KEYS[1], KEYS[0], KEYS[1]], "text": ["b", "a", "b"]})
    assert catalog.outstanding("caption_texts", twice, stage="text")["text"].to_pylist() == ["b", "a"]
    nothing = twice.slice(0, 0)
    assert catalog.outstanding("caption_texts", nothing, stage="text").num_rows == 0
    with pytest.raises(CatalogError, match="work_key"):
        catalog.outstanding("caption_texts", pa.table({"key": KEYS}), stage="text")


def test_terminal_failures_stay_out_until_somebody_asks(catalog: Catalog) -> None:
    assert catalog.record_failures([failure(1), failure(2, terminal=False)], clock=clock_at()) == 2
    assert todo(catalog) == [0, 2, 3, 4]
    assert todo(catalog, days=1000) == [0, 2, 3, 4]
    assert todo(catalog, stage="another") == [0, 1, 2, 3, 4], "a failure belongs to its stage"
    assert catalog.request_retry(run_id="person", stage="text", clock=clock_at(hours=1)) == 2
    assert todo(catalog) == [0, 1, 2, 3, 4]
    assert catalog.request_retry(run_id="person", clock=clock_at(hours=2)) == 0, "nothing stands as failed now"
    catalog.record_failures([failure(1)], clock=clock_at(hours=3))
    assert todo(catalog) == [0, 2, 3, 4], "it failed again"


def test_a_retry_asked_at_the_same_instant_comes_after_the_failure(catalog: Catalog) -> None:
    catalog.record_failures([failure(1)], clock=clock_at(hours=1))
    assert catalog.request_retry(run_id="person", clock=clock_at()) == 1, "also with a clock that is behind"
    assert todo(catalog) == [0, 1, 2, 3, 4]


def test_retry_at_is_waited_for(catalog: Catalog) -> None:
    catalog.record_failures([failure(4, terminal=False, retry_at=START + timedelta(hours=2))], clock=clock_at())
    assert todo(catalog, hours=1) == [0, 1, 2, 3]
    assert todo(catalog, hours=2) == [0, 1, 2, 3, 4]
    with pytest.raises(CatalogError, match="retry_at"):
        catalog.record_failures([failure(1, retry_at=START)])


def test_retry_requests_select(catalog: Catalog) -> None:
    catalog.record_failures([failure(0), failure(1, error_class="timeout"), failure(2, stage="encode")])
    assert catalog.request_retry(run_id="p", stage="") == 0, "an empty word selects nothing, not everything"
    assert catalog.request_retry(run_id="p", stage="encode") == 1
    assert catalog.request_retry(run_id="p", error_class="timeout", dataset="elsewhere") == 0
    assert catalog.request_retry(run_id="p", error_class="timeout", dataset="drawn") == 1
    assert catalog.request_retry(run_id="p", item_keys=[KEYS[3]]) == 0
    assert catalog.request_retry(run_id="p", item_keys=[KEYS[0], KEYS[3]]) == 1


def test_two_failures_of_one_instant_stay_two(catalog: Catalog) -> None:
    assert catalog.record_failures([failure(0)], clock=clock_at()) == 1
    assert catalog.record_failures([failure(0, error_class="timeout")], clock=clock_at()) == 1


def test_the_ledger_is_shown(catalog: Catalog) -> None:
    catalog.record_failures([failure(0), failure(1, terminal=False)], clock=clock_at())
    catalog.record_failures([failure(1, error_class="timeout")], clock=clock_at(hours=1))
    shown = catalog.named_rows("failures")
    assert [(row["item"], row["error_class"], row["tries"]) for row in shown] == [
        ("item 1", "timeout", 2),
        ("item 0", "crash", 1),
    ]
    classes = catalog.named_rows("failures_by_class")
    assert [(row["error_class"], row["items"], row["terminal"]) for row in classes] == [
        ("crash", 1, 1),
        ("timeout", 1, 1),
    ]


def test_work_of_a_buried_source_is_not_outstanding(catalog: Catalog) -> None:
    clips = [clip_row(n) for n in range(3)]
    catalog.insert("sources", [source_row(n) for n in range(3)])
    catalog.insert("clips", clips)
    catalog.bury("drawn", ["source-1"], reason="asked", run_id="r")
    sources = pa.table({"work_key": KEYS[:3], "dataset": ["drawn"] * 3, "source_id": [f"source-{n}" for n in range(3)]})
    assert catalog.outstanding("sources", sources, stage="ingest")["source_id"].to_pylist() == ["source-0", "source-2"]
    by_clip = pa.table({"work_key": KEYS[:3], "clip_id": [clip["clip_id"] for clip in clips]})
    assert catalog.outstanding("latents", by_clip, stage="encode").num_rows == 2
    assert catalog.insert("latents", latent_rows(catalog, clips)) == 3, "a writer that did not know"
    assert catalog.read("latents").num_rows == 2
    known = pa.table({"work_key": catalog.read("latents", include_removed=True)["work_key"]})
    assert catalog.outstanding("latents", known, stage="encode").num_rows == 0, "hidden rows are done, too"


def test_a_condition_selects_among_what_stands_as_failed(catalog: Catalog) -> None:
    later = START + timedelta(days=1)
    catalog.record_failures([failure(0), failure(1, error_class="transient", terminal=False, retry_at=later)])
    catalog.record_failures([failure(1, error_class="transient", terminal=False)], clock=clock_at(hours=1))
    catalog.record_failures([failure(2, error_class="transient")], clock=clock_at(hours=1))

    def chosen(where: str, **words: str) -> set[str]:
        return {row["item_key"] for row in catalog.failed_items(where=where, **words)}

    assert chosen("error_class = 'transient'") == {KEYS[1], KEYS[2]}
    assert chosen("error_class = 'transient' -- and no more", stage="text") == {KEYS[1], KEYS[2]}
    assert chosen("tries > 1") == {KEYS[1]}
    assert chosen("is_terminal AND error_class <> 'crash'") == {KEYS[2]}
    assert chosen("item LIKE '%(%'") == set(), "brackets in a text are no brackets"
    assert chosen("true", stage="another") == set()
    assert catalog.request_retry(run_id="p", where="tries > 1", clock=clock_at(hours=2)) == 1
    assert chosen("true") == {KEYS[0], KEYS[2]}, "what was asked for does not stand as failed"


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (" ", "nothing"),
        ("error_clas = 'transient'", "error_clas"),
        ("true) UNION SELECT work_key FROM attempts WHERE (true", "more than a condition"),
        ("true) ORDER BY (1", "more than a condition"),
        ("true) GROUP BY work_key HAVING (true", "more than a condition"),
        ("true); DELETE FROM attempts; SELECT (true", ""),
        ("item_key IN (SELECT clip_id FROM stored.clips)", "taken down"),
        ("item IN (SELECT content FROM read_text('/etc/passwd'))", ""),
    ],
)
def test_what_is_no_condition_is_refused(catalog: Catalog, where: str, found: str) -> None:
    catalog.record_failures([failure(0)])
    with pytest.raises(CatalogError, match=found or "SQL"):
        catalog.failed_items(where=where)
    assert catalog.read("attempts").num_rows == 1
