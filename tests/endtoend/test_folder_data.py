"""Real input: a folder of mixed and damaged files, from the files to the scores of a model that was trained on them.

Every file is in `clips` or in `attempts`, with a reason.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import media_files
import pytest
from command_line import short_home, uniform
from report_page import assert_page_opens_and_plays
from services import seed_prefect, seed_tracking

REASONS = {
    "empty.mp4": "empty_file",
    "page.mp4": "not_media",
    "words.mp4": "not_media",
    "silent_film.mp4": "no_audio",
    "song.mp4": "no_video",
    "short.mp4": "too_short",
    "cut.mp4": "undecodable",  # its index lay in the half that is gone
    "noise.mp4": "truncated",  # its index is damaged: most of the picture cannot be found
    "twice.mpg": "bad_timestamps",
}
LENGTHS_S = {
    "dogs/-leading dash.mp4": 5.0,
    "dogs/strange näme\n.webm": 2.5,
    "cats/mono.avi": 2.5,
    "cats/five.mp4": 2.5,
    "dogs/old.mpeg": 2.5,
    "dogs/phone.mp4": 2.5,
    "cats/free.ogg": 2.5,
    "quiet.mp4": 2.5,
    "noise.mp4": 2.5,
    "twice.mpg": 5.0,
}
CLIP_S = 1.5
GOOD = (
    *("dogs/-leading dash.mp4", "dogs/strange näme\n.webm", "dogs/old.mpeg", "dogs/phone.mp4"),
    *("cats/mono.avi", "cats/five.mp4", "cats/free.ogg", "quiet.mp4"),
)


MPEG = {"container": "mpeg", "video_codec": "mpeg1video", "audio_codec": "mp2"}
FILMS: dict[str, dict[str, Any]] = {  # 2.5 s each where nothing else is said
    "dogs/-leading dash.mp4": {"duration_s": 5.0},
    "dogs/strange näme\n.webm": {"container": "webm", "video_codec": "libvpx", "audio_codec": "libopus"},
    "dogs/old.mpeg": MPEG,
    "dogs/phone.mp4": {"kept": [n for n in range(62) if n % 5 not in (1, 2)]},  # a rate that varies
    "cats/mono.avi": {"container": "avi", "video_codec": "mpeg4", "audio_codec": "pcm_s16le", "layout": "mono"},
    "cats/five.mp4": {"layout": "5.1"},
    "cats/free.ogg": {"container": "ogg", "video_codec": "libvpx", "audio_codec": "libopus"},
    "quiet.mp4": {"silent": True},
    "silent_film.mp4": {"audio_codec": None},
    "song.mp4": {"video_codec": None},
    "short.mp4": {"duration_s": 1.0},
    "twice.mpg": MPEG,
}


def strangers_videos(root: Path) -> Path:
    """A folder as people have them: formats of all kinds, damage, what is no film, captions beside."""
    for name, how in FILMS.items():
        (root / name).parent.mkdir(exist_ok=True)
        media_files.write(root / name, **{"duration_s": 2.5, **how})
    (root / "twice.mpg").write_bytes((root / "twice.mpg").read_bytes() * 2)
    (root / "empty.mp4").write_bytes(b"")
    (root / "page.mp4").write_text("<!doctype html><title>404</title>")
    (root / "words.mp4").write_text("this is no film\n" * 50)
    media_files.truncate(root / "dogs" / "-leading dash.mp4", root / "cut.mp4", fraction=0.5)
    media_files.flip_bytes(root / "cats" / "five.mp4", root / "noise.mp4", count=400, seed=1)
    (root / "cats" / "five.txt").write_text("five speakers\n")
    (root / "captions.csv").write_text("file,caption\nquiet.mp4,a quiet room\n")
    return root


@pytest.fixture(scope="module")
def folder_home(
    tmp_path_factory: pytest.TempPathFactory, prefect_template: Path, tracking_template: Path
) -> Iterator[tuple[Path, Path, Any]]:
    root = strangers_videos(tmp_path_factory.mktemp("videos"))
    home = short_home("folder")
    seed_prefect(prefect_template, home)
    seed_tracking(tracking_template, home)
    words = ("--preset", "nano", "--data", f"folder:{root}", "--set", "data.held_out_fraction=0.4")
    done = uniform("run", *words, "--json", home=home)
    assert done.code == 0, done.err[-3000:]
    yield root, home, done.json
    shutil.rmtree(home.parent)


def test_every_stage_ends_well_and_gives_scores_and_a_report(folder_home: tuple[Path, Path, Any]) -> None:
    _, home, said = folder_home
    done = {row["stage"]: row for row in said["stages"]}
    assert {"train", "sample", "features", "evaluate"} <= {name for name, row in done.items() if row["done"]}
    assert done["ingest"]["failed"] == len(REASONS) - 1  # twice.mpg has given a clip
    assert {row["failed"] for name, row in done.items() if name != "ingest"} == {0}
    scores = uniform("query", "SELECT * FROM scores WHERE system = 'uniform'", "--json", home=home).json
    assert {row["task"] for row in scores} == {"t2av", "a2v", "v2a"}
    assert all((row["value"] is None) != (row["reason"] is None) for row in scores)
    found = {row["name"].split(".")[0] for row in scores if row["value"] is not None}
    assert {"fvd", "fad", "kvd", "av_align", "synchrony"} <= found
    page = Path(said["paths"]["report"]).read_text("utf-8")
    assert "<video" in page
    assert said["gate"]["verdict"] == "failed", "eight steps teach nothing, and one check that fails decides"
    assert 'class="panel banner failed"' in page
    without = {check["check"]: check["reason"] for check in said["gate"]["checks"] if check["found"] is None}
    assert {"colour as asked", "size as asked", "pitch as asked", "onsets"} <= without.keys()
    assert all(without.values()), "each says why"
    for why in ("no clip has known events", "no clip has a known colour", "No times of events are known"):
        assert why in page, "what cannot be computed says why"
    assert uniform("catalog", "verify", "--json", home=home).json == []


def test_its_page_opens_in_a_browser_and_says_what_the_nets_have_not_seen(
    folder_home: tuple[Path, Path, Any], browser: Any
) -> None:
    _, _, said = folder_home
    assert_page_opens_and_plays(browser, said)
    assert said["remark"].startswith("The feature nets were taught by clips of 2 rendered classes, by none of folder-")
    for part in ("gate", "scores"):
        assert browser.run(f"document.querySelector('#{part} .strangers').innerText") == said["remark"]


def test_every_window_of_every_file_is_a_clip_or_has_a_true_reason(folder_home: tuple[Path, Path, Any]) -> None:
    root, home, _ = folder_home
    files = {
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and p.suffix not in (".txt", ".csv")
    }
    clips = uniform("query", "SELECT * FROM clips WHERE dataset LIKE 'folder%'", "--json", home=home).json
    failures = uniform("failures", "list", "--json", home=home).json
    spans: dict[str, list[tuple[float, float]]] = {}  # of windows: clips, and those that were refused one by one
    reason: dict[str, str] = {}  # of whole files, or of their rest
    classes: dict[str, list[str]] = {}  # of everything that was refused of a file
    for clip in clips:
        spans.setdefault(clip["source_id"], []).append((clip["start_ms"] / 1000, clip["end_ms"] / 1000))
    for row in failures:
        found = re.fullmatch(r"(.*?)(?: ([\d.]+)-([\d.]+) s)?", row["item"].split("/", 1)[1], re.DOTALL)
        assert found is not None
        classes.setdefault(found[1], []).append(row["error_class"])
        if found[2] is None:
            reason[found[1]] = row["error_class"]
        else:
            spans.setdefault(found[1], []).append((float(found[2]), float(found[3])))
    assert spans.keys() | reason.keys() == files
    assert files - reason.keys() <= LENGTHS_S.keys()
    for name, length_s in LENGTHS_S.items():
        reached_s = 0.0
        for start_s, end_s in sorted(spans.get(name, [])):
            assert start_s <= reached_s, name  # no window is left out
            reached_s = end_s
        assert reached_s > length_s - CLIP_S or name in reason, name
    assert classes == {name: [expected] for name, expected in REASONS.items()}
    made = {clip["source_id"] for clip in clips}
    assert "twice.mpg" in made
    assert set(GOOD) <= made


def test_long_files_give_windows_labels_are_folders_and_silence_is_a_flag(
    folder_home: tuple[Path, Path, Any],
) -> None:
    _, home, _ = folder_home
    clips = uniform("query", "SELECT * FROM clips WHERE dataset LIKE 'folder%'", "--json", home=home).json
    by_source: dict[str, list[dict[str, Any]]] = {}
    for clip in clips:
        by_source.setdefault(clip["source_id"], []).append(clip)
    assert [clip["start_ms"] for clip in sorted(by_source["dogs/-leading dash.mp4"], key=lambda c: c["start_ms"])] == [
        0,
        1500,
        3000,
    ]
    assert by_source["cats/mono.avi"][0]["label"] == "cats"
    assert by_source["quiet.mp4"][0]["label"] is None
    assert by_source["quiet.mp4"][0]["is_silent"]
    assert not by_source["cats/five.mp4"][0]["is_silent"]


def test_captions_come_from_companions_and_else_from_the_label(folder_home: tuple[Path, Path, Any]) -> None:
    _, home, _ = folder_home
    rows = uniform(
        "query",
        "SELECT c.source_id, k.captioner, t.text FROM captions k JOIN clips c USING (clip_id)"
        " JOIN caption_texts t USING (text_hash) WHERE c.dataset LIKE 'folder%'",
        "--json",
        home=home,
    ).json
    said = {(row["source_id"], row["captioner"]): row["text"] for row in rows}
    assert said["cats/five.mp4", "sidecar"] == "five speakers"
    assert said["quiet.mp4", "sidecar"] == "a quiet room"
    assert said["cats/mono.avi", "class_label"] == "cats"


def test_a_file_that_changed_is_ingested_again_and_nothing_else(folder_home: tuple[Path, Path, Any]) -> None:
    root, home, _ = folder_home
    (root / "short.mp4").unlink()
    media_files.write(root / "short.mp4", duration_s=2.5)
    words = ("--preset", "nano", "--set", "data.held_out_fraction=0.4", "--json")
    done = uniform("ingest", f"folder:{root}", *words, home=home)
    assert done.code == 0, done.err[-2000:]
    assert [row["done"] for row in done.json["stages"]] == [1]


def test_a_filter_that_asks_how_sound_fits_has_the_clips_screened(folder_home: tuple[Path, Path, Any]) -> None:
    root, home, _ = folder_home
    words = ("--preset", "nano", "--set", "data.held_out_fraction=0.4", "--set", "data.filters.max_offset_s=10")
    done = uniform("ingest", f"folder:{root}", *words, "--json", home=home)
    assert done.code == 0, done.err[-2000:]
    stages = {row["stage"]: row["done"] for row in done.json["stages"]}
    clips = "SELECT count(*) AS n FROM clips WHERE dataset LIKE 'folder%'"
    screened = f"{clips} AND clip_id IN (SELECT clip_id FROM screens)"
    [[whole], [seen]] = [uniform("query", sql, "--json", home=home).json for sql in (clips, screened)]
    assert stages["screen"] == whole["n"] == seen["n"]
