"""The rows of an export, read from the catalog a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_clips import with_clips
from uniform_core.corpus.caption_corpora import corpus_captions
from uniform_core.corpus.caption_versions import CorpusVersion

PAGE: Final = 10_000
SAID: Final = (
    *("clip_id", "text", "captioner", "captioner_revision", "prompt_hash", "sampling", "frame_policy"),
    *("cleaning_version", "status", "flags"),
)


def export_rows(catalog: Catalog, corpus: CorpusVersion, *, page: int = PAGE) -> Iterator[dict[str, Any]]:
    """Each caption of a version with its clip, in the order of `clip_id`: what `rows.SCHEMA` names, `path`, `bytes`.

    What was taken down is in none. Raises what `corpus_captions` raises.
    """
    after: str | None = None
    while (said := corpus_captions(catalog, corpus, columns=SAID, after=after, limit=page)).num_rows:
        until: str = said["clip_id"][-1].as_py()
        for row in with_clips(catalog, said, after=after, until=until).to_pylist():
            if row["path"] is not None:
                yield {**row, "caption": row["text"]}
        after = until


def prompts_of(catalog: Catalog, hashes: set[str]) -> dict[str, str]:
    """The prompts with these hashes."""
    rows = catalog.rows(
        "SELECT prompt_hash, prompt FROM prompts WHERE list_contains($hashes, prompt_hash) ORDER BY prompt_hash",
        parameters={"hashes": sorted(hashes)},
    )
    return {row["prompt_hash"]: row["prompt"] for row in rows}
