"""A disk that refuses in mid-write: one clear error, and nothing half-written is visible."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from catalog_rows import clip_row, latent_rows, open_catalog, text_row

from uniform_core.catalog import Catalog
from uniform_core.errors import StorageError

# A limit on the size of files is a disk that is full after so many bytes, for every writer of the process, in real
# system calls: only the number of the error differs (EFBIG for ENOSPC).
SCRIPT = """
import resource, signal, sys
from pathlib import Path
from catalog_rows import latent_rows, clip_row, open_catalog, text_row
from uniform_core.errors import StorageError
home, what, limit = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
catalog = open_catalog(home)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    if what == "rows":
        catalog.insert("caption_texts", [text_row(n) for n in range(100, 3000)])
    elif what == "compact":
        catalog.compact("caption_texts")
    else:
        latent_rows(catalog, [clip_row(n) for n in range(200)])
except StorageError as error:
    sys.exit(0 if "File too large" in str(error) else str(error))
sys.exit("nothing was refused")
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    opened = open_catalog(tmp_path / "home")
    for n in range(0, 60, 20):
        opened.insert("caption_texts", [text_row(m) for m in range(n, n + 20)])
    return opened


@pytest.mark.parametrize("limit", [0, 1500])
@pytest.mark.parametrize("what", ["rows", "compact", "shard"])
def test_a_disk_that_is_full_in_mid_write(catalog: Catalog, what: str, limit: int) -> None:
    versions, digest = catalog.versions(), catalog.content_digest(["caption_texts"])
    command = [sys.executable, "-c", SCRIPT, str(catalog.root.parent), what, str(limit)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert catalog.versions() == versions
    assert catalog.content_digest(["caption_texts"]) == digest
    assert not [path for path in catalog.tensors_dir.rglob("*") if path.is_file()]
    assert catalog.verify() == []
    assert catalog.insert("caption_texts", [text_row(n) for n in range(50, 70)]) == 10, "with room again it goes on"
    catalog.compact()
    catalog.vacuum(timedelta(0), grace=timedelta(0))
    assert catalog.verify() == []


def test_no_space_left_in_a_merge_is_a_storage_error(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(catalog.delta, "_merge", full)
    with pytest.raises(StorageError, match=r"table caption_texts.*No space left.*nothing half-written"):
        catalog.insert("caption_texts", [text_row(100)])
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        catalog.pin("x", {"caption_texts": 1})
    assert catalog.pins() == {}
    with pytest.raises(StorageError, match="No space left"):
        latent_rows(catalog, [clip_row(1)])
