"""Weights by name and by path: what is there, what it is, and what is said where it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from weights_entries import made_up

from uniform_core.errors import ConfigError
from uniform_core.fingerprint import bytes_sha256, digest, file_sha256
from uniform_core.weights import MANIFEST, WeightsFile, find_weights, weights_digest
from uniform_core.weights.found import PINS, folder_of
from uniform_core.weights.verify import verify_weights

NAME = "made-up"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setitem(MANIFEST, NAME, made_up(WeightsFile(path="config.json"), WeightsFile(path="model.safetensors")))
    return tmp_path / "weights"


def put(root: Path, name: str = NAME) -> Path:
    for file in MANIFEST[name].files:
        path = root / name / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.path.encode())
    return root / name


def test_a_name_gives_every_file_of_its_entry(root: Path) -> None:
    folder = put(root)
    found = find_weights(NAME)
    assert found.root == folder == folder_of(MANIFEST[NAME])
    assert found.files == {file.path: folder / file.path for file in MANIFEST[NAME].files}
    with pytest.raises(ConfigError, match=r"expected a file nothing\.bin; found config\.json, model\.safetensors"):
        found.file("nothing.bin")


def test_what_is_missing_is_named_with_its_size_its_licence_and_the_command(root: Path) -> None:
    folder = put(root, "audioldm-s-full-v2")
    (folder / "vocoder" / "model.safetensors").unlink()
    with pytest.raises(ConfigError) as error:
        find_weights("audioldm-s-full-v2")
    words = str(error.value)
    assert "vocoder/model.safetensors (" in words
    assert "vae/config.json" not in words
    assert "about 221.0 MB" in words
    assert "uniform weights pull audioldm-s-full-v2" in words
    assert "NO COMMERCIAL USE" in words


@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_path_is_taken_as_it_is(form: str, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.safetensors").write_bytes(b"1")
    word = str(tmp_path / "sub" / "a.safetensors") if form == "file" else str(tmp_path)
    found = find_weights(word)
    assert list(found.files) == ["a.safetensors" if form == "file" else "sub/a.safetensors"]
    with pytest.raises(ConfigError, match="expected a file or a folder; found neither"):
        find_weights(str(tmp_path / "none"))


def test_an_unknown_name_lists_those_that_are_known(root: Path) -> None:
    with pytest.raises(ConfigError, match=f"one of .*{NAME}"):
        find_weights("opensora-vae")
    with pytest.raises(ConfigError, match=r"Did you mean 'flan-t5-xxl'\?"):
        find_weights("flan_t5_xxl")
    with pytest.raises(ConfigError, match=f"one of .*{NAME}"):
        weights_digest("opensora-vae")


def test_a_digest_is_of_content_and_not_of_the_place(root: Path, tmp_path: Path) -> None:
    assert weights_digest(NAME) is None
    folder = put(root)
    first = weights_digest(NAME)
    assert first == digest({file.path: file_sha256(folder / file.path) for file in MANIFEST[NAME].files})
    assert weights_digest(str(folder)) == first
    folder.rename(tmp_path / "elsewhere")
    assert weights_digest(str(tmp_path / "elsewhere")) == first
    (tmp_path / "elsewhere" / "config.json").write_bytes(b"other")
    assert weights_digest(str(tmp_path / "elsewhere")) != first
    assert weights_digest(str(tmp_path / "none")) is None


def test_pinned_hashes_are_believed_without_reading_gigabytes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(root)
    pins = {file.path: {"sha256": "0" * 64, "size_bytes": len(file.path)} for file in MANIFEST[NAME].files}
    (folder / PINS).write_text(json.dumps(pins))
    assert weights_digest(NAME) == digest(dict.fromkeys(pins, "0" * 64))
    (folder / "config.json").write_bytes(b"no longer what it was")
    true = {"config.json": file_sha256(folder / "config.json"), "model.safetensors": "0" * 64}
    assert weights_digest(NAME) == digest(true), "a pin of other bytes is not believed"
    (folder / PINS).write_text('{"config.json": {"sha256": "no", "size_bytes": 1}}')
    with pytest.raises(ConfigError, match=r"pins\.json: expected pinned sha256 as JSON"):
        find_weights(NAME)
    (folder / PINS).write_text("{")
    with pytest.raises(ConfigError, match=r"pins\.json: expected pinned sha256 as JSON"):
        weights_digest(NAME)


def test_weights_whose_hashes_are_published_have_a_digest_before_they_are_here(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes_sha256(b"content")
    monkeypatch.setitem(MANIFEST, NAME, made_up(WeightsFile(path="model.safetensors", sha256=content)))
    assert weights_digest(NAME) == digest({"model.safetensors": content})
    put(root)
    (root / NAME / "model.safetensors").write_bytes(b"content")
    assert weights_digest(NAME) == digest({"model.safetensors": content})


def test_another_file_under_a_published_name_is_refused_wherever_it_came_from(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes_sha256(b"content")
    monkeypatch.setitem(MANIFEST, NAME, made_up(WeightsFile(path="model.safetensors", sha256=content)))
    path = put(root) / "model.safetensors"
    found = file_sha256(path)
    words = rf"weights {NAME}: {path}: expected sha256 {content}, as published; found {found}\."
    with pytest.raises(ConfigError, match=words):
        weights_digest(NAME)
    pins = {"model.safetensors": {"sha256": found, "size_bytes": path.stat().st_size}}
    (path.parent / PINS).write_text(json.dumps(pins))
    with pytest.raises(ConfigError, match=words):
        weights_digest(NAME)
    assert weights_digest(str(path)) == digest({"model.safetensors": found}), "by its path it is what it is"


def test_what_cannot_be_read_is_one_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = (WeightsFile(path="config.json"), WeightsFile(path="model.safetensors", sha256="0" * 64))
    monkeypatch.setitem(MANIFEST, NAME, made_up(*files))
    folder = put(root)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/proc/self/mem")  # a file that opens, and gives nothing to anybody
    for word in (NAME, str(folder)):
        with pytest.raises(ConfigError, match=r"expected a place that can be read; found Input/output error"):
            weights_digest(word)
    with pytest.raises(ConfigError, match="found File name too long"):
        find_weights("/" + "a" * 300)
    findings = {finding.path: finding for finding in verify_weights([NAME])}
    assert findings["config.json"].verdict == "unknown", "one that cannot be read hides no other"
    assert findings["model.safetensors"].verdict == "unreadable"
    assert "Input/output error" in findings["model.safetensors"].detail


def test_the_home_of_somebody_whom_nobody_knows_is_one_error() -> None:
    for look in (find_weights, weights_digest):
        with pytest.raises(ConfigError, match=r"found ~nobody-has-this-name, whose home nobody knows"):
            look("~nobody-has-this-name/weights")


def test_what_is_on_its_way_is_no_part_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"1")
    before = weights_digest(str(tmp_path))
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / "b.safetensors").write_bytes(b"2")
    (tmp_path / PINS).write_text("{}")
    assert list(find_weights(str(tmp_path)).files) == ["a.safetensors"]
    assert weights_digest(str(tmp_path)) == before


def test_weights_lie_in_the_home_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNIFORM_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("UNIFORM_HOME", str(tmp_path / "home"))
    name = "opensora-vae-1.2"
    assert folder_of(MANIFEST[name]) == tmp_path / "home" / "weights" / name
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", os.path.relpath(tmp_path / "other"))
    assert folder_of(MANIFEST[name]) == tmp_path / "other" / name
