"""Checkpoints: whole or not at all, newest whole one found, damage skipped with a note, strangers refused."""

import errno
from pathlib import Path

import pytest
import torch

from uniform_core.errors import ConfigError, FormatTooNewError, StorageError
from uniform_core.training import checkpoint as module
from uniform_core.training.checkpoint import Checkpoint, CheckpointStore, find_damage, whole_folder

OURS = "f" * 32


def checkpoint(step: int, fingerprint: str = OURS) -> Checkpoint:
    weights = {"a.weight": torch.full((3, 2), float(step)), "b": torch.tensor(step)}
    return Checkpoint(step, fingerprint, model=weights, ema=weights, optimizer=weights, extra={"world": 2})


def test_what_is_saved_is_found_bit_for_bit(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "run", keep=2)
    assert store.latest(fingerprint=OURS) == (None, ())
    saved = checkpoint(7)
    store.save(saved)
    found, notes = store.latest(fingerprint=OURS)
    assert found is not None
    assert (found.step, found.extra, notes) == (7, {"world": 2}, ())
    for part in ("model", "ema", "optimizer"):
        left, right = getattr(saved, part), getattr(found, part)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_only_the_newest_are_kept_and_a_step_may_be_saved_again(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (1, 2, 10, 10):
        store.save(checkpoint(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_000000002", "step_000000010"]


@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("harm", ["truncated", "flipped", "gone"])
def test_a_damaged_one_is_skipped_with_a_note(tmp_path: Path, name: str, harm: str) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    store.save(checkpoint(1))
    path = store.save(checkpoint(2)) / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content[:-4] if harm == "truncated" else content)
    found, notes = store.latest(fingerprint=OURS)
    assert found is not None
    assert found.step == 1
    assert len(notes) == 1
    assert "step_000000002" in notes[0]
    assert name in notes[0]


def test_one_without_its_marker_does_not_exist(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    (store.save(checkpoint(1)) / "COMPLETE").unlink()
    found, notes = store.latest(fingerprint=OURS)
    assert found is None
    assert "no COMPLETE marker" in notes[0]


def test_a_stranger_and_a_newer_format_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    store.save(checkpoint(1, fingerprint="e" * 32))
    with pytest.raises(ConfigError, match="fingerprint of this run"):
        store.latest(fingerprint=OURS)
    monkeypatch.setattr(module, "FORMAT", 0)
    with pytest.raises(FormatTooNewError, match="format 0 or older"):
        store.latest(fingerprint="e" * 32)


def test_a_full_disk_leaves_the_older_one_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    store.save(checkpoint(1))

    def full(_path: Path, _tensors: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "save_tensors", full)
    with pytest.raises(StorageError, match="No space left on device"):
        store.save(checkpoint(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000001"]


def test_a_killed_writer_is_not_seen_and_its_litter_goes(tmp_path: Path) -> None:
    litter = tmp_path / ".partial-step_000000002-99"
    litter.mkdir()
    (litter / "model.safetensors").write_bytes(b"half")
    (tmp_path / "step_later").mkdir()
    store = CheckpointStore(tmp_path, keep=3)
    assert store.latest(fingerprint=OURS) == (None, ())
    store.save(checkpoint(2))
    assert not litter.exists()


def test_our_own_errors_pass_and_leave_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "file").write_text("1")
        raise ConfigError("item", expected="a", found="b", fix="c")

    with pytest.raises(ConfigError), whole_folder(tmp_path / "x") as folder:
        fail(folder)
    assert list(tmp_path.iterdir()) == []


def test_the_marker_is_the_last_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    flush = module.fsync
    monkeypatch.setattr(module, "fsync", lambda path: (flushed.append(path.name), flush(path))[1])
    folder = CheckpointStore(tmp_path, keep=1).save(checkpoint(3))
    partial = next(name for name in flushed if name.startswith(".partial"))
    assert flushed.index("COMPLETE") == flushed.index(partial) - 1
    assert {path.name for path in folder.iterdir()} <= set(flushed)
    assert find_damage(folder) is None


@pytest.mark.parametrize("marker", ["{}", "null", "[]", '{"model.safetensors": {}}', '{"model.safetensors": 1}', "{"])
def test_a_marker_that_names_nothing_is_damage(marker: str, tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    store.save(checkpoint(1))
    store.save(checkpoint(2))
    (tmp_path / "step_000000002" / module.MARKER).write_text(marker)
    found, notes = store.latest(fingerprint=OURS)
    assert found is not None
    assert found.step == 1
    assert len(notes) == 1
