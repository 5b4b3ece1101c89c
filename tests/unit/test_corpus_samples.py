"""What training reads: a caption without features is said, never trained as without text."""

from __future__ import annotations

import pyarrow as pa
import pytest

from uniform_core.build import build_run
from uniform_core.corpus.samples import require_samples, require_text_features
from uniform_core.errors import WorkFailedError

STORED = build_run("nano")


def samples(*rows: tuple[str, str | None, str | None]) -> pa.Table:
    names = ("clip_id", "text_hash", "text_tensor_sha256")
    return pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in rows], schema=pa.schema([(name, pa.string()) for name in names])
    )


def test_a_caption_that_is_not_encoded_stops_training_with_what_to_do() -> None:
    table = samples(("a", "t1", "s1"), ("b", None, None), ("c", "t2", None), ("d", "t3", None))
    with pytest.raises(WorkFailedError, match=r"clip c: expected features of every .* found 2 of 4 .*`uniform text`"):
        require_text_features(table, STORED)


def test_clips_without_a_caption_and_no_clips_are_fine() -> None:
    require_text_features(samples(("a", "t1", "s1"), ("b", None, None)), STORED)
    require_text_features(samples(), STORED)


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        (["held_out"], r"split 'train': .* found none among 1 clips of 'held_out'\. .*data\.held_out_fraction=0"),
        (["instrument"] * 2, r"none among 2 clips of 'instrument'\. Ingest and encode first"),
        ([], "none among no clips. Ingest and encode first"),
        (["train", "held_out"], "1 clips of 'held_out', 1 clips of 'train'. Run `uniform encode` first"),
    ],
)
def test_nothing_to_train_on_says_where_the_clips_are(splits: list[str], said: str) -> None:
    clips = pa.table({"split": pa.array(splits, pa.string()), "dataset": pa.array(["d"] * len(splits), pa.string())})
    with pytest.raises(WorkFailedError, match=said):
        require_samples(samples(), clips, split="train")
    require_samples(samples(("a", "t1", "s1")), clips, split="train")
