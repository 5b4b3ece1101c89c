"""Whose clips belong together: names, tables, and everything that is refused before any work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from uniform_core.corpus.anybody.contents import require_one_rate, wants_facts
from uniform_core.corpus.anybody.found import MediaFiles, found_in
from uniform_core.corpus.anybody.matching import Sides, by_table, require_partners
from uniform_core.errors import ConfigError
from uniform_core.media import SourceFacts
from uniform_core.metrics.frechet import FrechetConfig
from uniform_core.metrics.protocols import PROTOCOLS
from uniform_core.types import Task


def put(root: Path, *names: str, data: bytes = b"x") -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def sides_of(generated: list[str], reference: list[str]) -> Sides:
    def files(names: list[str]) -> dict[str, MediaFiles]:
        return {name: MediaFiles(Path(f"{name}.mp4"), None) for name in sorted(names)}

    return Sides(files(generated), files(reference))


def test_films_sounds_and_silent_films_with_their_sound_are_found_by_their_names(tmp_path: Path) -> None:
    put(tmp_path, "b.mp4", "b.WAV", "a.wav", "deep/c.webm", "notes.txt", ".hidden.mp4", ".cache/d.mp4")
    found = found_in(tmp_path, flag="--generated")
    assert list(found) == ["a", "b", "deep/c"]
    assert found["a"] == MediaFiles(None, tmp_path / "a.wav")
    assert found["b"] == MediaFiles(tmp_path / "b.mp4", tmp_path / "b.WAV")
    assert found["deep/c"] == MediaFiles(tmp_path / "deep/c.webm", None)


def test_a_folder_without_media_is_refused(tmp_path: Path) -> None:
    for path, found in (
        (tmp_path, "none"),
        (tmp_path / "no", "nothing there"),
        (put(tmp_path, "f.txt") / "f.txt", "a file"),
    ):
        with pytest.raises(ConfigError) as refused:
            found_in(path, flag="--generated")
        assert refused.value.found == found


def test_empty_files_and_names_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "empty", "a.mp4")
    put(tmp_path / "empty", *(f"{n}.mp4" for n in range(4)), data=b"")
    with pytest.raises(ConfigError, match=r"4 others: 0\.mp4, 1\.mp4, 2\.mp4, …"):
        found_in(tmp_path / "empty", flag="--generated")
    put(tmp_path / "twice", "a.mp4", "a.mkv")
    with pytest.raises(ConfigError, match=r"found a\.mkv and a\.mp4"):
        found_in(tmp_path / "twice", flag="--generated")


def test_links_may_lead_to_files_of_the_folder_only(tmp_path: Path) -> None:
    root = put(tmp_path / "in", "a.mp4")
    (root / "b.mp4").symlink_to(root / "a.mp4")
    assert list(found_in(root, flag="--generated")) == ["a", "b"]
    put(tmp_path, "secret.mp4")
    (root / "c.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "d.mp4").symlink_to("../secret.mp4")
    with pytest.raises(ConfigError, match=r"inside the folder; found 2 others: c\.mp4, d\.mp4"):
        found_in(root, flag="--generated")


def test_names_that_do_not_match_are_counted_and_shown(tmp_path: Path) -> None:
    sides = sides_of(["a", "b", "c", "d", "e"], ["a", "v", "w", "x", "y"])
    assert sides.pairs == ("a",)
    with pytest.raises(ConfigError) as refused:
        require_partners(sides, why="kl compares pair by pair")
    assert refused.value.found == "none for 4 of 5: b, c, d, …; of the reference 4 are left over: v, w, x, …"
    require_partners(sides_of(["a"], ["a", "b"]), why="a larger reference is no mistake")


def test_films_of_different_rates_are_refused_where_they_are_compared_at_their_own() -> None:
    sides = sides_of(["a", "b"], ["a"])
    compared = [m for m in PROTOCOLS["styleganv"].metrics if isinstance(m, FrechetConfig)][:1]
    free = PROTOCOLS["mmdiffusion"].metrics
    facts = {Path("a.mp4"): facts_at(25.0), Path("b.mp4"): facts_at(30.0)}
    with pytest.raises(ConfigError) as refused:
        require_one_rate(sides, compared, facts)
    assert refused.value.found == "generated a at 25 Hz, generated b at 30 Hz"
    assert "leave out --protocol styleganv" in refused.value.fix
    require_one_rate(sides, free, facts)
    require_one_rate(sides, compared, {Path("a.mp4"): facts_at(29.97), Path("b.mp4"): facts_at(30000 / 1001)})
    assert (wants_facts(compared, Task.T2AV), wants_facts(free, Task.T2AV), wants_facts(free, Task.A2V)) == (
        *(True, False, True),
    )


def facts_at(rate_hz: float) -> SourceFacts:
    unsaid = {field.name: None for field in dataclasses.fields(SourceFacts)}
    return SourceFacts(**{**unsaid, "video_rate_hz": rate_hz})


def test_a_limit_takes_the_first_clips_and_their_partners_first() -> None:
    sides = sides_of(["b", "c", "d"], ["a", "c", "d", "e"]).first(2)
    assert list(sides.generated) == ["b", "c"]
    assert list(sides.reference) == ["a", "c"]
    whole = sides_of(["b"], ["a"])
    assert whole.first(None) is whole


def test_a_table_pairs_names_with_or_without_their_suffix(tmp_path: Path) -> None:
    table = (
        put(tmp_path, "match.csv", data="\ufeffReference,Generated\nx.mp4,b\ny,a.mp4\n\nx,c.mp4\n".encode())
        / "match.csv"
    )
    sides = by_table(table, sides_of(["a", "b", "c", "d"], ["x", "y", "z"]))
    assert list(sides.generated) == ["a", "b", "c"]
    assert {key: one.film for key, one in sides.reference.items()} == {
        "a": Path("y.mp4"),
        "b": Path("x.mp4"),
        "c": Path("x.mp4"),
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("../a,x", "no path inside the folder"),
        ("/etc/passwd,x", "no path inside the folder"),
        ("a,..\\x", "no path inside the folder"),
        ("a,x/../../x", "no path inside the folder"),
        ("a\u202e,x", "signs that are not shown"),
        ("a\x00,x", "signs that are not shown"),
        (" ,x", "found nothing"),
        (".,x", "found nothing"),
        ("a.wav,x", "which is not there"),
        ("q,x", "which is not there"),
        ("b,x", "a second time, after line 2"),
        ("a", "1 cells"),
        ("a,x,y", "3 cells"),
        ('"a,x', "CSV"),
    ],
)
def test_a_hostile_cell_is_refused_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    path = put(tmp_path, "match.csv", data=f"generated,reference\nb,x\n{line}\n".encode()) / "match.csv"
    with pytest.raises(ConfigError) as refused:
        by_table(path, sides_of(["a", "b"], ["x"]))
    assert "line 3" in str(refused.value)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,b\n", "the titles generated, reference"),
        (b"", "a line for each pair"),
        (b"generated,reference\n", "a line for each pair"),
        (b"generated,reference\n\xff,x\n", "UTF-8"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = put(tmp_path, "match.csv", data=data) / "match.csv"
    with pytest.raises(ConfigError, match=words):
        by_table(path, sides_of(["a"], ["x"]))
    with pytest.raises(ConfigError, match="place that can be read"):
        by_table(tmp_path / "none.csv", sides_of(["a"], ["x"]))
