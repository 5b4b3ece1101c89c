"""Laws of the media floor's arithmetic."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.media.geometry import canonical_size, place
from uniform_core.media.sound import SoundTrack
from uniform_core.media.timeline import Ticks

sides = st.integers(2, 4000)


@given(width=sides, height=sides, short=st.integers(1, 400).map(lambda half: 2 * half))
def test_canonical_sizes_are_even_and_keep_the_aspect(width: int, height: int, short: int) -> None:
    out_w, out_h = canonical_size(width, height, short)
    assert out_w % 2 == out_h % 2 == 0
    assert min(out_w, out_h) == short
    ratio = short / min(width, height)
    assert abs(out_w - width * ratio) <= 1 + 1e-6
    assert abs(out_h - height * ratio) <= 1 + 1e-6


@given(shown=st.tuples(sides, sides), target=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_crop_covers_and_letterbox_fits(shown: tuple[int, int], target: tuple[int, int]) -> None:
    crop, letterbox = place(shown, target, "crop"), place(shown, target, "letterbox")
    for axis in (0, 1):
        assert crop.scaled_HW[axis] >= target[axis] >= letterbox.scaled_HW[axis] >= 1
        assert 0 <= crop.cut_YX[axis] <= crop.scaled_HW[axis] - target[axis]
        assert 0 <= letterbox.at_YX[axis] <= target[axis] - letterbox.scaled_HW[axis]
    assert place(target, target, "crop") == place(target, target, "squash") == place(target, target, "letterbox")


@given(
    gaps=st.lists(st.integers(1, 400), min_size=1, max_size=80),
    rate=st.sampled_from([8, 10, 16, 17, 25, 30]),
    start_ms=st.integers(0, 2000),
)
def test_a_tick_shows_the_last_picture_that_has_begun(gaps: list[int], rate: int, start_ms: int) -> None:
    begins_ms = np.concatenate([[0], np.cumsum(gaps)])
    ticks = Ticks(start_ms / 1000, rate, count=None, slack_s=1e-6)
    shown = [index for index in range(len(gaps)) for _ in range(ticks.before(float(begins_ms[index + 1]) / 1000))]
    for tick, index in enumerate(shown):
        ours_ms = start_ms + tick * 1000 / rate
        expected = int(np.searchsorted(begins_ms, ours_ms + 1e-3, side="right")) - 1
        assert index == expected


@settings(max_examples=50)
@given(
    pieces=st.lists(st.tuples(st.integers(-50, 300), st.integers(1, 200)), min_size=1, max_size=20),
    window=st.tuples(st.integers(0, 2000), st.integers(1, 2000)),
)
def test_sound_is_where_it_was_put_and_nothing_is_counted_twice(
    pieces: list[tuple[int, int]], window: tuple[int, int]
) -> None:
    track, truth = SoundTrack(1000), np.zeros(8000, np.float32)
    begin, end = 0, 0
    for gap, length in pieces:
        begin = max(begin, end + gap)  # time runs forward, and pieces may overlap
        track.push(begin / 1000, np.ones(length, np.float32), anew=True)
        truth[begin : begin + length] = 1
        end = max(end, begin + length)
    start, length = window
    cut = track.cut(start / 1000, length / 1000, rate_hz=1000)
    heard = truth[start : start + length]
    assert (cut.waveform_N == heard).all()
    missing = cut.late_s + cut.lost_s + cut.short_s
    assert abs(missing * 1000 - (length - heard.sum())) < 1e-6
