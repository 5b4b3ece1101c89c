"""Weights pulled from a stand-in of the hub by the real library: kills, changes, gates, and what is pinned."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants as hub
import pytest
from weights_entries import made_up
from weights_server import COMMIT, WeightsServer, certificate, running

from uniform_core.download import Patience
from uniform_core.errors import ConfigError, ServiceError, StorageError
from uniform_core.fingerprint import file_sha256
from uniform_core.progress import ProgressEvent
from uniform_core.weights import MANIFEST, Weights, WeightsFile, find_weights, weights_digest
from uniform_core.weights.pins import PINS, read_pins
from uniform_core.weights.pull import pull_weights
from uniform_core.weights.verify import verify_weights

REPO = "maker/made-up"
BIG, CONFIG = random.Random(1).randbytes(400_000), b'{"width": 8}'
SHA256 = hashlib.sha256(BIG).hexdigest()
HURRY = Patience(silence_s=5.0, tries=2, pause_s=0.0)
CDN = f"/cdn/{SHA256}"


def entry(*, sha256: str | None = None, **more: Any) -> Weights:
    return made_up(WeightsFile(path="config.json"), WeightsFile(path="sub/big.bin", sha256=sha256, **more))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIFORM_WEIGHTS_DIR", str(tmp_path / "weights"))
    monkeypatch.setitem(MANIFEST, "made-up", entry())
    return tmp_path / "weights" / "made-up"


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    """The hub, with both files; the library reads its address when it is imported."""
    with running() as started:
        monkeypatch.setattr(hub, "ENDPOINT", started.url(""))
        monkeypatch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", started.url("/{repo_id}/resolve/{revision}/{filename}"))
        monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        started.put_hub(REPO, "config.json", CONFIG)
        started.put_hub(REPO, "sub/big.bin", BIG)
        yield started


def pull(**more: Any) -> dict[str, str]:
    return {one.path: one.state for one in pull_weights("made-up", patience=HURRY, **more)}


def test_files_come_whole_and_are_pinned_and_a_second_pull_asks_nobody(root: Path, server: WeightsServer) -> None:
    events: list[ProgressEvent] = []
    assert pull(on_progress=events.append) == {"config.json": "came", "sub/big.bin": "came"}
    found = find_weights("made-up")
    assert (found.file("config.json").read_bytes(), found.file("sub/big.bin").read_bytes()) == (CONFIG, BIG)
    assert {path: (pin.sha256, pin.size_bytes) for path, pin in read_pins(root).items()} == {
        "config.json": (hashlib.sha256(CONFIG).hexdigest(), len(CONFIG)),
        "sub/big.bin": (SHA256, len(BIG)),
    }
    assert events[-1].note == "sub/big.bin"
    assert not [path for path in (root / ".partial").rglob("*") if path.name != "lock"]
    assert COMMIT in "".join(asked.path for asked in server.asked), "the bytes are of the commit that was described"
    server.asked.clear()
    assert pull() == {"config.json": "was here", "sub/big.bin": "was here"}
    assert server.asked == []


def test_a_login_goes_to_the_hub_and_to_nobody_else(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    pull()
    assert {asked.headers.get("authorization") for asked in server.asked if "/cdn/" not in asked.path} == {
        "Bearer hf_secret"
    }
    assert all("authorization" not in asked.headers for asked in server.gets(CDN))
    assert server.gets(CDN)


def test_a_pull_that_is_killed_goes_on_where_it_was(root: Path, server: WeightsServer) -> None:
    """A process of its own, with the library's own setting of the address; killed as the bytes come."""
    server.files[CDN].piece, server.files[CDN].pause_s = 4000, 0.02
    env = {**os.environ, "HF_ENDPOINT": server.url(""), "HF_HUB_OFFLINE": "", "OMP_NUM_THREADS": "1"}
    words = [json.dumps([MANIFEST["made-up"].model_dump()]), "pull", "made-up", "--json"]
    command = [sys.executable, str(Path(__file__).parents[1] / "weights_entries.py"), *words]
    part, sizes = root / ".partial" / "sub" / "big.bin", []
    for least in (50_000, 200_000):
        process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(3000):
            if process.poll() is not None or (part.is_file() and part.stat().st_size >= least):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        assert process.returncode == -signal.SIGKILL, said.decode()
        sizes.append(part.stat().st_size)
        assert not (root / "sub" / "big.bin").exists(), "what stands under its own name is whole"
        with pytest.raises(ConfigError, match=r"expected sub/big\.bin \(size not published\) in .*uniform weights"):
            find_weights("made-up")
    server.files[CDN].pause_s = 0
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "its licence is CC-BY-NC-4.0: NO COMMERCIAL USE" in done.stderr
    states = {row["path"]: row["state"] for row in json.loads(done.stdout)}
    assert states == {"config.json": "was here", "sub/big.bin": "came"}
    assert (root / "sub" / "big.bin").read_bytes() == BIG
    assert [asked.start for asked in server.gets(CDN)] == [0, *sizes], "no byte came twice"


def test_a_published_hash_is_held_against_what_the_hub_says_before_anything_comes(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MANIFEST, "made-up", entry(sha256="0" * 64))
    with pytest.raises(ServiceError, match=f"expected {'0' * 64}, as published .*; found {SHA256}"):
        pull()
    monkeypatch.setitem(MANIFEST, "made-up", entry(size_bytes=399_999))
    with pytest.raises(ServiceError, match=r"expected 399999, as published .*; found 400000"):
        pull()
    monkeypatch.setitem(MANIFEST, "made-up", entry(about_bytes=300_000))
    with pytest.raises(ServiceError, match="at most 375,000 bytes; found 400,000"):
        pull()
    assert server.gets(CDN) == []
    assert (root / "config.json").is_file(), "what came before stays"


def test_bytes_that_are_not_those_that_the_hub_announced_are_thrown_away(root: Path, server: WeightsServer) -> None:
    server.files[CDN].data = BIG[:-1] + b"?"
    server.files[f"/{REPO}/resolve/main/sub/big.bin"] = type(server.files[CDN])(BIG)
    server.files[f"/{REPO}/resolve/{COMMIT}/sub/big.bin"] = type(server.files[CDN])(BIG)
    with pytest.raises(ServiceError, match=f"expected sha256 {SHA256}; found [0-9a-f]{{64}}.*thrown away"):
        pull()
    assert not (root / "sub" / "big.bin").exists()
    assert not (root / ".partial" / "sub").exists() or not list((root / ".partial" / "sub").iterdir())
    assert "sub/big.bin" not in read_pins(root)


def test_what_changed_upstream_is_not_taken_for_what_was_pinned(root: Path, server: WeightsServer) -> None:
    pull()
    digest = weights_digest("made-up")
    (root / "sub" / "big.bin").unlink()
    server.put_hub(REPO, "sub/big.bin", BIG[::-1])
    with pytest.raises(ServiceError, match=f"expected {SHA256}, as published or as it first came; found .*--from PATH"):
        pull()
    server.put_hub(REPO, "sub/big.bin", BIG)
    assert pull()["sub/big.bin"] == "came"
    assert weights_digest("made-up") == digest


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, None, r"found 401 .*accept its licence at https://huggingface\.co/maker/made-up, then `hf auth login`"),
        (403, "GatedRepo", r"found 403 .*accept its licence at https://huggingface\.co/maker/made-up"),
        (403, None, r"found 403 .*accept its licence"),
        (404, "RepoNotFound", "found 404 .*If it is gated"),
        (404, "EntryNotFound", r"expected a file at revision main; found 404 .*it may have moved.*--from PATH"),
        (404, "RevisionNotFound", "expected a file at revision main; found 404"),
        (500, None, "expected an answer of the hub; found 500 .*again later"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_error(
    status: int, code: str | None, said: str, root: Path, server: WeightsServer
) -> None:
    for path in (f"/{REPO}/resolve/main/config.json", f"/{REPO}/resolve/main/sub/big.bin"):
        server.files[path].status, server.files[path].error_code = status, code
    with pytest.raises(ServiceError, match=said) as error:
        pull()
    assert "maker/made-up: config.json" in error.value.item


def test_where_the_hub_cannot_be_reached_it_is_said_and_not_waited_for(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running() as gone:
        address = gone.url("/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(hub, "HUGGINGFACE_CO_URL_TEMPLATE", address)
    began = time.monotonic()
    with pytest.raises(ServiceError, match=r"found none \(ConnectError.*Look at the network and at HF_ENDPOINT"):
        pull()
    assert time.monotonic() - began < 30


def test_offline_names_what_is_missing(root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    pull()
    (root / "sub" / "big.bin").unlink()
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
    server.asked.clear()
    with pytest.raises(ConfigError, match=r"expected sub/big\.bin to be here already, since HF_HUB_OFFLINE is set"):
        pull()
    assert server.asked == []


def test_a_file_with_its_own_address_comes_over_https(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tls[0]))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    with running(tls=tls) as server:
        server.put_hub(REPO, "x.bin", BIG)
        file = WeightsFile(path="original.ckpt", url=server.url(CDN), sha256=SHA256, size_bytes=len(BIG))
        monkeypatch.setitem(MANIFEST, "made-up", made_up(file, repo=None))
        assert pull() == {"original.ckpt": "came"}
        assert file_sha256(root / "original.ckpt") == SHA256
        monkeypatch.setattr(hub, "HF_HUB_OFFLINE", True)
        (root / "original.ckpt").unlink()
        with pytest.raises(ConfigError, match="HF_HUB_OFFLINE is set"):
            pull()
    with pytest.raises(ValueError, match="should match pattern"):
        WeightsFile(path="w", url="http://zenodo.org/w")


def test_no_room_is_told_before_anything_comes(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MANIFEST, "made-up", entry(about_bytes=1 << 60))
    with pytest.raises(StorageError, match=r"weights made-up: expected .* MB of room at"):
        pull()
    assert server.asked == []


def test_a_file_that_was_damaged_comes_again_and_what_a_person_put_there_is_not_thrown_away(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull()
    (root / "sub" / "big.bin").write_bytes(BIG[:1000])
    with pytest.raises(ConfigError, match=r"big\.bin: expected 400,000 bytes, as it came; found 1,000"):
        find_weights("made-up")
    assert pull() == {"config.json": "was here", "sub/big.bin": "came again"}
    assert find_weights("made-up").file("sub/big.bin").read_bytes() == BIG
    (root / PINS).unlink()
    monkeypatch.setitem(MANIFEST, "made-up", entry(sha256=hashlib.sha256(b"other").hexdigest()))
    with pytest.raises(ConfigError, match="damaged or another file: move it away"):
        pull()
    assert (root / "sub" / "big.bin").read_bytes() == BIG


def test_files_put_there_by_hand_are_verified_and_pinned(
    root: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MANIFEST, "made-up", entry(sha256=SHA256))
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "big.bin").write_bytes(BIG)
    (root / "config.json").write_bytes(CONFIG)
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["unknown", "whole"]
    assert set(pull().values()) == {"was here"}
    assert server.asked == []
    assert [finding.verdict for finding in verify_weights(["made-up"])] == ["whole", "whole"]


def test_two_pulls_at_once_fetch_it_once(root: Path, server: WeightsServer) -> None:
    server.files[CDN].piece, server.files[CDN].pause_s = 40_000, 0.05
    env = {**os.environ, "HF_ENDPOINT": server.url(""), "HF_HUB_OFFLINE": "", "OMP_NUM_THREADS": "1"}
    words = [json.dumps([MANIFEST["made-up"].model_dump()]), "pull", "made-up", "--json"]
    command = [sys.executable, str(Path(__file__).parents[1] / "weights_entries.py"), *words]
    both = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    ends = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    states = sorted(json.loads(out)[1]["state"] for out, _ in ends)
    assert states == ["came", "was here"]
    assert len(server.gets(CDN)) == 1
