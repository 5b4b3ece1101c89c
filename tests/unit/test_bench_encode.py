"""The bench of the encode engine: when it says that memory grew."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench" / "bench_encode.py"


@pytest.mark.parametrize(
    ("tenths_mib", "grew"),
    [
        ([300, 480, 500, 500, 510, 520, 530, 540, 549, 550], False),
        ([300, 480, 500, 500, 510, 520, 530, 540, 549, 551], True),
        ([300, 480, 500, 900, 510, 520, 530, 540, 549, 500], False),
        ([300, 480, 500, 490, 480, 470, 460, 450, 440, 430], False),
    ],
)
def test_memory_has_grown_where_the_last_tenth_holds_more_than_a_tenth_above_the_third(
    tenths_mib: list[int], grew: bool
) -> None:
    spec = importlib.util.spec_from_file_location("bench_encode", BENCH)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    assert bench.has_grown(tenths_mib) is grew
    with pytest.raises(AssertionError, match="ten tenths"):
        bench.has_grown(tenths_mib[:2])
