"""The folder dataset: what is an item, its label, caption and split, and mistakes that are said at once."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from pathlib import Path

import pytest

from uniform_core.catalog import Catalog
from uniform_core.corpus.inputs import item_revision
from uniform_core.datasets import FolderConfig
from uniform_core.datasets.captions_beside import (
    MAX_CAPTION_CHARS,
    MAX_TEXT_BYTES,
    read_caption_text,
    read_captions_csv,
    tidy_caption,
)
from uniform_core.datasets.folder import split_of
from uniform_core.errors import ConfigError, Rejection
from uniform_core.settings import Settings
from uniform_core.spec import AVSpec
from uniform_core.types import SourceItem

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "My videos!"
    folder.mkdir()
    return folder


def lay(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode("utf-8", "surrogateescape"))


def by_id(config: FolderConfig) -> dict[str, SourceItem]:
    return {item.source_id: item for item in config.items(SPEC)}


def test_every_visible_file_is_an_item_but_plain_companions_are_not(root: Path):
    lay(root, "b.mp4", "a/page.html", "a/no_suffix", "a/deep/er/x.MKV", "zero.avi", "thumb.jpg")
    lay(root, "notes.txt", "a/b.TXT", "a/subs.srt", "data.json", "README.md", "sum.sha256")
    lay(root, ".hidden.mp4", ".git/x.mp4", "a/.DS_Store")
    (root / "zero.avi").write_bytes(b"")
    items = by_id(FolderConfig(path=root))
    assert list(items) == ["a/deep/er/x.MKV", "a/no_suffix", "a/page.html", "b.mp4", "thumb.jpg", "zero.avi"]


def test_label_is_the_top_level_folder(root: Path):
    lay(root, "b.mp4", "cats/b.mp4", "cats/young/c.mp4")
    labels = {source_id: item.label for source_id, item in by_id(FolderConfig(path=root)).items()}
    assert labels == {"b.mp4": None, "cats/b.mp4": "cats", "cats/young/c.mp4": "cats"}


def test_odd_names_become_text_that_any_table_can_hold(root: Path):
    lay(root, "new\nline.mp4", "-dash.mp4", "späße 火.mp4", os.fsdecode(b"bad\xff.mp4"), "quote\"'.mp4")
    config = FolderConfig(path=root)
    items = by_id(config)
    assert "bad\\xff.mp4" in items
    assert len(items) == 5
    for item in items.values():
        assert item.source_id.encode("utf-8")
        assert config.fetch(item, root) == item.path


def test_what_cannot_be_a_source_is_an_item_with_its_reason(root: Path, tmp_path: Path):
    lay(root, "real.mp4", "sub/x.mp4", "folder.mp4/y.mp4")
    lay(tmp_path, "outside.mp4", "elsewhere/y.mp4")
    os.mkfifo(root / "pipe.mp4")
    links = {"inside": root / "real.mp4", "outside": tmp_path / "outside.mp4", "broken": tmp_path / "no.mp4"}
    links |= {"loop": root / "loop.mp4", "to_folder": tmp_path / "elsewhere", "sub/up": root}
    for name, target in links.items():
        (root / f"{name}.mp4").symlink_to(target)
    config = FolderConfig(path=root)
    found = {source_id: config.fetch(item, root) for source_id, item in by_id(config).items()}
    said = {name: (r.error_class, r.terminal) for name, r in found.items() if isinstance(r, Rejection)}
    assert said == {
        "broken.mp4": ("missing_file", False),
        "loop.mp4": ("unreadable", False),
        "outside.mp4": ("outside_folder", True),
        "pipe.mp4": ("not_a_file", True),
        "sub/up.mp4": ("not_a_file", True),
        "to_folder.mp4": ("not_a_file", True),
    }
    assert set(found) - set(said) == {"folder.mp4/y.mp4", "inside.mp4", "real.mp4", "sub/x.mp4"}
    for refused in found.values():
        assert isinstance(refused, Path) or "expected" in refused.message


def test_a_folder_that_cannot_be_listed_is_told_and_does_not_stop_the_rest(root: Path, monkeypatch: pytest.MonkeyPatch):
    lay(root, "a.mp4", "lost+found/b.mp4")
    scandir = os.scandir

    def guarded(path: str):
        if str(path).endswith("lost+found"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    config = FolderConfig(path=root)
    items = by_id(config)
    assert list(items) == ["a.mp4", "lost+found"]
    refused = config.fetch(items["lost+found"], root)
    assert isinstance(refused, Rejection)
    assert (refused.error_class, refused.terminal) == ("unreadable", False)


def test_what_uniform_itself_keeps_is_not_its_input(root: Path):
    """A home below the folder is one item with its reason, whose key stays when the home grows."""
    lay(root, "a.mp4", "data/media/clips/c.mp4", "data/mlflow.db", "deep/er/runs/media/generated/g.mp4", "data2/b.mp4")
    for home in (root / "data", root / "deep" / "er" / "runs"):
        Catalog.open(Settings(home=home))
    config = FolderConfig(path=root)
    items = by_id(config)
    assert list(items) == ["a.mp4", "data", "data2/b.mp4", "deep/er/runs"]
    keys = [item_revision(item) for item in items.values()]
    for name in ("data", "deep/er/runs"):
        refused = config.fetch(items[name], root)
        assert isinstance(refused, Rejection)
        assert (refused.error_class, refused.terminal) == ("own_data", True)
        assert "UNIFORM_HOME" in refused.message
    lay(root, "data/more.db", "deep/er/runs/more.db")
    assert [item_revision(item) for item in by_id(config).values()] == keys


@pytest.mark.parametrize("place", [".", "media", "media/generated", "mlartifacts"])
def test_a_root_that_uniform_itself_keeps_is_a_wrong_call(root: Path, place: str):
    Catalog.open(Settings(home=root))
    lay(root, "videos/a.mp4", "media/generated/g.mp4", "mlartifacts/s.mp4")
    assert list(by_id(FolderConfig(path=root / "videos"))) == ["a.mp4"]
    with pytest.raises(ConfigError, match="what UniForm itself keeps"):
        list(FolderConfig(path=root / place).items(SPEC))


def test_a_name_as_long_as_names_may_be(root: Path):
    """Its `.txt` would be longer than any file's name can be."""
    names = ["x" * 252 + ".ts", "y" * 255]
    lay(root, *names)
    config = FolderConfig(path=root)
    items = by_id(config)
    assert list(items) == names
    assert [config.fetch(items[name], root) for name in names] == [root / name for name in names]


def test_different_names_have_different_ids(root: Path):
    lay(root, os.fsdecode(b"bad\xff.mp4"), "bad\\xff.mp4", "bad\\\\xff.mp4")
    assert len(by_id(FolderConfig(path=root))) == 3


def test_a_caption_is_not_read_from_outside_the_folder(root: Path, tmp_path: Path):
    lay(root, "a.mp4")
    (tmp_path / "secret").write_text("file,caption\na.mp4,secret\n")
    for name, item, error_class in (
        ("captions.csv", "captions.csv", "outside_folder"),
        ("a.txt", "a.mp4", "bad_caption"),
    ):
        (root / name).symlink_to(tmp_path / "secret")
        config = FolderConfig(path=root)
        assert by_id(config)["a.mp4"].caption is None
        refused = config.fetch(by_id(config)[item], root)
        assert isinstance(refused, Rejection)
        assert (refused.error_class, refused.terminal) == (error_class, True)
        assert "a link out of it" in refused.message


def test_a_table_of_which_rows_are_not_used_is_an_item_with_its_reason(root: Path):
    lay(root, "a.mp4", "sub/b.mp4")
    table = root / "sub" / "captions.csv"
    table.write_text(f"file,caption\nb.mp4,here\ntypo.mp4,lost\n{root}/sub/b.mp4,absolute\n")
    config = FolderConfig(path=root)
    items = by_id(config)
    assert list(items) == ["a.mp4", "sub/b.mp4", "sub/captions.csv"]
    refused = config.fetch(items["sub/captions.csv"], root)
    assert isinstance(refused, Rejection)
    assert (refused.error_class, refused.terminal) == ("unused_captions", True)
    assert "2 of 3 rows name no file; the first is 'typo.mp4'" in refused.message
    table.write_text("file,caption\nb.mp4,here\n")
    assert list(by_id(config)) == ["a.mp4", "sub/b.mp4"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_are_the_same_however_their_accents_are_written(root: Path, form: str):
    other = "NFD" if form == "NFC" else "NFC"
    names = [unicodedata.normalize(form, name) for name in ("é/ü.mp4", "ä.mp4")]
    lay(root, *names, "plain.mp4")
    (root / unicodedata.normalize(other, "ä.txt")).write_text("beside")
    rows = unicodedata.normalize(other, "é/ü.mp4,accents\nplain.mp4,none\n")
    (root / "captions.csv").write_text("file,caption\n" + rows, encoding="utf-8")
    captions = {source_id: item.caption for source_id, item in by_id(FolderConfig(path=root)).items()}
    assert captions == {names[0]: "accents", names[1]: "beside", "plain.mp4": "none"}


def test_companions_are_known_whatever_their_case(root: Path):
    lay(root, "a.mp4", "b.mp4")
    (root / "a.TXT").write_text("beside")
    (root / "Captions.CSV").write_text("file,caption\nb.mp4,table\n")
    captions = {source_id: item.caption for source_id, item in by_id(FolderConfig(path=root)).items()}
    assert captions == {"a.mp4": "beside", "b.mp4": "table"}
    (root / "captions.csv").write_text("file,caption\nb.mp4,another\n")
    with pytest.raises(ConfigError, match="a second one that differs in case"):
        by_id(FolderConfig(path=root))


def test_folders_that_are_named_as_companions_are_folders(root: Path):
    lay(root, "a.mp4", "a.txt/b.mp4", "captions.csv/c.mp4")
    items = by_id(FolderConfig(path=root))
    assert list(items) == ["a.mp4", "a.txt/b.mp4", "captions.csv/c.mp4"]
    assert items["a.mp4"].caption is None


def test_a_table_larger_than_the_driver_should_read_is_a_wrong_call(root: Path):
    lay(root, "a.mp4")
    with (root / "captions.csv").open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(ConfigError, match="bytes, more than 67108864"):
        by_id(FolderConfig(path=root))


def test_the_name_is_the_folders_own_or_the_one_that_is_given(root: Path):
    assert re.fullmatch(r"folder-My-videos-[0-9a-f]{6}", FolderConfig(path=root).name)
    assert FolderConfig(path=root / "..", dataset="mine").name == "mine"
    places = [root / "A" / "videos", root / "B" / "videos", root / "x y", root / "x-y", Path("/")]
    assert len({FolderConfig(path=place).name for place in places}) == len(places)
    assert FolderConfig(path=root).fingerprint_params() == FolderConfig(path=root / "." / "").fingerprint_params()


def test_fetch_tells_a_file_that_has_gone_and_may_come_back(root: Path):
    lay(root, "a.mp4")
    config = FolderConfig(path=root)
    (item,) = config.items(SPEC)
    (root / "a.mp4").unlink()
    gone = config.fetch(item, root)
    assert isinstance(gone, Rejection)
    assert (gone.error_class, gone.terminal) == ("missing_file", False)


def test_splits_depend_on_the_id_alone_and_have_their_share(root: Path):
    ids = [f"{number}.mp4" for number in range(400)]
    held_out = [source_id for source_id in ids if split_of(source_id, held_out_fraction=0.25) == "held_out"]
    assert 70 <= len(held_out) <= 130
    assert {split_of(source_id, held_out_fraction=0.5) for source_id in held_out} == {"held_out"}
    assert {split_of(source_id, held_out_fraction=0.0) for source_id in ids} == {"train"}
    assert {split_of(source_id, held_out_fraction=1.0) for source_id in ids} == {"held_out"}
    lay(root, "0.mp4", "1.mp4")
    before = by_id(FolderConfig(path=root))
    lay(root, "2.mp4")
    assert before.items() <= by_id(FolderConfig(path=root)).items()


@pytest.mark.parametrize("make", [lambda root: root / "nothing", lambda root: root / "a.mp4"])
def test_a_root_that_is_no_folder_is_a_wrong_call(root: Path, make):
    lay(root, "a.mp4")
    with pytest.raises(ConfigError, match="a folder that can be read"):
        list(FolderConfig(path=make(root)).items(SPEC))


@pytest.mark.parametrize("name", ["loop", "~nobody-has-this-name/x"])
def test_a_path_that_leads_nowhere_is_a_wrong_call(root: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(root)
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(ConfigError, match=f"folder:{name}: expected"):
        list(FolderConfig(path=Path(name)).items(SPEC))


def test_captions_come_from_the_nearest_place(root: Path):
    lay(root, "a.mp4", "cats/b.mp4", "cats/c.mp4", "d.mp4")
    (root / "a.txt").write_text("from text\n")
    (root / "captions.csv").write_text("file,caption\na.mp4,from table\ncats/b.mp4,from root\ncats/c.mp4,far\n")
    (root / "cats" / "captions.csv").write_text("file,caption\nc.mp4,near\n")
    captions = {source_id: item.caption for source_id, item in by_id(FolderConfig(path=root)).items()}
    assert captions == {"a.mp4": "from text", "cats/b.mp4": "from root", "cats/c.mp4": "near", "d.mp4": None}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00bad", "UTF-8"),
        (b"", "empty"),
        (b" \n\t", "empty"),
        (b"a\x00b", "NUL"),
        (b"x" * (MAX_CAPTION_CHARS + 1), "characters"),
        (b"x" * (MAX_TEXT_BYTES + 1), "bytes"),
    ],
)
def test_a_caption_that_cannot_be_used_rejects_its_file_with_the_reason(content: bytes, said: str, root: Path):
    lay(root, "a.mp4", "b.mp4")
    (root / "a.txt").write_bytes(content)
    config = FolderConfig(path=root)
    bad, good = config.items(SPEC)
    refused = config.fetch(bad, root)
    assert isinstance(refused, Rejection)
    assert refused.error_class == "bad_caption"
    assert said in refused.message
    assert bad.caption is None
    assert config.fetch(good, root) == good.path


def test_caption_text_is_tidied(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes("\ufeffa dog\r\n  barks e\u0301\n".encode())
    assert read_caption_text(tmp_path / "a.txt") == "a dog barks é"
    assert tidy_caption(" a \u00a0 b ") == "a b"


def test_captions_csv_takes_what_spreadsheets_write(tmp_path: Path):
    table = tmp_path / "captions.csv"
    rows = ['1,"a dog, barking ""loud""",a.mp4', "", '2,"two\r\nlines",./b/c.mp4', "2,two lines,b/c.mp4", ""]
    table.write_bytes("\r\n".join(["\ufeffNo,Caption , FILE", *rows]).encode())
    assert read_captions_csv(table) == {"a.mp4": 'a dog, barking "loud"', "b/c.mp4": "two lines"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "header"),
        (b"name,text\na.mp4,x\n", "header 'name,text'"),
        (b"file,caption,file\n", "header"),
        (b"file,caption\na.mp4,x,y\n", "line 2: expected 2 fields; found 3"),
        (b"file,caption\na.mp4\n", "line 2: expected 2 fields; found 1"),
        (b"file,caption\n,x\n", "line 2: expected a file name"),
        (b"file,caption\na.mp4,\n", "line 2: expected a caption"),
        (b"file,caption\na.mp4,x\na.mp4,y\n", "line 3: a second, different caption"),
        (b'file,caption\na.mp4,"open\n', "line 2"),
        (b"file,caption\na.mp4,\xff\n", "not UTF-8"),
        (b"file,caption\n" + b"a.mp4\n" * 9, "and 4 more"),
    ],
)
def test_a_wrong_captions_csv_is_a_wrong_call_that_names_the_lines(content: bytes, said: str, root: Path):
    lay(root, "a.mp4")
    (root / "captions.csv").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        list(FolderConfig(path=root).items(SPEC))
    assert said in str(caught.value)
    assert "captions.csv" in caught.value.item


def test_a_table_may_name_files_that_are_not_here_but_not_only_such(root: Path):
    lay(root, "a.mp4")
    table = root / "captions.csv"
    table.write_text("file,caption\na.mp4,here\ngone.mp4,gone\n")
    assert by_id(FolderConfig(path=root))["a.mp4"].caption == "here"
    table.write_text("file,caption\nvideos/a.mp4,wrong place\n")
    with pytest.raises(ConfigError, match=r"no such file for any of them; the first is 'videos/a.mp4'"):
        list(FolderConfig(path=root).items(SPEC))
