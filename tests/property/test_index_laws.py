"""Laws of index lists that hold for any video: an id comes out of every form as it went in."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from index_files import (
    audioset_csv,
    class_labels_csv,
    landscape_csv,
    mmaudio_tsv,
    released_csv,
    specvqgan_txt,
    strong_labels_tsv,
    strong_tsv,
    vggsound_csv,
    write_texts,
)

from uniform_core.datasets import AudioSetConfig, IndexDataset, LandscapeConfig, VGGSoundConfig
from uniform_core.datasets.index import BAD_LINE
from uniform_core.datasets.index_lines import BadLine, BadValueError, Form, read_rows
from uniform_core.datasets.index_names import ms_name, padded_name, split_ms, split_ms_span, split_padded, youtube_id
from uniform_core.fetching.wanted import WantedClip
from uniform_core.spec import AVSpec
from uniform_core.types import Window

SPEC = AVSpec(duration_s=4.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
LETTERS = string.ascii_letters + string.digits + "-_"
ids = st.text(LETTERS, min_size=11, max_size=11)
starts = st.integers(0, 99_999)
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MID = "/m/09x0r"


def one_of(config: IndexDataset) -> tuple[str, str | None, Window | None]:
    (item,) = config.items(SPEC)
    assert BAD_LINE not in item.attributes, item.attributes
    return item.source_id, item.video_id, item.span


@QUICK
@given(video=ids, start=starts)
@example(video="-----------", start=0)
@example(video="___________", start=12)
@example(video="_1_2_3_4_5_", start=99_999)
@example(video="-0000000030", start=30)
def test_any_id_goes_through_every_form_as_it_is(video: str, start: int, tmp_path: Path):
    label = "bee, wasp, etc. buzzing"
    write_texts(
        tmp_path,
        {
            "vggsound.csv": vggsound_csv([(video, start, label, "test")]),
            "test.csv": released_csv([(video, start, label)]),
            "vggsound_test.txt": specvqgan_txt([(video, start)]),
            "vgg-test.tsv": mmaudio_tsv([(video, start, label)]),
            "class_labels_indices.csv": class_labels_csv([(MID, "Speech")]),
            "mid_to_display_name.tsv": strong_labels_tsv([(MID, "Speech")]),
            "eval_segments.csv": audioset_csv([(video, start, start + 10, [MID])]),
            "audioset_train_strong.tsv": strong_tsv([(f"{video}_{start * 1000}", "0.5", "1.5", MID)]),
            "landscape.csv": landscape_csv([(video, start, "raining", "train")]),
        },
    )
    span = Window(start, start + 10)
    for listing in ("whole", "released", "specvqgan", "mmaudio"):
        config = VGGSoundConfig(index=tmp_path, split="test", listing=listing)
        assert one_of(config) == (f"{video}_{start:06d}", video, span)
    assert one_of(LandscapeConfig(index=tmp_path)) == (f"{video}_{start:06d}", video, span)
    for config in (AudioSetConfig(split="eval"), AudioSetConfig(split="train", subsets=("strong",))):
        assert one_of(config.model_copy(update={"index": tmp_path})) == (f"{video}_{start * 1000}", video, span)


@QUICK
@given(video=ids, start_ms=st.integers(0, 999_999_999), length_ms=st.integers(1, 99_999))
def test_names_are_split_on_their_last_underscores(video: str, start_ms: int, length_ms: int):
    name = ms_name(video, start_ms / 1000)
    assert split_ms(name) == (video, start_ms / 1000)
    assert WantedClip(name).source_id == name
    end_ms = min(start_ms + length_ms, 999_999_999)
    if end_ms > start_ms:
        assert split_ms_span(f"{name}_{end_ms}") == (video, Window(start_ms / 1000, end_ms / 1000))
    assert split_padded(padded_name(video, start_ms // 1000)) == (video, start_ms // 1000)


@QUICK
@given(st.text(max_size=20))
def test_what_is_no_id_is_refused(text: str):
    if len(text) == 11 and set(text) <= set(LETTERS):
        assert youtube_id(text) == text
    else:
        with pytest.raises(BadValueError) as error:
            youtube_id(text)
        assert str(error.value).isprintable()


@QUICK
@given(data=st.binary(max_size=400), is_quoted=st.booleans())
@example(data=b'"\n"\n"a","b"\n', is_quoted=True)
@example(data=b"\xef\xbb\xbf\xef\xbb\xbfa,b\r\r\n", is_quoted=True)
def test_any_bytes_are_rows_or_reasons_and_each_line_stands_alone(data: bytes, is_quoted: bool, tmp_path: Path):
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    form = Form(columns=2, is_quoted=is_quoted)
    before = list(read_rows(path, form, name="list.csv"))
    path.write_bytes(data + b"\nplain,line\n")
    *same, last = read_rows(path, form, name="list.csv")
    assert same == before
    assert not isinstance(last, BadLine)
    assert last.fields == ("plain", "line")
    said = [row.reason if isinstance(row, BadLine) else "".join(row.fields) for row in before]
    assert all(letter.isprintable() or letter.isspace() for letter in "".join(said))
    assert not set("".join(said)) & {chr(code) for code in (*range(32), 127)}
