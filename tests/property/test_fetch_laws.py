"""Laws of the fetcher: no host is asked faster than it may be, and no archive yields what was not put into it."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from datetime import timedelta

from fetch_doubles import START
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.fetching.breaker import Breaker
from uniform_core.fetching.bucket import Bucket, Rate
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.policies import POLICIES, next_try
from uniform_core.fetching.tars.blocks import TarReader
from uniform_core.fetching.tars.gzips import Gap, GzipStream, PlainStream

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1, max_size=150
).filter(lambda name: name not in (".", ".."))


@given(
    per_s=st.floats(0.01, 100.0),
    burst=st.integers(1, 20),
    gaps_s=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=60),
)
def test_no_window_of_time_has_more_turns_than_the_rate_gives(per_s: float, burst: int, gaps_s: list[float]) -> None:
    bucket, now, turns = Bucket(Rate(per_s=per_s, burst=burst)), START, []
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        turns.append(now + timedelta(seconds=bucket.reserve(now)))
    assert turns == sorted(turns)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            window_s = (turns[last] - turns[first]).total_seconds()
            assert last - first + 1 <= burst + window_s * per_s + 1e-3 * per_s + 1e-6


@given(st.lists(st.tuples(st.sampled_from(["wall", "ok", "lost", "enter"]), st.floats(0.0, 9000.0)), max_size=60))
def test_nobody_enters_a_closed_host_and_one_at_a_time_what_was_closed(steps: list[tuple[str, float]]) -> None:
    breaker, now, probing = Breaker(probe_s=10_000_000.0), START, False
    for step, seconds in steps:
        now += timedelta(seconds=seconds)
        before = breaker.state
        if step == "wall":
            breaker.close(now, pause_s=3600.0, most_s=86400.0, asked_s=0.0, reason="")
            probing = False
            assert breaker.state is not None
            assert breaker.state.until - now <= timedelta(days=1)
        elif step == "ok":
            probing = probing and not breaker.answered(now)
        elif step == "lost":
            breaker.unanswered()
            probing = False
        elif breaker.enter(now) is None and before is not None and before.opened_at is None:
            assert now >= before.until
            assert not probing
            probing = True


@given(st.sampled_from(FailureClass), st.integers(0, 2**32), st.floats(0.0, 1e12))
def test_every_failure_ends_and_none_is_tried_before_now(failure: FailureClass, seed: int, asked_s: float) -> None:
    rng = random.Random(seed)
    found = [next_try(failure, n, now=START, rng=rng, retry_after_s=asked_s) for n in range(20)]
    assert all(at is None or START <= at <= START + timedelta(days=7 * 1.5) for at in found)
    if POLICIES[failure].counts:
        assert found[-1] is None


def packed(members: list[tuple[str, bytes]], style: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read(reader: TarReader) -> list[tuple[str, bytes | None]]:
    """The members with their content; None for what is lost within one."""
    found: list[tuple[str, bytes | None]] = []
    for member in reader:
        content = b""
        try:
            while piece := reader.read(1000):
                content += piece
        except Gap:
            found.append((member.name, None))
        else:
            found.append((member.name, content))
    return found


@settings(deadline=None)
@given(
    st.lists(st.tuples(NAMES, st.binary(max_size=3000)), max_size=8),
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.booleans(),
)
def test_what_was_packed_is_read(members: list[tuple[str, bytes]], style: int, is_packed: bool) -> None:
    if style == tarfile.USTAR_FORMAT:
        members = [(name.encode("ascii", "replace").decode()[:90].replace("?", "_"), data) for name, data in members]
    data = packed(members, style)
    if is_packed:
        file = io.BytesIO(gzip.compress(data))
        reader = TarReader(GzipStream(file, most_bytes=1 << 30))
    else:
        reader = TarReader(PlainStream(io.BytesIO(data)))
    assert read(reader) == [(name.rstrip("/"), content) for name, content in members]
    assert reader.gaps == 0


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 2**32), st.integers(1, 5), st.booleans())
def test_of_a_damaged_archive_nothing_is_read_that_was_not_in_it(seed: int, parts: int, is_cut: bool) -> None:
    """Each part of the gzip has whole members: those before the damage are all there, and none of the others is wrong.

    What lies behind may be lost with it: noise that gzip stored as it is has no form in which damage would show.
    """
    rng = random.Random(seed)
    members = [[(f"m{part}-{n}.mp4", rng.randbytes(rng.randrange(1, 4000))) for n in range(3)] for part in range(parts)]
    whole = [packed(group, tarfile.USTAR_FORMAT).rstrip(b"\0") for group in members]
    compressed = [gzip.compress(data + b"\0" * (-len(data) % 512), mtime=0) for data in whole]
    hit = rng.randrange(parts)
    damaged = bytearray(compressed[hit])
    at = rng.randrange(20, len(damaged) - 8)
    damaged[at : at + 8] = bytes(byte ^ 0xFF for byte in damaged[at : at + 8])
    compressed[hit] = bytes(damaged[:at] if is_cut else damaged)
    reader = TarReader(GzipStream(io.BytesIO(b"".join(compressed)), most_bytes=1 << 30))
    found = read(reader)
    known = {name: content for group in members for name, content in group}
    got = {name: content for name, content in found if content is not None}
    assert {name for group in members[:hit] for name, _ in group} <= set(got)
    hit_names = {name for name, _ in members[hit]}
    assert all(content == known[name] for name, content in got.items() if name not in hit_names)
