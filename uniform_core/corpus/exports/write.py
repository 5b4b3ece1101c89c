"""An export as a folder: shard after shard, each whole, and a marker last. One that was killed goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from uniform_core.corpus.exports.card import dataset_card
from uniform_core.corpus.exports.forms import WRITERS
from uniform_core.corpus.exports.rows import Form, Row, ShardRule, shards
from uniform_core.errors import ConfigError
from uniform_core.files import MARKER, lock, whole_file, write_text
from uniform_core.fingerprint import file_sha256
from uniform_core.progress import Listener, ProgressEvent, silent

STAGE: Final = "export"
FACTS: Final = "export.json"
PROMPTS: Final = "prompts.json"
CARD: Final = "README.md"
LOCK: Final = ".lock"


@dataclass(frozen=True)
class Exported:
    """What an export is of: a version of a corpus, the digest of its captions, how many, in which form.

    `tombstones` is the Delta version of the takedowns that it knows of: what was begun before another takedown is not
    gone on with.
    """

    corpus: str
    version: str
    content_digest: str
    captions: int
    form: Form
    tombstones: int = -1


def write_export(
    folder: Path,
    rows: Iterable[Row],
    exported: Exported,
    *,
    media: Path,
    prompts: Callable[[set[str]], Mapping[str, str]],
    rule: ShardRule | None = None,
    listener: Listener = silent,
) -> dict[str, Any]:
    """The marker: bytes and sha256 of every file. `rows` come in the order of their clips, always the same.

    `prompts` returns the texts of prompts by their hashes. Files that an earlier try left whole are kept. Raises
    ConfigError where the folder holds something else, IntegrityError for a clip whose file is gone, StorageError where
    the operating system refuses.
    """
    require_place(folder, exported)
    with lock(folder / LOCK, shared=False):
        require_place(folder, exported)  # somebody else may have taken it while the lock was waited for
        write_text(folder / FACTS, _json(asdict(exported)))
        names, asked = [FACTS], set()
        done = 0
        listener(ProgressEvent(STAGE, 0, exported.captions))
        for shard in shards(rows, exported.form, rule):
            path = folder / shard.name
            if not path.is_file():
                with whole_file(path) as temp:
                    WRITERS[exported.form](temp, shard.rows, media)
            names.append(shard.name)
            asked |= {row["prompt_hash"] for row in shard.rows if row["prompt_hash"] is not None}
            done += len(shard.rows)
            listener(ProgressEvent(STAGE, done, exported.captions, note=shard.name))
        write_text(folder / PROMPTS, _json(dict(prompts(asked))))
        names.append(PROMPTS)
        if exported.form == "hf":
            write_text(folder / CARD, dataset_card(exported, names))
            names.append(CARD)
        marker = {name: _facts_of(folder / name) for name in sorted(names)}
        write_text(folder / MARKER, _json(marker))
        return marker


def _facts_of(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path)}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def require_place(folder: Path, exported: Exported) -> None:
    """Returns where the folder is new, empty, or holds a try at this very export. Raises ConfigError."""
    found = _held(folder, exported)
    if found is not None:
        raise ConfigError(
            str(folder),
            expected="a folder that is new, empty, or holds the beginning of this export",
            found=found,
            fix="Choose another folder for --to, or remove this one.",
        )


def _held(folder: Path, exported: Exported) -> str | None:
    """What stands in the way, in words."""
    if not folder.exists():
        return None
    if not folder.is_dir():
        return "a file"
    facts = folder / FACTS
    if not facts.is_file():
        return None if all(path.name == LOCK for path in folder.iterdir()) else "other files"
    try:
        found = json.loads(facts.read_text("utf-8"))
    except ValueError:
        return f"a damaged {FACTS}"
    if found == asdict(exported):
        return None
    if not isinstance(found, dict):
        return f"a damaged {FACTS}"
    if found | {"tombstones": 0} == asdict(exported) | {"tombstones": 0}:
        return "one that was begun before something was taken down"
    return f"an export of {found.get('corpus')}@{str(found.get('version'))[:12]} as {found.get('form')}"
