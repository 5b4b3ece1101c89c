"""Laws of the catalog: the digest sees content only, inserts are idempotent, work lists are set differences."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from catalog_rows import STAGE_FP, clock_at, open_catalog, text_row
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uniform_core.catalog import Failure
from uniform_core.errors import Rejection
from uniform_core.fingerprint import set_digest

NUMBERS = st.integers(0, 30)
BATCHES = st.lists(st.tuples(st.lists(NUMBERS, max_size=12), st.booleans()), min_size=1, max_size=5)
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ROWS = {n: text_row(n) for n in range(31)}


def expected_digest(numbers: set[int]) -> str:
    return set_digest(f"caption_texts\n{ROWS[n]['work_key']}\n{ROWS[n]['text_hash']}" for n in numbers)


@FEW
@given(BATCHES)
def test_digest_and_counts_follow_from_the_set_alone(batches: list[tuple[list[int], bool]]) -> None:
    """Whatever the order, the batches, doubles, compactions, failures and times."""
    with tempfile.TemporaryDirectory() as folder:
        catalog, there = open_catalog(Path(folder) / "home"), set()
        for position, (numbers, compacts) in enumerate(batches):
            rows = [{**ROWS[n], "run_id": f"run {position}"} for n in numbers]
            assert catalog.insert("caption_texts", rows) == len(set(numbers) - there)
            there |= set(numbers)
            if compacts:
                catalog.compact("caption_texts")
                catalog.vacuum(timedelta(0), grace=timedelta(0))
                failure = Failure("text", ROWS[0]["work_key"], "x", Rejection("crash", "m"), STAGE_FP, "run")
                catalog.record_failures([failure])
        assert catalog.content_digest(["caption_texts"]) == expected_digest(there)
        assert catalog.insert("caption_texts", [ROWS[n] for n in sorted(there)]) == 0
        assert catalog.content_digest(["caption_texts"]) == expected_digest(there)


@FEW
@given(
    st.lists(NUMBERS),
    st.lists(NUMBERS),
    st.lists(st.tuples(NUMBERS, st.sampled_from(["terminal", "later", "now", "asked"])), unique_by=lambda f: f[0]),
)
def test_outstanding_is_a_set_difference(candidates: list[int], done: list[int], failed: list[tuple[int, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = open_catalog(Path(folder) / "home")
        catalog.insert("caption_texts", [ROWS[n] for n in done])
        later = clock_at(days=2)()
        failures = [
            Failure(
                "text",
                ROWS[n]["work_key"],
                "x",
                Rejection("crash", "m", terminal=kind in ("terminal", "asked")),
                STAGE_FP,
                "run",
                retry_at=later if kind == "later" else None,
            )
            for n, kind in failed
        ]
        catalog.record_failures(failures, clock=clock_at())
        asked = [ROWS[n]["work_key"] for n, kind in failed if kind == "asked"]
        assert catalog.request_retry(run_id="p", item_keys=asked, clock=clock_at(hours=1)) == len(asked)
        closed = {n for n, kind in failed if kind in ("terminal", "later")}
        table = pa.table(
            {
                "work_key": pa.array([ROWS[n]["work_key"] for n in candidates], pa.string()),
                "n": pa.array(candidates, pa.int64()),
            }
        )
        left = catalog.outstanding("caption_texts", table, stage="text", clock=clock_at(days=1))["n"].to_pylist()
        assert left == [n for n in dict.fromkeys(candidates) if n not in closed | set(done)]
