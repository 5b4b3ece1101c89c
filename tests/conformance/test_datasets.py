"""What every dataset promises. A new member is tested the moment `uniform_core.datasets` imports it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from index_files import lay_indexes
from pydantic import TypeAdapter, ValidationError

from uniform_core import datasets
from uniform_core.datasets import DatasetConfig, IndexDataset
from uniform_core.errors import Rejection
from uniform_core.fingerprint import canonical_json
from uniform_core.spec import AVSpec

SPEC = AVSpec(duration_s=2.0, video_rate_hz=16, height_px=32, width_px=32, canonical_short_side_px=32, hop=250)


@pytest.fixture(params=datasets.MEMBERS, ids=lambda member: member.model_fields["kind"].default)
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetConfig:
    """The member's example, in a working directory with folders `videos` and `indexes`, for those that read them."""
    lay_indexes(tmp_path / "indexes")
    (tmp_path / "videos" / "cats").mkdir(parents=True)
    for name, content in {"a.mp4": b"one", "cats/b.webm": b"two", "cats/b.txt": b"a cat", "empty.avi": b""}.items():
        (tmp_path / "videos" / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return request.param.example()


def test_items_are_many_distinct_and_the_same_on_every_call(config: DatasetConfig):
    items = list(config.items(SPEC))
    assert items
    assert items == list(config.items(SPEC))
    assert len({(item.dataset, item.source_id) for item in items}) == len(items)
    assert {item.dataset for item in items} == {part.name for part in config.parts}
    assert all(item.split for item in items)


def test_windows_are_as_long_as_a_clip_and_events_ascend(config: DatasetConfig):
    """A clip that an index names by time is its window; what of it is used is the spec's to say."""
    for item in config.items(SPEC):
        length_s = SPEC.duration_s if item.span is None else item.span.end_s - item.span.start_s
        for window in item.windows or ():
            assert window.start_s >= 0
            assert window.end_s - window.start_s == pytest.approx(length_s)
        times = item.event_times_s or ()
        assert list(times) == sorted(times)


def test_items_write_nothing(config: DatasetConfig, tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    list(config.items(SPEC))
    assert sorted(tmp_path.rglob("*")) == before


def test_fetch_gives_a_file_and_the_second_time_leaves_it_alone(config: DatasetConfig, tmp_path: Path):
    directory = tmp_path / "media"
    for item in config.items(SPEC):
        [part] = [part for part in config.parts if part.name == item.dataset]
        if isinstance(part, IndexDataset):  # its files are fetched by a stage of its own
            directory.mkdir(exist_ok=True)
            (directory / f"{item.source_id}.mp4").write_bytes(b"fetched")
        first = config.fetch(item, directory)
        assert not isinstance(first, Rejection)
        assert first.is_file()
        made = first.stat()
        assert config.fetch(item, directory) == first
        assert (first.stat().st_mtime_ns, first.stat().st_ino) == (made.st_mtime_ns, made.st_ino)
    assert not list(tmp_path.rglob("*.part"))


def test_parts_list_what_the_whole_does_and_have_names_of_their_own(config: DatasetConfig):
    parts = config.parts
    assert [item for part in parts for item in part.items(SPEC)] == list(config.items(SPEC))
    assert len({part.name for part in parts}) == len(parts)
    assert all(part.parts == (part,) for part in parts), "a part has no parts"
    assert config in parts or len(parts) > 1


def test_fingerprint_is_stable_json_without_places(config: DatasetConfig, tmp_path: Path):
    text = canonical_json(config.fingerprint_params())
    assert text == canonical_json(type(config).example().fingerprint_params())
    assert str(tmp_path) not in text


def test_config_survives_json_and_the_union_tells_it_apart(config: DatasetConfig):
    again = TypeAdapter(datasets.AnyDataset).validate_json(config.model_dump_json())
    assert type(again) is type(config)
    assert again == config


def test_unknown_keys_are_refused(config: DatasetConfig):
    with pytest.raises(ValidationError, match="no_such_key"):
        type(config).model_validate({**config.model_dump(), "no_such_key": 1})


def test_cut_rule_does_not_accept_nonsense(config: DatasetConfig):
    with pytest.raises(ValidationError, match="clip_s"):
        type(config).model_validate({**config.model_dump(), "clip_s": 0})


def test_reject_fraction_is_a_fraction(config: DatasetConfig):
    assert 0.0 < config.max_reject_fraction <= 1.0


def test_importing_datasets_and_captioners_stays_cheap():
    probe = (
        "import sys, uniform_core.datasets, uniform_core.captioners; "
        "print([name for name in ('torch', 'ray', 'prefect', 'mlflow', 'decord', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
