"""Laws of the data families that hold for any input."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path

import numpy as np
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from uniform_core.codecs import DctMelConfig, DctVideoConfig
from uniform_core.datasets.captions_beside import read_captions_csv, tidy_caption
from uniform_core.datasets.scenes.events import draw_events
from uniform_core.spec import AVSpec
from uniform_core.text import HashingTextConfig

SPEC = AVSpec(duration_s=1.0, video_rate_hz=16, height_px=16, width_px=16, canonical_short_side_px=16, hop=250)
captions = st.text(max_size=200).map(tidy_caption).filter(lambda text: text and "\x00" not in text)
names = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40).map(
    lambda name: name.replace("/", "-").strip()
)
files = names.filter(lambda name: name not in ("", ".", ".."))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_text_features_depend_on_the_words_only(first: str, second: str):
    encoder = HashingTextConfig(token_limit=8).build()
    alone, beside = encoder.encode([first])[0], encoder.encode([second, first])[1]
    assert torch.equal(alone.features_LD, beside.features_LD)
    assert 1 <= len(alone.features_LD) <= 8
    assert torch.equal(encoder.encode([f"  {first}\n"])[0].features_LD, alone.features_LD)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.dictionaries(files, captions, min_size=1, max_size=6), end=st.sampled_from(["\n", "\r\n"]))
def test_any_table_that_is_written_is_read_back(table: dict[str, str], end: str, tmp_path: Path):
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(["file", "caption"])
    writer.writerows(table.items())
    path = tmp_path / "captions.csv"
    path.write_bytes(text.getvalue().encode("utf-8-sig", "surrogatepass"))
    assert read_captions_csv(path) == {unicodedata.normalize("NFC", name): text for name, text in table.items()}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 128), st.sampled_from([(4, 8), (8, 16), (16, 32)]))
def test_a_cosine_codec_never_adds_energy(seed: int, keep: int, block: tuple[int, int]):
    generator = torch.Generator().manual_seed(seed)
    video = torch.rand(1, *SPEC.pixel_shape_CTHW, generator=generator) * 2 - 1
    codec = DctVideoConfig(keep=keep).build(SPEC)
    assert codec.encode(video).square().sum() <= video.square().sum() * (1 + 1e-5)
    mel = torch.rand(1, *SPEC.mel_shape_TF, generator=generator) * 10 - 10
    audio = DctMelConfig(block_TF=block, keep=min(keep, block[0] * block[1])).build(SPEC)
    again = audio.decode(audio.encode(mel))
    assert (again - mel).square().sum() <= (mel + 5.756).square().sum() * (1 + 1e-4)


@example(seed=758, period_s=1.5, jitter=0.5, duration_s=1.0)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.2, 1.5),
    st.floats(0.0, 0.5),
    st.floats(0.5, 20.0),
)
def test_events_surround_every_take(seed: int, period_s: float, jitter: float, duration_s: float):
    events = draw_events(np.random.default_rng(seed), period_s=period_s, jitter=jitter, duration_s=duration_s)
    assert np.all(np.diff(events.times_E) > 0)
    assert events.times_E[0] < 0.0
    assert events.times_E[-1] > duration_s
    assert len(events.strengths_E) == len(events.times_E)
