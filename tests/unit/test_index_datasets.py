"""The index datasets: what they make of their lists in the published forms, and of lines that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from index_files import (
    IDS,
    SEQUENCES,
    audioset_csv,
    class_labels_csv,
    filmed,
    landscape_csv,
    lay_indexes,
    made_up_ids,
    mmaudio_tsv,
    released_csv,
    specvqgan_txt,
    strong_labels_tsv,
    strong_tsv,
    vggsound_csv,
    write_texts,
)
from pydantic import ValidationError

from uniform_core.build import build_run
from uniform_core.corpus.leakage import guarded_videos
from uniform_core.datasets import (
    AistppConfig,
    AudioSetConfig,
    IndexDataset,
    LandscapeConfig,
    VGGSoundConfig,
)
from uniform_core.datasets.aistpp import GENRES
from uniform_core.datasets.index import BAD_LINE, INDEX
from uniform_core.datasets.landscape import LABELS
from uniform_core.errors import ConfigError, Rejection
from uniform_core.fingerprint import file_sha256
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem, Window

SPEC = AVSpec(duration_s=4.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_indexes(tmp_path)
    return tmp_path


def clips_of(config: IndexDataset) -> dict[str, SourceItem]:
    return {item.source_id: item for item in config.items(SPEC) if BAD_LINE not in item.attributes}


def reasons_of(config: IndexDataset) -> list[str]:
    return [item.attributes[BAD_LINE] for item in config.items(SPEC) if BAD_LINE in item.attributes]


def test_vggsound_csv_gives_the_clip_its_video_label_and_split(folder: Path):
    clips = clips_of(VGGSoundConfig(index=folder))
    assert list(clips) == ["-0pening_id_000001", "tw0_clips-0_000030", "tw0_clips-0_000140", "plainPlain1_008104"]
    second = clips["tw0_clips-0_000140"]
    assert (second.video_id, second.label, second.split) == ("tw0_clips-0", "bee, wasp, etc. buzzing", "train")
    assert second.span == Window(140.0, 150.0)
    assert second.windows == (Window(0.0, 10.0),), "its own file begins where the clip does"
    assert clips["plainPlain1_008104"].split == "test"
    assert {item.attributes[INDEX] for item in clips.values()} == {"vggsound.csv"}


@pytest.mark.parametrize(
    ("listing", "splits"),
    [
        ("whole", "train train train test"),
        ("released", "train train train test"),
        ("specvqgan", "train train val test"),
        ("mmaudio", "train train val test"),
    ],
)
def test_every_listing_of_vggsound_names_the_same_clips(listing: str, splits: str, folder: Path):
    """A clip that two lists have is one file, fetched once."""
    whole = clips_of(VGGSoundConfig(index=folder))
    found = clips_of(VGGSoundConfig(index=folder, listing=listing))
    assert [item.split for item in found.values()] == splits.split()
    for name, item in found.items():
        same = whole[name]
        assert (item.video_id, item.span, item.label) == (same.video_id, same.span, same.label)


def test_a_split_lists_that_split_alone_and_asks_for_no_other_list(folder: Path):
    assert list(clips_of(VGGSoundConfig(index=folder, split="test"))) == ["plainPlain1_008104"]
    (folder / "train.csv").unlink()
    (folder / "vgg-train.tsv").unlink()
    assert list(clips_of(VGGSoundConfig(index=folder, split="test", listing="released"))) == ["plainPlain1_008104"]
    assert list(clips_of(VGGSoundConfig(index=folder, split="val", listing="mmaudio"))) == ["tw0_clips-0_000140"]
    with pytest.raises(ConfigError, match=r"train\.csv: expected train\.csv \(file, label of VGGSound's training"):
        clips_of(VGGSoundConfig(index=folder, listing="released"))


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_bom_line_ends_quotes_and_blank_lines_do_not_matter(ending: str, start: bytes, tmp_path: Path):
    """As in copies of the list that went through other programs."""
    lines = ['"-0pening_id","1","people marching","test"', "", "a_b_c_d_e_f,30,raining,train", "", ""]
    (tmp_path / "mine.csv").write_bytes(start + ending.join(lines).encode())
    clips = clips_of(VGGSoundConfig(index=tmp_path / "mine.csv"))
    assert [(item.video_id, item.split) for item in clips.values()] == [(IDS[0], "test"), (IDS[5], "train")]


def test_spaces_at_the_end_of_a_line_say_nothing(tmp_path: Path):
    lines = ['plainPlain1,1,"bee, wasp, etc. buzzing","test" ', "a_b_c_d_e_f,30,raining,train  \r", "  "]
    (tmp_path / "vggsound.csv").write_text("\n".join(lines))
    clips = clips_of(VGGSoundConfig(index=tmp_path))
    assert [(item.label, item.split) for item in clips.values()] == [
        ("bee, wasp, etc. buzzing", "test"),
        ("raining", "train"),
    ]
    assert not reasons_of(VGGSoundConfig(index=tmp_path))


def test_a_clip_of_hours_is_none(folder: Path):
    """What a list asks for is fetched and encoded: it may not ask for a whole film."""
    kept = (folder / "eval_segments.csv").read_text()
    text = f'{kept}{IDS[0]}, 0.000, 120.000, "/m/09x0r"\n{IDS[1]}, 0.000, 120.001, "/m/09x0r"\n'
    write_texts(folder, {"eval_segments.csv": text})
    config = AudioSetConfig(index=folder, split="eval")
    assert f"{IDS[0]}_0" in clips_of(config)
    assert reasons_of(config) == ["eval_segments.csv, line 6: a clip of at most 120 s expected, one of 120.001 s found"]
    write_texts(folder, {"vggsound_test.txt": f"{IDS[0]}_0_999999999\n"})
    assert "of at most 120 s expected" in reasons_of(VGGSoundConfig(index=folder, split="test", listing="specvqgan"))[0]


def test_a_list_of_ones_own_may_have_any_name_where_one_is_needed(folder: Path):
    (folder / "vgg-test.tsv").rename(folder / "my list.tsv")
    alone = VGGSoundConfig(index=folder / "my list.tsv", listing="mmaudio", split="test")
    assert list(clips_of(alone)) == ["plainPlain1_008104"]
    with pytest.raises(
        ConfigError, match=r"expected a folder with vgg-test\.tsv, vgg-train\.tsv, vgg-val\.tsv; found one"
    ):
        clips_of(VGGSoundConfig(index=folder / "my list.tsv", listing="mmaudio"))


def test_companions_are_looked_for_beside_the_list(folder: Path):
    strong = folder / "audioset_train_strong.tsv"
    clips = clips_of(AudioSetConfig(index=strong, split="train", subsets=("strong",)))
    assert len(clips) == 2
    (folder / "mid_to_display_name.tsv").unlink()
    with pytest.raises(
        ConfigError, match=r"mid_to_display_name\.tsv: expected mid_to_display_name\.tsv .*nothing there"
    ):
        clips_of(AudioSetConfig(index=strong, split="train", subsets=("strong",)))


def test_audioset_segments_have_their_own_lengths_and_all_their_labels(folder: Path):
    clips = clips_of(AudioSetConfig(index=folder))
    assert [(name, item.split, item.attributes["subset"]) for name, item in clips.items()] == [
        ("-0pening_id_30000", "train", "balanced"),
        ("_nderscore__0", "train", "balanced"),
        ("--twodashes_30000", "train", "strong"),
        ("a_b_c_d_e_f_0", "train", "strong"),
        ("plainPlain1_250", "eval", "eval"),
    ]
    assert clips["-0pening_id_30000"].label == "Speech; Gush"
    assert clips["-0pening_id_30000"].attributes["mids"] == "/m/09x0r,/t/dd00088"
    assert clips["_nderscore__0"].label == "Male speech, man speaking"
    assert clips["_nderscore__0"].windows == (Window(0.0, 1.0),)
    assert clips["plainPlain1_250"].span == Window(0.25, 10.25)


def test_events_of_audioset_strong_are_clips_once_each_with_every_label(folder: Path):
    strong = clips_of(AudioSetConfig.from_argument("strong").model_copy(update={"index": folder}))
    first = strong["--twodashes_30000"]
    assert (first.video_id, first.span) == ("--twodashes", Window(30.0, 40.0))
    assert first.label == "Speech; Gush"
    assert len(strong) == 2


def test_landscape_has_its_nine_classes_and_says_what_is_wrong_with_a_line(tmp_path: Path):
    """The list as it is published has both: an id cut out of an address, and lines that stand there twice."""
    ids = made_up_ids(9)
    rows = [(video, 180, label, "train") for video, label in zip(ids, LABELS, strict=True)]
    more = [
        ("n4DEfAKk0&t", 0, "raining", "train"),
        rows[3],
        (ids[0], 0, "snowing", "test"),
        (ids[0], 0, "raining", "dev"),
    ]
    write_texts(tmp_path, {"landscape.csv": landscape_csv([*rows, *more])})
    config = LandscapeConfig(index=tmp_path)
    assert [item.label for item in clips_of(config).values()] == list(LABELS)
    assert len(set(LABELS)) == 9
    said = reasons_of(config)
    assert [reason.split(":")[0] for reason in said] == [f"landscape.csv, line {number}" for number in (11, 12, 13, 14)]
    assert "a YouTube id of 11 letters, digits, - and _ expected, 'n4DEfAKk0&t' found" in said[0]
    assert f"{ids[3]}_000180 of landscape.csv, line 5 found" in said[1]
    assert "'snowing' found" in said[2]
    assert "'dev' found" in said[3]


def test_a_clip_with_lines_of_two_splits_is_scored_and_not_trained_on(tmp_path: Path):
    """Whichever line comes first. A list of one split has it in either: the other's lines say nothing there."""
    first, second, third = made_up_ids(3)
    rows = [
        (first, 0, "raining", "train"),
        (second, 0, "thunder", "test"),
        (first, 0, "raining", "test"),
        (second, 0, "thunder", "train"),
        (third, 0, "explosion", "train"),
        (third, 0, "explosion", "train"),
    ]
    write_texts(tmp_path, {"landscape.csv": landscape_csv(rows)})
    whole, test, train = (LandscapeConfig(index=tmp_path, split=split) for split in (None, "test", "train"))
    one, two, three = (f"{video}_000000" for video in (first, second, third))
    assert {name: item.split for name, item in clips_of(whole).items()} == {two: "test", one: "test", three: "train"}
    assert reasons_of(whole) == [
        f"landscape.csv, line 2: a clip of train alone expected, {one} found, in test by landscape.csv, line 4",
        f"landscape.csv, line 5: a clip of train alone expected, {two} found, in test by landscape.csv, line 3",
        f"landscape.csv, line 7: a clip that was not listed before expected, {three} of landscape.csv, line 6 found",
    ]
    assert (list(clips_of(test)), reasons_of(test)) == ([two, one], [])
    assert (list(clips_of(train)), len(reasons_of(train))) == ([one, two, three], 1)
    run = build_run("nano", data="landscape:train", overrides=[f"data.index={tmp_path}"])
    guarded = run.model_copy(update={"guard_against": (test,)})
    assert guarded_videos(guarded, train.items(run.spec)).keys() == {first, second}, "all that the split lists"


def test_aistpp_is_one_camera_of_the_cross_modal_split_with_genres_spelled_out(folder: Path):
    clips = clips_of(AistppConfig(index=folder))
    assert {name: (item.split, item.label) for name, item in clips.items()} == {
        "gBR_sBM_c01_d04_mBR1_ch06": ("train", "Break"),
        "gJB_sFM_c01_d08_d09_mJB3_ch10": ("train", "Ballet Jazz"),
        "gLH_sBM_c01_d16_mLH4_ch02": ("val", "LA-style Hip-hop"),
        "gMH_sFM_c01_d22_mMH2_ch17": ("test", "Middle Hip-hop"),
    }
    first = clips["gBR_sBM_c01_d04_mBR1_ch06"]
    assert (first.video_id, first.span, first.windows) == (first.source_id, None, (Window(0.0, 4.0),))
    assert (first.attributes["crop"], first.attributes["situation"]) == ("centre_square", "basic")
    other = AistppConfig(index=folder, camera="c07", split="test")
    assert list(clips_of(other)) == ["gMH_sFM_c07_d22_mMH2_ch17"]
    assert len(GENRES) == len(set(GENRES.values())) == 10


def test_aistpp_leaves_out_what_its_authors_ignore_where_it_is_told_to(folder: Path):
    assert len(clips_of(AistppConfig(index=folder, is_cleaned=True))) == 3
    assert not reasons_of(AistppConfig(index=folder, is_cleaned=True))


def test_aistpp_says_which_names_are_none_and_which_videos_are_not_there(folder: Path):
    names = ["gXX_sBM_cAll_d04_mBR1_ch06", "gBR_sSH_c01_v0", "../../etc/passwd", SEQUENCES["val"][0]]
    write_texts(
        folder, {"crossmodal_val.txt": "\r\n".join(names), "video_list.txt": "\n".join(filmed(SEQUENCES["test"][0]))}
    )
    said = reasons_of(AistppConfig(index=folder, split="val"))
    assert len(said) == 4
    assert "line 1: one of BR, PO" in said[0]
    assert "a name like gBR_sBM_cAll_d04_mBR0_ch01 expected, 'gBR_sSH_c01_v0' found" in said[1]
    assert "a video of video_list.txt expected, gLH_sBM_c01_d16_mLH4_ch02 found" in said[3]


def test_aist_videos_come_from_the_database_once_its_terms_are_accepted(folder: Path):
    config = AistppConfig(index=folder, split="test")
    assert [source.kind for source in config.sources] == ["http"]
    with pytest.raises(ConfigError, match=r"accept the terms .*terms_of_use.*--set data\.accept_terms=true") as error:
        config.prepare()
    assert error.value.exit_code == 2
    for ready in (config.model_copy(update={"sources": ()}), config.model_copy(update={"accept_terms": True})):
        ready.prepare()
        (video,) = ready.videos(ready.items(SPEC))
        assert video.url == f"https://aistdancedb.ongaaccel.jp/v1.0.0/video/10M/{video.video_id}.mp4"
        assert ready.fingerprint_params() == config.fingerprint_params()


def test_clips_of_one_video_are_one_unit_of_work(folder: Path):
    config = VGGSoundConfig(index=folder)
    write_texts(folder, {"vggsound.csv": (folder / "vggsound.csv").read_text() + "not a line\n"})
    videos = list(config.videos(config.items(SPEC)))
    assert [(video.video_id, len(video.clips)) for video in videos] == [(IDS[0], 1), (IDS[3], 2), (IDS[2], 1)]
    assert [clip.span for clip in videos[1].clips] == [Window(30.0, 40.0), Window(140.0, 150.0)]
    assert (videos[0].dataset, videos[0].url) == ("vggsound", None)


def test_a_limit_ends_the_listing_after_so_many_clips(folder: Path):
    text = "bad\n" + (folder / "vggsound.csv").read_text()
    write_texts(folder, {"vggsound.csv": text})
    config = VGGSoundConfig(index=folder, limit=2)
    assert list(clips_of(config)) == ["-0pening_id_000001", "tw0_clips-0_000030"]
    assert len(reasons_of(config)) == 1
    assert list(clips_of(VGGSoundConfig(index=folder, limit=1, split="test"))) == ["plainPlain1_008104"]


def test_with_a_cut_rule_clips_are_cut_all_along_a_file(folder: Path):
    items = clips_of(VGGSoundConfig(index=folder, clip_s=4.0, stride_s=2.0)).values()
    assert {item.windows for item in items} == {None}


def test_a_corrupt_line_is_an_item_with_its_number_and_no_clip(tmp_path: Path):
    lines = ["-0pening_id,1,people marching,test", "-0pening_id,one,people marching,test", "only,three,fields"]
    (tmp_path / "vggsound.csv").write_text("\n".join([*lines, '-0pening_id,5,"people marching,test']))
    config = VGGSoundConfig(index=tmp_path)
    good, *bad = config.items(SPEC)
    assert [item.source_id for item in bad] == ["vggsound.csv:2", "vggsound.csv:3", "vggsound.csv:4"]
    assert all(item.video_id is None and item.span is None and item.windows is None for item in bad)
    said = [config.fetch(item, tmp_path) for item in bad]
    assert said[0] == Rejection("bad_index_line", "vggsound.csv, line 2: seconds expected, 'one' found")
    assert "4 fields expected, 3 found in 'only,three,fields'" in said[1].message
    assert "a line of fields expected" in said[2].message
    assert config.fetch(good, tmp_path) == Rejection(
        "not_fetched", "a fetched file expected, nothing there found", False
    )


def test_another_header_is_another_file(folder: Path):
    write_texts(folder, {"landscape.csv": "id,start,class,set\nplainPlain1,0,raining,train\n"})
    with pytest.raises(ConfigError, match=r"expected the header ytid,start_time,class,set; found 'id,start,class,set'"):
        clips_of(LandscapeConfig(index=folder))


def test_fetch_gives_the_owned_file_or_the_one_that_stays_where_its_owner_has_it(folder: Path, tmp_path: Path):
    config, media = VGGSoundConfig(index=folder), tmp_path / "media"
    media.mkdir()
    first, second, third, fourth = config.items(SPEC)
    (media / f"{first.source_id}.mp4").write_bytes(b"ours")
    (tmp_path / "theirs.mp4").write_bytes(b"theirs")
    (media / f"{second.source_id}.mp4").symlink_to(tmp_path / "theirs.mp4")
    (media / f"{third.source_id}.mp4").symlink_to(tmp_path / "gone.mp4")
    assert config.fetch(first, media) == media / f"{first.source_id}.mp4"
    assert config.fetch(second, media) == tmp_path / "theirs.mp4"
    assert config.fetch(third, media).message == "a fetched file expected, a link that leads nowhere found"
    assert config.fetch(fourth, media).error_class == "not_fetched"
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    climbing = SourceItem(dataset="vggsound", source_id="../secret", split="train")
    assert config.fetch(climbing, media).error_class == "unknown_source"


def test_an_item_says_which_list_it_stands_in_and_what_that_was(folder: Path):
    table = "class_labels_indices.csv"
    write_texts(folder, {table: (folder / table).read_text() + "9,no mid,what\n"})
    config = AudioSetConfig(index=folder)
    found = {item.attributes[INDEX]: config.index_sha256(item) for item in config.items(SPEC)}
    names = [table, "balanced_train_segments.csv", "audioset_train_strong.tsv", "eval_segments.csv"]
    assert found == {name: file_sha256(folder / name) for name in names}


def test_other_lengths_than_published_are_said_and_stop_nothing(folder: Path):
    assert VGGSoundConfig(index=folder).differences() == [
        "vggsound.csv: 199,467 clips published, 4 found",
        "vggsound.csv: 309 labels published, 4 found",
    ]
    rows = [(video, 0, LABELS[index % 9], "train") for index, video in enumerate(made_up_ids(1_178))]
    write_texts(folder, {"landscape.csv": landscape_csv(rows)})
    assert LandscapeConfig(index=folder).differences() == []


def test_arguments_name_splits_and_subsets(folder: Path):
    assert VGGSoundConfig.from_argument("test").split == "test"
    assert VGGSoundConfig.from_argument("").split is None
    assert AudioSetConfig.from_argument("balanced").subsets == ("balanced",)
    assert AudioSetConfig.from_argument("eval").split == "eval"
    with pytest.raises(ConfigError, match=r"--data landscape:tset: expected a split \(train, test\)"):
        LandscapeConfig.from_argument("tset")
    with pytest.raises(ValidationError, match="split must be one of train, val, test; found 'held_out'"):
        VGGSoundConfig(split="held_out")
    with pytest.raises(ValidationError, match="split val is not in the official lists"):
        VGGSoundConfig(split="val")


def labels_of(count: int, *, with_commas: int) -> list[str]:
    return [f"kind {n}, of {n} things" if n < with_commas else f"kind {n} (so)" for n in range(count)]


@pytest.mark.parametrize("listing", ["whole", "released", "mmaudio"])
def test_309_labels_of_vggsound_are_read_as_they_are_spelled(listing: str, tmp_path: Path):
    labels = labels_of(309, with_commas=23)
    ids = made_up_ids(309)
    rows = [(video, index, label) for index, (video, label) in enumerate(zip(ids, labels, strict=True))]
    texts = {"whole": ("vggsound.csv", vggsound_csv((*row, "test") for row in rows))}
    texts |= {"released": ("test.csv", released_csv(rows)), "mmaudio": ("vgg-test.tsv", mmaudio_tsv(rows))}
    write_texts(tmp_path, dict([texts[listing]]))
    config = VGGSoundConfig(index=tmp_path, listing=listing, split="test")
    assert [item.label for item in config.items(SPEC)] == labels
    assert not any("labels published" in said for said in config.differences())


def test_527_and_456_labels_of_audioset_are_told_apart(tmp_path: Path):
    weak = [(f"/m/0{n:03d}", name) for n, name in enumerate(labels_of(527, with_commas=75))]
    strong = [(f"/g/1{n:03d}", name.upper()) for n, name in enumerate(labels_of(456, with_commas=60))]
    ids = made_up_ids(527 + 456)
    segments = [(video, 30, 40, [mid]) for video, (mid, _) in zip(ids, weak, strict=False)]
    events = [(f"{video}_30000", "0.1", "9.9", mid) for video, (mid, _) in zip(ids[527:], strong, strict=True)]
    write_texts(
        tmp_path,
        {
            "class_labels_indices.csv": class_labels_csv(weak),
            "mid_to_display_name.tsv": strong_labels_tsv(strong),
            "balanced_train_segments.csv": audioset_csv(segments),
            "audioset_train_strong.tsv": strong_tsv(events),
        },
    )
    config = AudioSetConfig(index=tmp_path, split="train")
    assert [item.label for item in config.items(SPEC)] == [name for _, name in (*weak, *strong)]
    assert not any("labels" in said for said in config.differences())
    crossed = [("abcdefghijk_0", "0", "1", weak[0][0])]
    write_texts(tmp_path, {"audioset_train_strong.tsv": strong_tsv(crossed)})
    assert "a label of AudioSet's tables expected, '/m/0000' found" in reasons_of(config)[0]


def test_specvqgan_lists_have_the_labels_of_the_whole_list_and_none_where_it_has_not_the_clip(folder: Path):
    write_texts(folder, {"vggsound_test.txt": specvqgan_txt([(IDS[2], 8104), (IDS[5], 7)])})
    clips = clips_of(VGGSoundConfig(index=folder, listing="specvqgan", split="test"))
    assert {name: item.label for name, item in clips.items()} == {
        "plainPlain1_008104": "playing tympani",
        "a_b_c_d_e_f_000007": None,
    }
