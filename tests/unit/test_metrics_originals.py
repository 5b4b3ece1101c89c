"""One decode of an original file for all who look at it, each by its own rule, and a reason where there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import media_files
import numpy as np
import pytest

from uniform_core.errors import ConfigError, Rejection
from uniform_core.media import DecodeRule, Sandbox, StreamedMedia
from uniform_core.metrics.base import Need, Side
from uniform_core.metrics.layers import ORIGINAL_LAYERS, modality_of
from uniform_core.metrics.loading import AudioLoading, Loading, VideoLoading
from uniform_core.metrics.motion import motion_trajectory
from uniform_core.metrics.onsets import onset_times, resample_for_onsets
from uniform_core.metrics.originals import extractors as looking
from uniform_core.metrics.originals.extractors import (
    Cnn14At16k,
    I3d400,
    Layers,
    PictureExtractor,
    ScriptedC3d,
    SoundExtractor,
    StreamedFarneback,
    StreamedOnsets,
    Vggish16k,
)
from uniform_core.metrics.originals.frames import FrameFeed, resized
from uniform_core.metrics.originals.reader import Look, look_at
from uniform_core.metrics.originals.sound import LoadedSound, loaded_sound
from uniform_core.metrics.originals.wanted import PublishedNets, extractor_named, looks_of
from uniform_core.metrics.protocols import PROTOCOLS
from uniform_core.metrics.published.configs import Cnn14Config, I3dConfig, VggishConfig
from uniform_core.metrics.published.scripted import c3d_ucf101
from uniform_core.types import Modality

CONTENT = "ab" * 32
NATIVE = Loading(video=VideoLoading(), audio=AudioLoading(), reader="streamed")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


# --- frames -------------------------------------------------------------------------------------------------


def fed(
    loading: Loading, *, frames: int, rate_hz: float | None = 25.0, content: str = CONTENT
) -> tuple[list[int], Any]:
    """The numbers of the frames that are seen, of a file whose frame i is all of value i."""
    seen: list[int] = []
    feed = FrameFeed(loading, rate_hz=rate_hz, content=content, see=lambda frame: seen.append(int(frame[0, 0, 0])))
    for index in range(frames):
        feed.take(np.full((4, 6, 3), index, np.uint8), index / (rate_hz or 25.0))
    return seen, feed.finish()


def streamed(**video: Any) -> Loading:
    part = {key: video.pop(key) for key in ("start_s", "window_s") if key in video}
    return Loading(video=VideoLoading(**video), reader="streamed", **part)


def test_every_frame_of_the_part_is_seen_at_the_files_own_rate() -> None:
    assert fed(streamed(), frames=5) == ([0, 1, 2, 3, 4], None)
    assert fed(streamed(start_s=0.08, window_s=0.12), frames=10) == ([2, 3, 4], None)
    assert fed(streamed(), frames=3, rate_hz=None) == ([0, 1, 2], None)


@pytest.mark.parametrize(
    ("source_hz", "frames", "expected"),
    [
        (25.0, 12, [0, 2, 5, 7]),  # floor(12 · 10 / 25) = 4 whole ones: frame 10 would be a fifth
        (30.0, 8, [0, 3, 6]),  # a whole step: every third, also the last, whose span is not whole
        (30_000 / 1001, 30, [0, 2, 5, 8, 11, 14, 17, 20, 23, 26]),
        (8.0, 4, [0, 0, 1, 2, 3]),
        (10.0, 3, [0, 1, 2]),
    ],
)
def test_another_rate_by_floored_indices(source_hz: float, frames: int, expected: list[int]) -> None:
    loading = streamed(rate_hz=10, rate_rule="floor_index")
    assert fed(loading, frames=frames, rate_hz=source_hz) == (expected, None)


@pytest.mark.parametrize("source_hz", [8.0, 12.5, 24.0, 25.0, 29.97, 30.0, 60.0])
@pytest.mark.parametrize("frames", [1, 7, 50, 61])
def test_the_rate_is_changed_as_torchvision_counts(source_hz: float, frames: int) -> None:
    """Its rule, written down from its documentation, over all frames at once."""
    step = source_hz / 10
    count = int(np.floor(frames * 10 / source_hz))
    expected = list(range(0, frames, int(step))) if step.is_integer() else [int(i * step) for i in range(count)]
    seen, _ = fed(streamed(rate_hz=10, rate_rule="floor_index"), frames=frames, rate_hz=source_hz)
    assert seen == expected


def test_a_file_without_a_rate_cannot_be_brought_to_one() -> None:
    seen, problem = fed(streamed(rate_hz=10, rate_rule="floor_index"), frames=9, rate_hz=None)
    assert seen == []
    assert problem.error_class == "no_rate"


def test_the_first_window_ends_the_file_and_a_short_file_has_none() -> None:
    assert fed(streamed(window_frames=3), frames=9) == ([0, 1, 2], None)
    _, problem = fed(streamed(window_frames=16), frames=9)
    assert problem == Rejection("too_short", "16 frames expected, 9 found")
    feed = FrameFeed(streamed(window_frames=1), rate_hz=25.0, content=CONTENT, see=lambda frame: None)
    assert feed.wants_more
    feed.take(np.zeros((4, 4, 3), np.uint8), 0.0)
    assert not feed.wants_more


def test_a_random_window_is_somewhere_by_content_and_seed_and_everywhere_as_likely() -> None:
    loading = streamed(window_frames=3, window="random")
    seen, problem = fed(loading, frames=9)
    assert problem is None
    assert seen == list(range(seen[0], seen[0] + 3))
    assert fed(loading, frames=9)[0] == seen
    starts = [fed(loading, frames=9, content=f"{index:064x}")[0][0] for index in range(700)]
    counts = np.bincount(starts, minlength=7)
    assert len(counts) == 7
    assert counts.min() > 60  # 100 expected, standard deviation 9
    other = streamed(window_frames=3, window="random", window_seed=1)
    assert any(fed(other, frames=9, content=f"{index:064x}")[0][0] != start for index, start in enumerate(starts[:20]))
    assert fed(loading, frames=2)[1] == Rejection("too_short", "3 frames expected, 2 found")


def test_sizes() -> None:
    frame = np.zeros((30, 40, 3), np.uint8)
    frame[:, 20:] = 255
    assert resized(frame, VideoLoading()) is frame
    assert resized(frame, VideoLoading(resize="short_side", short_side_px=15)).shape == (15, 20, 3)
    assert resized(frame.swapaxes(0, 1), VideoLoading(resize="short_side", short_side_px=15)).shape == (20, 15, 3)
    squashed = resized(frame, VideoLoading(resize="squash", height_px=10, width_px=10, interpolation="linear"))
    assert squashed.shape == (10, 10, 3)
    padded = resized(frame, VideoLoading(resize="pad", height_px=16, width_px=16))
    assert padded.shape == (16, 16, 3)
    assert padded[:2].max() == padded[14:].max() == 0  # 16 x 12 of the picture, two rows of zeros on either side
    assert padded[2:14, 12:].min() == 255


def test_movement_is_zero_for_a_still_picture_and_not_for_one_that_moves() -> None:
    feed = FrameFeed(streamed(), rate_hz=25.0, content=CONTENT, see=lambda frame: None)
    for _ in range(3):
        feed.take(np.full((16, 16, 3), 80, np.uint8), 0.0)
    assert feed.movement == 0.0
    moved = np.full((16, 16, 3), 80, np.uint8)
    moved[8:, 8:] = 180
    feed.take(moved, 0.0)
    assert feed.movement == pytest.approx(100.0, abs=1.0)


# --- sound --------------------------------------------------------------------------------------------------


def media(sound_NC: np.ndarray | None, *, rate_hz: int = 16_000, **more: Any) -> StreamedMedia:
    facts = {"frames": 0, "video_rate_hz": None, "video_start_s": None, "audio_start_s": 0.0, "lacks": {}} | more
    return StreamedMedia(sound_NC=sound_NC, audio_rate_hz=rate_hz, decode_errors=0, **facts)


def heard(sound_NC: np.ndarray, loading: Loading | None = None, *, rate_hz: int = 16_000, **rule: Any) -> np.ndarray:
    loading = loading or Loading(audio=AudioLoading(**rule), reader="streamed")
    found = loaded_sound(media(sound_NC.astype(np.float32), rate_hz=rate_hz), loading)
    assert isinstance(found, LoadedSound)
    return found.waveform_N


STEREO = np.stack([np.linspace(0, 1, 1000), np.full(1000, 0.5)], axis=1)


def test_channels_and_the_mean_of_them() -> None:
    assert heard(STEREO, channels="first") == pytest.approx(STEREO[:, 0], abs=1e-7)
    assert heard(STEREO) == pytest.approx(STEREO.mean(axis=1), abs=1e-7)


def test_the_mean_that_is_removed_is_of_the_file_or_of_the_part() -> None:
    for over in ("file", "part"):
        loading = Loading(
            audio=AudioLoading(channels="first", remove_dc=True, dc_over=over), window_s=250 / 16_000, reader="streamed"
        )
        found = heard(STEREO, loading)
        removed = STEREO[:, 0].mean() if over == "file" else STEREO[:250, 0].mean()
        assert found == pytest.approx(STEREO[:250, 0] - removed, abs=1e-6), over


def test_padding_and_parts() -> None:
    padded = heard(STEREO, least_samples=1500)
    assert padded[:1000] == pytest.approx(STEREO.mean(axis=1), abs=1e-7)
    assert len(padded) == 1500
    assert not padded[1000:].any()
    assert len(heard(STEREO, least_samples=500)) == 1000
    part = Loading(audio=AudioLoading(), start_s=0.01, window_s=0.02, reader="streamed")
    assert heard(STEREO, part) == pytest.approx(STEREO.mean(axis=1)[160:480], abs=1e-7)


def test_padding_comes_after_the_mean_is_removed() -> None:
    """As audioldm_eval does it: the zeros are silence, not minus the mean."""
    found = heard(np.full((100, 1), 0.3), remove_dc=True, least_samples=200)
    assert found == pytest.approx(np.zeros(200), abs=1e-6)


@pytest.mark.parametrize("resampler", ["torchaudio", "soxr_hq", "libswresample"])
def test_resamplers_keep_a_tone_and_differ_from_each_other(resampler: str) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100)[:, None]
    loading = Loading(audio=AudioLoading(rate_hz=16_000, resampler=resampler), reader="streamed")
    found = heard(tone, loading, rate_hz=44_100)
    assert len(found) == 16_000
    expected = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert found[200:-200] == pytest.approx(expected[200:-200], abs=2e-3)
    others = {"torchaudio", "soxr_hq", "libswresample"} - {resampler}
    for other in others:
        by_other = heard(tone, Loading(audio=AudioLoading(rate_hz=16_000, resampler=other)), rate_hz=44_100)
        assert not np.array_equal(by_other, found)


def test_each_resampler_is_the_one_of_its_name() -> None:
    import torch
    import torchaudio

    noise = np.random.default_rng(0).normal(size=(4410, 1)).astype(np.float32) * 0.1
    by_torch = torchaudio.functional.resample(torch.from_numpy(noise[:, 0]), 44_100, 16_000).numpy()
    told = Loading(audio=AudioLoading(rate_hz=16_000, resampler="torchaudio"))
    assert np.array_equal(heard(noise, told, rate_hz=44_100), by_torch)
    by_soxr, _ = resample_for_onsets(noise[:, 0], rate_hz=44_100, onset_rate_hz=22_050)
    told = Loading(audio=AudioLoading(rate_hz=22_050, resampler="soxr_hq"))
    assert np.array_equal(heard(noise, told, rate_hz=44_100), by_soxr)


def test_loudness() -> None:
    loud = np.array([[0.1], [-0.2], [0.05]])
    assert heard(loud, loudness="peak_half") == pytest.approx([0.25, -0.5, 0.125])
    quiet = loud * 0.004  # its peak is below -60 dBFS
    assert heard(quiet, loudness="peak_half") == pytest.approx(quiet[:, 0])
    assert not heard(np.zeros((9, 1)), loudness="peak_half").any()


@pytest.mark.parametrize(("audio_s", "video_s"), [(0.5, 0.0), (0.0, 0.25), (0.1, 0.1)])
def test_sound_from_the_first_picture_on(audio_s: float, video_s: float) -> None:
    rule = Loading(audio=AudioLoading(starts="picture"), reader="streamed")
    ramp = np.arange(16_000, dtype=np.float32)[:, None] / 16_000
    found = loaded_sound(media(ramp, video_start_s=video_s, audio_start_s=audio_s), rule)
    assert isinstance(found, LoadedSound)
    late = round((audio_s - video_s) * 16_000)
    expected = np.concatenate([np.zeros(late), ramp[:, 0]]) if late > 0 else ramp[-late:, 0]
    assert np.array_equal(found.waveform_N, expected.astype(np.float32))


@pytest.mark.parametrize(
    ("sound", "loading", "error_class"),
    [
        (None, NATIVE, "no_audio"),
        (np.zeros((0, 2), np.float32), NATIVE, "empty_sound"),
        (np.zeros((16_000, 1), np.float32), NATIVE.model_copy(update={"start_s": 2.0}), "too_short"),
    ],
)
def test_no_sound_is_a_reason(sound: Any, loading: Loading, error_class: str) -> None:
    found = loaded_sound(media(sound), loading)
    assert isinstance(found, Rejection)
    assert found.error_class == error_class


# --- files --------------------------------------------------------------------------------------------------


class Numbers(PictureExtractor):
    """Keeps the numbers that are burnt into frames."""

    name = "numbers"
    fingerprint = "none"

    def watch(self) -> Any:
        seen: list[int] = []

        def layers(*, rate_hz: float | None) -> Layers:
            return {"numbers": np.array(seen)}

        return SimpleNamespace(see=lambda frame: seen.append(media_files.read_number(frame)), layers=layers)


class Sounds(SoundExtractor):
    """Keeps the sound."""

    name = "sounds"
    fingerprint = "none"

    def hear(self, waveform_N: np.ndarray, *, rate_hz: int) -> Layers:
        return {"sound": waveform_N, "heard_at": np.array(rate_hz)}


def test_one_decode_gives_each_protocol_its_own(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=3.0, fps=Fraction(25))
    asked: list[Any] = []
    real = sandbox.stream
    monkeypatch.setattr(sandbox, "stream", lambda *given: asked.append(given[1]) or real(*given))
    rules = {
        "native": NATIVE,
        "ten": streamed(rate_hz=10, rate_rule="floor_index", window_frames=16),
        "late": streamed(start_s=1.0, window_s=0.2),
    }
    sounds = {
        "native": NATIVE,
        "16k": Loading(audio=AudioLoading(rate_hz=16_000, resampler="torchaudio"), window_s=1.0, reader="streamed"),
    }
    looks = [Look(Numbers(), rule) for rule in rules.values()] + [Look(Sounds(), rule) for rule in sounds.values()]
    looks += [Look(StreamedFarneback(), NATIVE), Look(StreamedOnsets(("onsets_22050",)), NATIVE)]
    found = look_at(sandbox, path, looks, content_sha256=CONTENT)
    assert len(asked) == 1
    assert asked[0].streams == "both"
    native, ten, late, whole, at_16k, flow, onsets = found
    assert not any(isinstance(layers, Rejection) for layers in found)
    assert native["numbers"].tolist() == list(range(75))
    assert ten["numbers"].tolist() == [int(index * 2.5) for index in range(16)]
    assert (float(native["rate_hz"]), float(ten["rate_hz"])) == (25.0, 10.0)
    assert late["numbers"].tolist() == list(range(25, 30))
    assert len(whole["sound"]) == pytest.approx(3 * 48_000, abs=2048)
    assert at_16k["sound"].shape == (16_000,)
    assert float(at_16k["peak"]) > 0.1
    assert float(flow["movement"]) > 50
    # The same as without streaming, from a decode of all frames.
    decoded = sandbox.decode(path, DecodeRule(audio_rate_hz=None, mono="mean"))
    assert not isinstance(decoded, Rejection)
    assert np.array_equal(flow["flow"], motion_trajectory(iter(decoded.frames_THWC)))
    assert np.array_equal(onsets["onsets_22050"], onset_times(whole["sound"], rate_hz=48_000))


def test_only_what_is_looked_at_is_decoded(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media_files.write(tmp_path / "a.mp4", duration_s=1.0)
    asked: list[str] = []
    real = sandbox.stream
    monkeypatch.setattr(sandbox, "stream", lambda *given: asked.append(given[1].streams) or real(*given))
    by_picture = Loading(audio=AudioLoading(starts="picture"), reader="streamed")
    for looks in ([Look(Sounds(), NATIVE)], [Look(Numbers(), NATIVE)], [Look(Sounds(), by_picture)]):
        assert not isinstance(look_at(sandbox, path, looks, content_sha256=CONTENT)[0], Rejection)
    assert asked == ["audio", "video", "both"]


def test_a_file_that_lacks_a_stream_or_is_short_gives_reasons_to_those_who_need_it(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    windowed = streamed(window_frames=16)
    mute = media_files.write(tmp_path / "mute.mp4", audio_codec=None, duration_s=0.4)
    looks = [Look(Numbers(), NATIVE), Look(Numbers(), windowed), Look(Sounds(), NATIVE)]
    seen, short, silent = look_at(sandbox, mute, looks, content_sha256=CONTENT)
    assert seen["numbers"].tolist() == list(range(10))
    assert short == Rejection("too_short", "16 frames expected, 10 found")
    assert isinstance(silent, Rejection)
    assert silent.error_class == "no_audio"
    wav = media_files.write(tmp_path / "a.wav", container="wav", video_codec=None, audio_codec="pcm_s16le")
    blind, _, heard_all = look_at(sandbox, wav, looks, content_sha256=CONTENT)
    assert isinstance(blind, Rejection)
    assert blind.error_class == "no_video"
    assert len(heard_all["sound"]) == 144_000
    (tmp_path / "none.mp4").write_bytes(b"")
    nothing = look_at(sandbox, tmp_path / "none.mp4", looks, content_sha256=CONTENT)
    assert [found.error_class for found in nothing if isinstance(found, Rejection)] == ["empty_file"] * 3


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        (Look(Numbers(), Loading(video=VideoLoading())), "reader fitted"),
        (Look(Numbers(), Loading(audio=AudioLoading(), reader="streamed")), "a rule for video"),
        (Look(Sounds(), streamed()), "a rule for audio"),
        (Look(I3d400(I3dConfig()), streamed()), "window_frames"),
    ],
)
def test_a_rule_that_an_extractor_cannot_look_by_is_told_first(
    look: Look, expected: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=expected):
        look_at(sandbox, tmp_path / "nowhere.mp4", [look], content_sha256=CONTENT)


# --- the published nets, played by doubles ------------------------------------------------------------------


@pytest.fixture
def nets(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    def play(net: Any) -> None:
        monkeypatch.setattr(looking, "built", lambda config: net)

    return play


def test_the_nets_of_sound_hear_what_they_can(nets: Callable[[Any], None]) -> None:
    nets(SimpleNamespace(embed=lambda wave: np.full((len(wave) // 15_360, 128), wave[0])))
    vggish = Vggish16k(VggishConfig())
    assert vggish.hear(np.ones(32_000, np.float32), rate_hz=16_000)["features"].shape == (2, 128)
    short = vggish.hear(np.ones(15_599, np.float32), rate_hz=16_000)
    assert short == Rejection("too_short", "0.975 s of sound expected, 0.975 s found")
    nets(SimpleNamespace(look=lambda wave: SimpleNamespace(features_D=np.zeros(2048), logits_K=np.zeros(527))))
    cnn14 = Cnn14At16k(Cnn14Config())
    assert {name: len(row) for name, row in cnn14.hear(np.ones(4960, np.float32), rate_hz=16_000).items()} == {
        "features": 2048,
        "logits": 527,
    }
    assert isinstance(cnn14.hear(np.ones(4959, np.float32), rate_hz=16_000), Rejection)


def test_the_least_sounds_are_those_of_the_nets() -> None:
    from uniform_core.metrics.published import cnn14, i3d, vggish_front

    assert looking.VGGISH_SAMPLES == vggish_front.MIN_SAMPLES
    assert looking.CNN14_SAMPLES == cnn14.MIN_SAMPLES
    assert looking.I3D_FRAMES == i3d.MIN_FRAMES


def test_i3d_looks_through_the_front_ends_that_are_wanted(nets: Callable[[Any], None]) -> None:
    asked: list[Any] = []
    nets(SimpleNamespace(look=lambda clips: asked.append(clips) or SimpleNamespace(logits_BK=np.zeros((1, 400)))))
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (16, 48, 64, 3), dtype=np.uint8)
    for wanted in (("logits_crop",), ("logits_squash",), ("logits_crop", "logits_squash")):
        watcher = I3d400(I3dConfig(), wanted).watch()
        for frame in frames:
            watcher.see(frame)
        layers = watcher.layers(rate_hz=25.0)
        assert {name: row.shape for name, row in layers.items()} == dict.fromkeys(wanted, (400,))
    assert [tuple(clip.shape) for clip in asked] == [(1, 3, 16, 224, 224)] * 4
    assert not np.array_equal(asked[0], asked[1])
    assert np.array_equal(asked[0], asked[2])
    watcher = I3d400(I3dConfig()).watch()
    for frame in frames[:8]:
        watcher.see(frame)
    assert watcher.layers(rate_hz=25.0) == Rejection("too_short", "9 frames expected, 8 found")


def test_probabilities_become_logarithms_whose_softmax_they_are(nets: Callable[[Any], None]) -> None:
    told = np.full((1, 101), 1e-3, np.float32)
    told[0, 5] = 0.9
    told[0, 7] = 0.0
    nets(SimpleNamespace(outputs=lambda clips: told))
    watcher = ScriptedC3d(c3d_ucf101(allow_code=True)).watch()
    watcher.see(np.zeros((8, 8, 3), np.uint8))
    logs = watcher.layers(rate_hz=25.0)["log_probabilities"]
    assert np.isfinite(logs).all()
    assert np.exp(logs) == pytest.approx(told[0].astype(np.float64), abs=1e-12)


def test_a_net_is_loaded_once_for_all_rules() -> None:
    looking.built.cache_clear()
    loaded: list[str] = []

    class Config(VggishConfig):
        def build(self) -> Any:
            loaded.append(self.weights)
            return SimpleNamespace(embed=lambda wave: np.zeros((1, 128)))

    for _ in range(3):
        Vggish16k(Config(weights="w")).hear(np.zeros(16_000, np.float32), rate_hz=16_000)
    looking.built.cache_clear()
    assert loaded == ["w"]


# --- what protocols want ------------------------------------------------------------------------------------


def test_every_protocol_says_who_looks_and_those_who_read_alike_share() -> None:
    every = [metric for named in PROTOCOLS.values() for metric in named.metrics]
    looks = looks_of(every, PublishedNets())
    by_name: dict[str, list[Look]] = {}
    for look in looks:
        by_name.setdefault(look.extractor.name, []).append(look)
    assert {name: len(found) for name, found in by_name.items()} == {
        "i3d400": 3,  # uniform, mmdiffusion, styleganv
        "i3d400_torchscript": 1,
        "c3d_ucf101": 2,  # uniform, styleganv
        "vggish16k": 3,  # uniform, audioldm_eval, av_benchmark
        "cnn14_16k": 3,
        "farneback": 2,  # uniform; the two public codes read pictures alike
        "librosa": 2,
    }
    for look in looks:
        assert look.loading == look.loading.only(look.extractor.modality)
        assert getattr(look.loading, look.extractor.modality.value) is not None
    wanted = {look.extractor.wanted for look in by_name["i3d400"]}  # type: ignore[attr-defined]
    assert wanted == {("logits_crop",), ("logits_squash",)}
    assert by_name["librosa"][0].extractor.wanted == ("onsets_22050",)  # type: ignore[attr-defined]
    assert all(look.loading.audio is None for look in looks if look.extractor.modality is Modality.VIDEO)


def test_every_layer_that_is_named_has_an_extractor_and_tells_its_stream() -> None:
    for name, layers in ORIGINAL_LAYERS.items():
        extractor = extractor_named(name, (), PublishedNets())
        assert extractor.name == name
        assert {modality_of(Need(Side.GENERATED, name, layer)) for layer in layers} == {extractor.modality}


def test_a_metric_of_what_original_files_do_not_give_is_told() -> None:
    metric = PROTOCOLS["uniform"].metrics[0]
    for change, found in (
        ({"extractor": "tinyvideo"}, "'tinyvideo' is none of"),
        ({"layer": "pool"}, "no layer 'pool'"),
    ):
        odd = metric.model_copy(update={"protocol": metric.protocol.model_copy(update={**change, "checks": ()})})
        with pytest.raises(ConfigError, match=found):
            looks_of([odd], PublishedNets())


def test_a_metric_that_leaves_the_reading_open_is_told() -> None:
    metric = PROTOCOLS["uniform"].metrics[0]
    for loading, found in ((None, "found none"), (Loading(video=VideoLoading()), "reader fitted")):
        open_one = metric.model_copy(update={"protocol": metric.protocol.model_copy(update={"loading": loading})})
        with pytest.raises(ConfigError, match=found):
            looks_of([open_one], PublishedNets())
