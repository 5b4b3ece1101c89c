"""Names derived from content: canonical JSON, digests, work keys.

A *fingerprint* says how something was made (stage, version, parameters, upstream fingerprints); a *digest* says what
bytes it is. Neither contains a path, a clock or a position.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

KEY_HEX = 32  # 16 bytes


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    '{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """32 hex digits that depend on a JSON-able value and nothing else."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:KEY_HEX]


def text_digest(text: str) -> str:
    """32 hex digits of a text: the key of `caption_texts` and `prompts`."""
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_HEX]


def bytes_sha256(data: bytes | memoryview) -> str:
    """The sha256 of bytes in memory, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file's content, read in 1 MiB pieces, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stage_fingerprint(stage: str, *, version: int, params: Mapping[str, Any], upstream: Iterable[str] = ()) -> str:
    """How a stage makes its output, as 32 hex digits.

    `version` is bumped by hand when the code of a stage changes its output; `params` are the values that change
    numbers (config dumps, model ids, sha256 of weights); `upstream` the fingerprints of what the stage reads.
    """
    return digest({"stage": stage, "version": version, "params": dict(params), "upstream": sorted(upstream)})


def derive_clip_id(dataset: str, source_id: str, *, start_ms: int, end_ms: int) -> str:
    """The identity of a window of a source: it survives a change of the file's content."""
    return digest(["clip", dataset, source_id, start_ms, end_ms])


def work_key(item_id: str, *, stage_fp: str, source_sha256: str) -> str:
    """The key that makes a row unique: this item, made this way, from these bytes."""
    return digest(["work", item_id, stage_fp, source_sha256])


def set_digest(members: Iterable[str]) -> str:
    """64 hex digits of a multiset of strings, whatever their order: the sum of their sha256 modulo 2**256.

    >>> set_digest(["a", "b"]) == set_digest(["b", "a"]) != set_digest(["a", "b", "b"])
    True
    """
    total = sum(int.from_bytes(hashlib.sha256(m.encode()).digest(), "big") for m in members)
    return f"{total % (1 << 256):064x}"
