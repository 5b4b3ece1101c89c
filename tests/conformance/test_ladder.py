"""Every metric climbs a ladder of degradations or says why not; those that cost little climb a short one here.

The whole ladder is measured by `python -m ladder` and stands in docs/ladder.json (`tests/docs/test_ladder_page.py`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from ladder.claims import CLAIMS, LEFT_OUT, Claim, every_metric, rows, stem_of
from ladder.climbing import Cell, climb, judged
from ladder.degradations import LADDERS
from ladder.looking import Gallery
from ladder.nets import published_nets, tiny_extractors
from ladder.takes import DATA, SPEC, Clip, Group, clips_of, groups
from ladder.trends import holm, trend_of

from uniform_core.metrics.base import MetricConfig
from uniform_core.metrics.fitting import single_thread
from uniform_core.metrics.onsets import onset_times
from uniform_core.metrics.originals.wanted import PublishedNets
from uniform_core.metrics.recipes import NetsConfig, NetTraining

SHORT = NetsConfig(
    video=NetTraining(steps=16, batch=6),
    mel=NetTraining(steps=40, batch=12),
    sync=NetTraining(steps=30, batch=12, rate=3e-3),
)
OF_PICTURE, OF_SOUND = ("picture_blur", "picture_noise"), ("sound_noise", "sound_low_pass")
OF_TIME = ("time_shift", "wrong_partner")
ALPHA = 0.05
# What three groups of six clips and three rungs are enough to see; the whole ladder sees more.
SEEN = {
    "fad.tinymel.uniform_tiny": ("sound_noise",),
    "kad.tinymel.uniform_tiny": ("sound_noise",),
    "kl.tinymel.uniform_tiny": ("sound_noise", "wrong_partner"),
    "kl.tinyvideo.uniform_tiny": OF_PICTURE,
    "synchrony.tinysync.uniform_tiny": ("wrong_partner",),
    "onset_f1_gain.librosa.uniform_tiny": ("wrong_partner",),
    "av_align.farneback.tempotokens2025_tiny": OF_TIME,
}


@pytest.fixture(scope="module")
def cells() -> tuple[Cell, ...]:
    """The short ladder of the tiny metrics: pictures for those that look, the rest for those that listen."""
    some = list(groups(3, of_class=2, labels=DATA.labels[:3]))
    asked = [metric for metric in rows() if metric.name in SEEN]
    looking = [metric for metric in asked if metric.protocol.extractor in ("tinyvideo", "tinymel")]
    with single_thread():
        gallery = Gallery.of([], PublishedNets(), tiny_extractors(SHORT, of_class=4))
        values = last(asked, some, (*OF_SOUND, *OF_TIME), gallery) | last(looking, some, OF_PICTURE, gallery)
    return judged(values)


def last(
    metrics: list[MetricConfig], some: list[Group], ladders: tuple[str, ...], gallery: Gallery
) -> dict[tuple[str, str], np.ndarray]:
    *_, values = climb(metrics, gallery, some, ladders=ladders, every=2)
    return values


def test_every_metric_climbs_or_says_why_not() -> None:
    climbing = {metric.name for metric in rows()}
    for metric in every_metric():
        reasons = [reason for start, reason in LEFT_OUT.items() if metric.name.startswith(start)]
        assert (metric.name in climbing) + len(reasons) == 1, metric.name
    assert {stem_of(name) for name in climbing} == set(CLAIMS)


def test_metrics_see_what_they_should(cells: tuple[Cell, ...]) -> None:
    by_name = {(cell.metric, cell.ladder): cell for cell in cells}
    for metric, ladders in SEEN.items():
        for ladder in ladders:
            cell = by_name[metric, ladder]
            p = {Claim.UP: cell.trend.p_up, Claim.DOWN: cell.trend.p_down}[cell.claim]
            assert p < ALPHA, f"{metric} on {ladder}: p {p:.3g} of {cell.claim}, means {cell.values_GR.mean(axis=0)}"


def test_blind_metrics_stay_where_they_are(cells: tuple[Cell, ...]) -> None:
    blind = [cell for cell in cells if cell.claim in (Claim.SAME, Claim.LEVEL)]
    assert {cell.claim for cell in blind} == {Claim.SAME, Claim.LEVEL}
    for cell in blind:
        assert cell.holds, f"{cell.metric} on {cell.ladder}: p {cell.p:.3g}, {cell.values_GR}"


def test_vggish_hears_noise_and_neither_a_picture_nor_a_partner(tmp_path: Path) -> None:
    """By weights of the rule, through the file and the loading rule of the protocol."""
    some = list(groups(4, of_class=1, labels=DATA.labels[:3]))
    fad = [metric for metric in rows() if metric.name == "fad.vggish16k.uniform"]
    gallery = Gallery.of(fad, published_nets(tmp_path, only=frozenset({"vggish"})), {})
    with single_thread():
        values = last(fad, some, ("picture_blur", "sound_noise", "wrong_partner"), gallery)
    assert [(cell.claim, cell.holds) for cell in judged(values)] == [
        (Claim.SAME, True),
        (Claim.UP, True),
        (Claim.SAME, True),
    ]


@pytest.mark.parametrize(
    ("metric", "ladder", "values"),
    [
        ("fad.vggish16k.uniform", "sound_noise", [[2.0, 2.0, 2.0]] * 4),
        ("fad.vggish16k.uniform", "sound_noise", [[3.0, 2.0, 1.0]] * 4),
        ("av_align.farneback.uniform", "time_shift", [[1.0, 2.0, 3.0]] * 4),
        ("fad.vggish16k.uniform", "time_shift", [[1.0, 2.0, 3.0]] * 4),
        ("fad.vggish16k.uniform", "wrong_partner", [[1.0, 1.0, 1.00001]] * 4),
    ],
    ids=["blind", "wrong way", "wrong way down", "sees a shift", "sees a partner"],
)
def test_what_was_not_expected_does_not_hold(metric: str, ladder: str, values: list[list[float]]) -> None:
    (cell,) = judged({(metric, ladder): np.array(values)})
    assert not cell.holds


def test_p_is_the_share_of_orders_with_as_much_of_a_trend() -> None:
    """Against all orders of three rungs in each of three groups."""
    values_GR = np.array([[1.0, 5.0, 3.0], [2.0, 4.0, 9.0], [0.5, 0.1, 0.7]])

    def trend(ranks_GR: np.ndarray) -> float:
        return float((ranks_GR @ np.arange(1, 4)).sum())

    ranks_GR = values_GR.argsort(axis=1).argsort(axis=1) + 1
    orders = [np.array(order) for order in permutations((1, 2, 3))]
    every = [trend(np.array(chosen)) for chosen in product(orders, repeat=3)]
    found = trend_of(values_GR)
    assert found.p_up == pytest.approx(np.mean(np.array(every) >= trend(ranks_GR)))
    assert found.p_down == pytest.approx(np.mean(np.array(every) <= trend(ranks_GR)))
    assert not found.is_same


def test_p_values_grow_with_their_number() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.fixture(scope="module")
def clips() -> tuple[Clip, ...]:
    return clips_of("held_out", range(2), labels=DATA.labels[:4])


def test_degradations_get_worse_from_rung_to_rung(clips: tuple[Clip, ...]) -> None:
    for name, ladder in LADDERS.items():
        rungs = [ladder.degraded(clips, strength) for strength in ladder.rungs]
        lost = [sum(map(changed, clips, degraded)) for degraded in rungs]
        assert lost[0] > 0, name
        assert name in OF_TIME or lost == sorted(lost), name
        assert [clip.key for clip in rungs[-1]] == [clip.key for clip in clips]


def changed(clip: Clip, degraded: Clip) -> float:
    frames = np.abs(clip.frames_THW3.astype(float) - degraded.frames_THW3).mean() / 255
    return float(frames + np.abs(clip.waveform_N - degraded.waveform_N).mean())


def test_noise_has_the_power_that_it_says(clips: tuple[Clip, ...]) -> None:
    for clip, degraded in zip(clips, LADDERS["sound_noise"].degraded(clips, 10.0), strict=True):
        noise_N = degraded.waveform_N - clip.waveform_N
        assert 10 * np.log10(np.mean(clip.waveform_N**2) / np.mean(noise_N**2)) == pytest.approx(10.0, abs=0.3)


def test_a_low_pass_takes_what_is_above_and_moves_nothing(clips: tuple[Clip, ...]) -> None:
    above = np.fft.rfftfreq(SPEC.samples, 1 / SPEC.audio_rate_hz) > 2 * 1000
    hann_N = np.hanning(SPEC.samples)
    for clip, degraded in zip(clips, LADDERS["sound_low_pass"].degraded(clips, 1000.0), strict=True):
        before, after = (np.abs(np.fft.rfft(hann_N * c.waveform_N))[above].max() for c in (clip, degraded))
        assert after < 1e-2 * before
    click_N = np.zeros(SPEC.samples, np.float32)
    click_N[12_345] = 1.0
    (heard,) = LADDERS["sound_low_pass"].degraded((replace(clips[0], waveform_N=click_N),), 1000.0)
    assert heard.waveform_N.argmax() == 12_345


def test_a_late_sound_is_the_same_take_later(clips: tuple[Clip, ...]) -> None:
    frame = SPEC.audio_rate_hz // SPEC.video_rate_hz
    for clip, degraded in zip(clips, LADDERS["time_shift"].degraded(clips, 1.5), strict=True):
        shift = frame * 3 // 2
        assert np.array_equal(degraded.waveform_N[shift:], clip.waveform_N[:-shift])
        assert np.array_equal(degraded.waveform_N[:shift], clip.earlier_M[-shift:])
        assert degraded.frames_THW3 is clip.frames_THW3


def test_sounds_are_in_step_before_they_are_late(clips: tuple[Clip, ...]) -> None:
    """Onsets fall on the events of the picture: the clips begin in the middle of their takes."""
    near = [
        min(abs(onset - event) for event in clip.events_s)
        for clip in clips
        if clip.label in ("bouncing_ball", "pendulum")
        for onset in onset_times(clip.waveform_N, rate_hz=SPEC.audio_rate_hz)
        if onset > 0.1
    ]
    assert len(near) >= 8
    assert np.median(near) < 0.05


def test_exchanged_sounds_are_those_of_the_group(clips: tuple[Clip, ...]) -> None:
    own = [clip.sound for clip in clips]
    before: set[int] = set()
    for share in LADDERS["wrong_partner"].rungs:
        sounds = [clip.sound for clip in LADDERS["wrong_partner"].degraded(clips, share)]
        moved = {place for place, (mine, given) in enumerate(zip(own, sounds, strict=True)) if mine != given}
        assert sorted(sounds) == sorted(own)
        assert len(moved) == max(2, round(share * len(clips)))
        assert before <= moved
        before = moved


def test_groups_share_no_clip() -> None:
    some = list(groups(4, of_class=1, labels=DATA.labels[:3]))
    keys = [clip.key for group in some for clip in (*group.clips, *group.reference)]
    assert len(set(keys)) == len(keys) == 24
    assert len({clip.picture for group in some for clip in (*group.clips, *group.reference)}) == 24


def test_a_picture_is_looked_at_once_however_its_sound_changes(tmp_path: Path) -> None:
    (group,) = groups(1, of_class=2, labels=DATA.labels[:2])
    metrics = [m for m in rows() if m.name == "av_align.farneback.tempotokens2025"]
    gallery = Gallery.of(metrics, published_nets(tmp_path, only=frozenset()), {})
    last(metrics, [group], ("wrong_partner", "time_shift"), gallery)
    flows = [key for key in gallery.found if key[0] == "farneback"]
    assert len(flows) == len(group.clips)
