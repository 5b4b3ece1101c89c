"""Weights that a person has already: taken, verified, pinned; and what `verify` says of what is here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from weights_entries import made_up

from uniform_core.errors import ConfigError, ServiceError
from uniform_core.fingerprint import bytes_sha256
from uniform_core.weights import MANIFEST, WeightsFile, find_weights, take, weights_digest
from uniform_core.weights.pins import read_pins
from uniform_core.weights.pull import pull_weights
from uniform_core.weights.verify import names_here, verify_weights

BIG = b"weights" * 1000
FILES = (WeightsFile(path="config.json"), WeightsFile(path="sub/big.bin", sha256=bytes_sha256(BIG)))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setitem(MANIFEST, "made-up", made_up(*FILES))
    return tmp_path / "weights" / "made-up"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder as the hub's cache has it: links to files that are named otherwise."""
    (tmp_path / "given" / "sub").mkdir(parents=True)
    (tmp_path / "given" / "config.json").write_bytes(b"{}")
    (tmp_path / "blob").write_bytes(BIG)
    (tmp_path / "given" / "sub" / "big.bin").symlink_to(tmp_path / "blob")
    return tmp_path / "given"


def test_a_folder_is_taken_without_a_network_and_without_a_second_copy(root: Path, given: Path) -> None:
    assert [one.state for one in pull_weights("made-up", given=given)] == ["taken", "taken"]
    assert find_weights("made-up").file("sub/big.bin").read_bytes() == BIG
    assert not (root / "sub" / "big.bin").is_symlink()
    assert (root / "sub" / "big.bin").samefile(given / "sub" / "big.bin")
    assert set(read_pins(root)) == {"config.json", "sub/big.bin"}
    assert (given / "config.json").read_bytes() == b"{}", "what was given stays"
    assert [one.state for one in pull_weights("made-up", given=given)] == ["was here", "was here"]


def test_where_no_link_can_be_made_it_is_copied(root: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: object, **_more: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    pull_weights("made-up", given=given)
    assert not (root / "sub" / "big.bin").samefile(given / "sub" / "big.bin")
    assert (root / "sub" / "big.bin").read_bytes() == BIG


def test_files_may_lie_flat_or_be_given_one_by_one(root: Path, given: Path) -> None:
    (given / "big.bin").write_bytes(BIG)
    (given / "sub" / "big.bin").unlink()
    with pytest.raises(ConfigError, match=r"expected config\.json at .*big\.bin; found no such file"):
        pull_weights("made-up", given=given / "big.bin")
    assert (root / "sub" / "big.bin").read_bytes() == BIG, "what was found is taken"
    states = {one.path: one.state for one in pull_weights("made-up", given=given)}
    assert states == {"config.json": "taken", "sub/big.bin": "was here"}


def test_a_name_that_two_files_have_is_not_guessed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = (WeightsFile(path="vae/config.json"), WeightsFile(path="vocoder/config.json"))
    monkeypatch.setitem(MANIFEST, "made-up", made_up(*two))
    (tmp_path / "config.json").write_bytes(b"{}")
    for given in (tmp_path, tmp_path / "config.json"):
        with pytest.raises(ConfigError, match=r"expected vae/config\.json, vocoder/config\.json at "):
            pull_weights("made-up", given=given)


def test_a_persons_file_is_never_written_into(root: Path, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended while it was taken, as by a kill: a download that then goes on must not go on in the person's own file."""

    def end(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    partial = root / ".partial" / "sub" / "big.bin"
    with monkeypatch.context() as patch:
        patch.setattr(take, "require_right", end)
        patch.setattr(Path, "unlink", lambda *_arguments, **_more: None)
        with pytest.raises(KeyboardInterrupt):
            pull_weights("made-up", given=given / "sub" / "big.bin")
    assert [path.name for path in partial.parent.iterdir()] == ["big.bin.given"]
    partial.write_bytes(BIG[:10])  # and a download had been begun
    pull_weights("made-up", given=given)
    assert find_weights("made-up").file("sub/big.bin").read_bytes() == BIG
    assert not partial.parent.exists(), "nothing is left of either"


def test_a_file_that_is_another_is_not_taken(root: Path, given: Path) -> None:
    (given / "sub" / "big.bin").unlink()
    (given / "sub" / "big.bin").write_bytes(BIG[:-1])
    with pytest.raises(ConfigError, match=f"expected sha256 {FILES[1].sha256}; found .*damaged or another file"):
        pull_weights("made-up", given=given)
    assert not (root / "sub" / "big.bin").exists()
    assert not (root / ".partial" / "sub").exists() or not list((root / ".partial" / "sub").iterdir())
    (given / "config.json").write_bytes(b"{other}")
    (root / "config.json").unlink()
    with pytest.raises(ServiceError, match="config\\.json: expected 2 bytes; found 7"):
        pull_weights("made-up", given=given)  # it is not the one that first came


def test_a_place_where_nothing_is(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected config\.json, sub/big\.bin at .*nowhere; found none of them"):
        pull_weights("made-up", given=tmp_path / "nowhere")


def test_verify_names_every_file_and_what_became_of_it(root: Path, given: Path) -> None:
    assert names_here() == []
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["missing", "missing"]
    pull_weights("made-up", given=given)
    assert names_here() == ["made-up"]
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["whole", "whole"]
    (root / "config.json").unlink()
    (root / "config.json").write_bytes(b"[]")  # as long as it was
    (root / "sub" / "big.bin").unlink()
    found = {finding.path: finding for finding in verify_weights(["made-up"])}
    assert found["config.json"].verdict == "damaged"
    expected = f"found {bytes_sha256(b'[]')}; remove {root / 'config.json'}, then pull"
    assert found["config.json"].detail.endswith(expected)
    assert found["sub/big.bin"].verdict == "missing"
    with pytest.raises(ConfigError, match="one of "):
        verify_weights(["nobody"])


def test_a_file_that_does_not_begin_as_published_is_refused(
    root: Path, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = bytes_sha256(BIG)[:8]
    right, wrong = (WeightsFile(path="sub/big.bin", sha256_prefix=prefix) for prefix in (begins, "00000000"))
    monkeypatch.setitem(MANIFEST, "made-up", made_up(wrong))
    with pytest.raises(ConfigError, match="expected sha256 00000000…; found"):
        pull_weights("made-up", given=given)
    monkeypatch.setitem(MANIFEST, "made-up", made_up(right))
    assert [one.state for one in pull_weights("made-up", given=given)] == ["taken"]
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["whole"]
    monkeypatch.setitem(MANIFEST, "made-up", made_up(wrong))
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["damaged"]
    with pytest.raises(ConfigError, match="sha256 00000000…, as published"):
        weights_digest("made-up")
