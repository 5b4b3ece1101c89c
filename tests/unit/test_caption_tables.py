"""Tables of captions in the published forms: which clip a row is of, and what becomes of files that are no tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from uniform_core.captioners import AnyCaptioner, CaptionInput, SidecarConfig
from uniform_core.captioners import table as table_module
from uniform_core.captioners.table import read_table
from uniform_core.corpus.fingerprints import captions_fingerprint
from uniform_core.errors import ConfigError

VIDEO, OTHER = "-0abcdefghi", "Yzyxwvutsr_"


def clip(source_id: str | None, *, video_id: str | None = None, start_ms: int = 0) -> CaptionInput:
    return CaptionInput("0" * 32, "dog", "beside", source_id=source_id, video_id=video_id, start_ms=start_ms)


def written(folder: Path, text: str, name: str = "captions.csv") -> SidecarConfig:
    (folder / name).write_text(text, encoding="utf-8")
    return SidecarConfig(table=str(folder / name))


def found(config: SidecarConfig, *clips: CaptionInput) -> list[str | None]:
    return [result.text for result in config.build().caption(clips)]


def test_audiosetcaps_of_vggsound_by_video_and_second(tmp_path: Path) -> None:
    config = written(tmp_path, f'id,caption\n{VIDEO}_000030,"A dog, barking."\n{OTHER}_000007,Rain.\n')
    assert found(
        config,
        clip(f"{VIDEO}_000030", video_id=VIDEO),
        clip(f"{VIDEO}_000030", video_id=VIDEO, start_ms=4000),  # a later window of the same ten seconds
        clip(f"{OTHER}_000007", video_id=OTHER),
        clip(f"vgg/{VIDEO}_000030.mp4"),  # a folder of files under VGGSound's names
        clip(f"{VIDEO}_000031", video_id=VIDEO),
        clip(f"{VIDEO}_000300", video_id=VIDEO),
    ) == ["A dog, barking.", "A dog, barking.", "Rain.", "A dog, barking.", None, None]


def test_audiosetcaps_of_audioset_by_the_video_alone(tmp_path: Path) -> None:
    config = written(tmp_path, f"id,caption\nY{VIDEO},Wind.\nY{OTHER},Waves.\n")
    assert found(
        config,
        clip(f"{VIDEO}_30000", video_id=VIDEO),
        clip(f"{OTHER}_000030", video_id=OTHER),
        clip("abcdefghijk_000030", video_id="abcdefghijk"),
    ) == ["Wind.", "Waves.", None]


def test_youtube_8m_by_start_and_duration_of_whole_videos(tmp_path: Path) -> None:
    config = written(tmp_path, f"id,caption\n{VIDEO}_84_10,A cello.\n{VIDEO}_0_10,Bells.\n")
    clips = [clip(f"{VIDEO}.mp4", start_ms=start_ms) for start_ms in (84_000, 0, 4000)]
    assert found(config, *clips) == ["A cello.", "Bells.", "Bells."]


@pytest.mark.parametrize("suffix", ["_30", "_000030", "_30000", ""])
def test_auto_acd_with_any_start_that_its_ids_may_have(suffix: str, tmp_path: Path) -> None:
    config = written(tmp_path, f"youtube_id,caption\n{VIDEO}{suffix},A dog barks.\n")
    for source_id in (f"{VIDEO}_000030", f"{VIDEO}_30000"):
        assert found(config, clip(source_id, video_id=VIDEO)) == ["A dog barks."]
    wrong = None if suffix else "A dog barks."
    assert found(config, clip(f"{VIDEO}_000099", video_id=VIDEO)) == [wrong]


def test_files_by_their_names_and_columns_by_the_config(tmp_path: Path) -> None:
    text = "n,words,name\n1,A red ball.,balls/a.mp4\n2,A blue one.,b\n3,Nobody's.,\n4,,c.mp4\n"
    config = written(tmp_path, text).model_copy(update={"id_column": "name", "caption_column": "words"})
    clips = [clip(name) for name in ("balls/a.mp4", "b.mp4", "c.mp4", "d.mp4")]
    assert found(config, *clips, clip(None)) == ["A red ball.", "A blue one.", None, None, None]


def test_parquet_says_what_csv_says(tmp_path: Path) -> None:
    columns = {"id": [f"{VIDEO}_000030", None, f"{OTHER}_000007"], "caption": ["A dog.", "x", None], "n": [1, 2, 3]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    config = SidecarConfig(table=str(tmp_path / "t.parquet"))
    assert found(config, clip(f"{VIDEO}_000030"), clip(f"{OTHER}_000007")) == ["A dog.", None]


def test_the_first_of_two_captions_counts_and_lines_become_one(tmp_path: Path) -> None:
    config = written(tmp_path, f'id,caption\n{VIDEO}_000030,"one\n two\x1b[2J\u202e"\n{VIDEO}_000030,three\n')
    assert found(config, clip(f"{VIDEO}_000030")) == ["one two [2J"]


def test_many_rows_are_found_each(tmp_path: Path) -> None:
    names = [f"{number:011d}" for number in range(3000)]
    config = written(tmp_path, "id,caption\n" + "".join(f"{name}_000010,c{name}\n" for name in reversed(names)))
    assert found(config, *(clip(f"{name}_000010") for name in names)) == [f"c{name}" for name in names]


def test_a_missing_row_is_empty_and_a_long_caption_is_cut(tmp_path: Path) -> None:
    config = written(tmp_path, f"id,caption\n{VIDEO}_000030,one two three\n").model_copy(update={"max_chars": 8})
    cut, missing = config.build().caption([clip(f"{VIDEO}_000030"), clip("other.mp4")])
    assert (cut.status, cut.text) == ("truncated", "one two")
    assert (missing.status, "other.mp4" in missing.message) == ("empty", True)


def test_another_table_is_another_corpus_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    text = f"id,caption\n{VIDEO}_000030,A dog.\n"
    one, moved = written(tmp_path, text), written(tmp_path / "b", text, "other.csv")
    other = written(tmp_path, text.replace("dog", "cat"), "cat.csv")
    assert one.revision == moved.revision
    assert captions_fingerprint(one) == captions_fingerprint(moved)
    assert captions_fingerprint(other) != captions_fingerprint(one)
    assert captions_fingerprint(SidecarConfig()) != captions_fingerprint(one)
    assert SidecarConfig(table="no.csv").revision == "rule-1 absent: no.csv"


def test_without_a_table_all_is_as_it_was() -> None:
    """Present corpora stay what they are."""
    assert SidecarConfig().model_dump() == {"kind": "sidecar", "frames": 0, "max_chars": 2000}
    assert SidecarConfig().fingerprint_params() == {"kind": "sidecar", "frames": 0, "max_chars": 2000}
    assert SidecarConfig().revision == "rule-1"
    assert found(SidecarConfig(), clip("a.mp4")) == ["beside"]
    again = TypeAdapter(AnyCaptioner).validate_json(SidecarConfig(table="a.csv").model_dump_json())
    assert again == SidecarConfig(table="a.csv")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "expected the columns id and caption or youtube_id and caption or file and caption"),
        ("t.csv", b"id,text\na,b\n", "the columns id and caption.*found id, text"),
        ("t.csv", b"id,caption,caption\na,b,c\n", "once each"),
        ("t.csv", b"id,caption\n", "at least one row"),
        ("t.csv", b"id,caption\n ,x\nb, \n", "at least one row"),
        ("t.csv", b"id,caption\na,b,c\n", "a table of texts.*Expected 2 columns, got 3"),
        ("t.csv", b"id,caption\na,\xff\xfe\n", "a table of texts"),
        ("t.csv", b"\xff\xfeid,caption\n", "a header in UTF-8"),
        ("t.csv", b'"id,caption', "header in UTF-8|the columns"),
        ("t.csv", b"<!DOCTYPE html><html>", "the columns id and caption"),
        ("t.parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "a table of texts"),
        ("t.parquet", b"id,caption\na,b\n", "a table of texts"),
        ("t.json", b"{}", r"expected a table \.csv or \.parquet"),
    ],
)
def test_what_is_no_table_is_refused_before_any_work(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        SidecarConfig(table=str(tmp_path / name)).require_ready()


def test_a_column_of_no_texts_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "caption": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(ConfigError, match="texts in the column id; found int64"):
        SidecarConfig(table=str(tmp_path / "t.parquet")).require_ready()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("limit", [{"MAX_ROWS": 99}, {"MAX_TABLE_BYTES": 2000}], ids=str)
def test_a_table_beyond_all_bounds_is_not_read(
    name: str, limit: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of Parquet a file of some hundred bytes may hold a text of any length, again and again."""
    rows = pa.table({"id": [f"{n}" for n in range(100)], "caption": ["x" * 100] * 100})
    pq.write_table(rows, tmp_path / "t.parquet", compression="zstd", use_dictionary=False)
    (tmp_path / "t.csv").write_text("id,caption\n" + "".join(f"{n},{'x' * 100}\n" for n in range(100)))
    for constant, value in limit.items():
        monkeypatch.setattr(table_module, constant, value)
    with pytest.raises(ConfigError, match="expected at most"):
        read_table(str(tmp_path / name), id_column=None, caption_column=None)


def test_a_table_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a table of captions; found no such file"):
        SidecarConfig(table=str(tmp_path / "no.csv")).require_ready()


@pytest.mark.parametrize("values", [{"id_column": "a"}, {"caption_column": "a", "table": "t.csv"}])
def test_half_of_the_columns_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give id_column and caption_column"):
        SidecarConfig.model_validate(values)
    with pytest.raises(ValidationError, match="are of a table"):
        SidecarConfig(id_column="a", caption_column="b")
