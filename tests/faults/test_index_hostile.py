"""Index files made to do harm: each line is refused for itself, with a reason, in bounded time and memory."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest
from index_files import lay_indexes, made_up_ids, vggsound_csv, write_texts

from uniform_core.datasets import AistppConfig, AudioSetConfig, IndexDataset, LandscapeConfig, VGGSoundConfig
from uniform_core.datasets import index as index_module
from uniform_core.datasets.index import BAD_LINE, MOST_BAD_LINES
from uniform_core.datasets.index_lines import MAX_INDEX_BYTES, MAX_LINE_BYTES
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fetching.wanted import WantedClip
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem

SPEC = AVSpec(duration_s=4.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)
GOOD = b"plainPlain1,1,raining,train\n"


def items_of(folder: Path, data: bytes) -> list[SourceItem]:
    (folder / "vggsound.csv").write_bytes(data)
    return list(VGGSoundConfig(index=folder).items(SPEC))


@pytest.mark.parametrize(
    "line",
    [
        b"../../etc/pa,1,raining,train",
        b"/etc/passwd,1,raining,train",
        b"..%2f..%2f..,1,raining,train",
        b"C:\\windows\\,1,raining,train",
        b"$(rm -rf ~),1,raining,train",
        b"`reboot`...,1,raining,train",
        b"--exec=sh;a,1,raining,train",
        b"=cmd()|'/C',1,raining,train",
        b"plainPlain1,=1+1,raining,train",
        b"plainPlain1,-1,raining,train",
        b"plainPlain1,1e5,raining,train",
        b"plainPlain1,nan,raining,train",
        b"plainPlain1,0x10,raining,train",
        b"plainPlain1,99999999,raining,train",
        "plainPlain1,\u0661,raining,train".encode(),  # a digit, in another script
        b"plainPlain1,0.5,raining,train",
        b"plainPlain1,1,=cmd()|' /C calc'!A0,train",
        b"plainPlain1,1,@SUM(A1),train",
        b"plainPlain1,1,+1,train",
        b"plainPlain1,1,-1,train",
        "plainPlain1,1,\uff1d1+1,train".encode(),  # the same signs, wide
        "plainPlain1,1,\uff20SUM(A1),train".encode(),
        "plainPlain1,1,\xa0=1+1,train".encode(),
        "plainPlain1,1,rain\u200bing,train".encode(),  # no width
        "plainPlain1,1,rain\xading,train".encode(),
        "plainPlain1,1,rain\U000e0041ing,train".encode(),
        b"plainPlain1,1,,train",
        b"plainPlain1,1," + b"a" * 201 + b",train",
        b"plainPlain1,1,raining,../train",
        b"plainPlain1,1,rain\x00ing,train",
        b"plain\x00lain1,1,raining,train",
        b"plainPlain1,1,rain\x1b[2Jing,train",
        b"plainPlain1,1,rain\x08ing,train",
        b"plainPlain1,1,rain\rplainPlain1,train",
        "plainPlain1,1,rain\u202egni,train".encode(),
        "plainPlain1,1,rain\u2028ing,train".encode(),
        b"plainPlain1,1,rain\xff\xfeing,train",
        b"\xff\xfep\x00l\x00a\x00i\x00n\x00",
        b'plainPlain1,1,"raining,train',
        b'plainPlain1,1,rai"ning"x,"tra"in',
        b"plainPlain1,1,raining,train,more",
        "plainPlain\u0431,1,raining,train".encode(),  # a letter that looks like one of an id
        b"plainPlain1 x,1,raining,train",
    ],
    ids=range(43),
)
def test_a_hostile_line_is_refused_with_a_reason_that_is_safe_to_show(line: bytes, tmp_path: Path):
    bad, good = items_of(tmp_path, line + b"\n" + GOOD)
    assert (bad.source_id, bad.video_id) == ("vggsound.csv:1", None)
    assert good.source_id == "plainPlain1_000001"
    said = VGGSoundConfig(index=tmp_path).fetch(bad, tmp_path)
    assert isinstance(said, Rejection)
    assert said.error_class == "bad_index_line"
    assert said.message.startswith("vggsound.csv, line 1: ")
    assert " expected, " in said.message
    assert said.message.isprintable()
    assert len(said.message) < 400


def test_no_hostile_name_leaves_its_folder_in_any_list(tmp_path: Path):
    """Whatever a list names, what is left of it is a plain file name."""
    names = ["../../../x", "/abs", "a/b", "..", ".", "", "~", "a\\b", "con:1", "x" * 300, "g" * 4, "-rf"]
    lay_indexes(tmp_path)
    lists = {
        "test.csv": lambda name: f"{name}.mp4,raining",
        "vggsound_test.txt": lambda name: f"{name}_1000_11000",
        "vgg-test.tsv": lambda name: f"{name}_000001\training",
        "landscape.csv": lambda name: f"{name},1,raining,test",
        "eval_segments.csv": lambda name: f'{name}, 1.000, 11.000, "/m/09x0r"',
        "audioset_train_strong.tsv": lambda name: f"{name}_1000\t1\t2\t/m/09x0r",
        "crossmodal_test.txt": lambda name: name,
    }
    for name, line in lists.items():
        kept = (tmp_path / name).read_text().splitlines()[:1] if name in ("vgg-test.tsv",) else []
        kept = {"landscape.csv": ["ytid,start_time,class,set"]}.get(name, kept)
        header = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel"
        kept = [header] if name == "audioset_train_strong.tsv" else kept
        write_texts(tmp_path, {name: "\n".join([*kept, *map(line, names)]) + "\n"})
    configs: list[IndexDataset] = [
        *(VGGSoundConfig(index=tmp_path, split="test", listing=one) for one in ("released", "specvqgan", "mmaudio")),
        LandscapeConfig(index=tmp_path),
        AudioSetConfig(index=tmp_path, split="eval"),
        AudioSetConfig(index=tmp_path, split="train", subsets=("strong",)),
        AistppConfig(index=tmp_path, split="test"),
    ]
    for config in configs:
        items = list(config.items(SPEC))
        assert len(items) >= len(names) - 1, config.kind
        assert all(BAD_LINE in item.attributes for item in items), config.kind
        assert not list(config.videos(items))


def test_a_line_of_10_mb_costs_no_memory_and_the_next_is_read(tmp_path: Path):
    lines = [b"a" * (10 << 20), b'"' + b"b" * (10 << 20), b"c" * MAX_LINE_BYTES, b"d" * (MAX_LINE_BYTES + 1)]
    (tmp_path / "vggsound.csv").write_bytes(b"\n".join(lines) + b"\n" + GOOD)
    tracemalloc.start()
    try:
        items = list(VGGSoundConfig(index=tmp_path).items(SPEC))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [item.source_id for item in items] == [*(f"vggsound.csv:{n}" for n in (1, 2, 3, 4)), "plainPlain1_000001"]
    reasons = [item.attributes[BAD_LINE] for item in items[:4]]
    assert [f"at most {MAX_LINE_BYTES:,} bytes expected" in said for said in reasons] == [True, True, False, True]
    assert peak < 2 << 20


def test_a_million_empty_lines_are_passed_over_and_counted(tmp_path: Path):
    begun = time.process_time()
    (item, bad) = items_of(tmp_path, b"\n" * 500_000 + b"\r\n" * 500_000 + GOOD + b"bad\n")
    assert item.source_id == "plainPlain1_000001"
    assert bad.source_id == "vggsound.csv:1000002"
    assert time.process_time() - begun < 30


def test_of_very_many_bad_lines_the_first_have_reasons_and_the_rest_are_counted(tmp_path: Path):
    tracemalloc.start()
    try:
        items = items_of(tmp_path, b"\x00\n" * 5_000 + GOOD)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(items) == MOST_BAD_LINES + 2
    assert items[-2].source_id == "plainPlain1_000001"
    assert items[-1].source_id == "vggsound.csv:more"
    assert "line 5000: " in items[-1].attributes[BAD_LINE]
    assert f"(and {5_000 - MOST_BAD_LINES - 1:,} lines before it)" in items[-1].attributes[BAD_LINE]
    assert peak < 4 << 20


def test_a_list_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with (tmp_path / "vggsound.csv").open("wb") as file:
        file.truncate(MAX_INDEX_BYTES + 1)
    with pytest.raises(ConfigError, match=r"vggsound\.csv: expected at most 536,870,912 bytes; found 536,870,913"):
        next(VGGSoundConfig(index=tmp_path).items(SPEC))
    monkeypatch.setattr(index_module, "MOST_CLIPS", 10)
    rows = [(video, 1, "raining", "train") for video in made_up_ids(11)]
    with pytest.raises(ConfigError, match="expected at most 10 clips; found more"):
        items_of(tmp_path, vggsound_csv(rows).encode())


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing", "dangling"])
def test_what_is_no_file_is_said_and_never_waited_for(kind: str, tmp_path: Path):
    path = tmp_path / "vggsound.csv"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "gone")
    for given in (tmp_path, path):
        if kind == "folder" and given == path:
            continue
        with pytest.raises(ConfigError, match=r"index of vggsound: .*expected vggsound\.csv"):
            next(VGGSoundConfig(index=given).items(SPEC))


def test_a_clip_named_again_is_refused_whatever_it_says_the_second_time(tmp_path: Path):
    again = GOOD.replace(b",1,", b",1.000,")
    first, *more = items_of(tmp_path, GOOD + again)
    assert (first.source_id, first.split) == ("plainPlain1_000001", "train")
    assert [item.source_id for item in more] == ["vggsound.csv:2"]
    assert "plainPlain1_000001 of vggsound.csv, line 1 found" in more[0].attributes[BAD_LINE]
    *refused, scored = items_of(tmp_path, GOOD * 2 + again.replace(b"train", b"test"))
    assert (scored.source_id, scored.split) == ("plainPlain1_000001", "test")
    assert [item.source_id for item in refused] == ["vggsound.csv:1", "vggsound.csv:2"]
    assert "found, in test by vggsound.csv, line 3" in refused[0].attributes[BAD_LINE]


def test_every_clip_that_is_listed_can_be_wanted(tmp_path: Path):
    lay_indexes(tmp_path)
    for config in (VGGSoundConfig, AudioSetConfig, LandscapeConfig, AistppConfig):
        items = list(config(index=tmp_path).items(SPEC))
        assert [WantedClip(item.source_id, item.span).source_id for item in items]
