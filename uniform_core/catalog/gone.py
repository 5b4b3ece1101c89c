"""What was taken down: a tombstone hides a source, and all that follows from it, in every version that is read.

The schema `latest` of a session holds the newest versions of the tables that this is derived from, and of it the tables
`gone_…`. Few things are gone of many: each statement begins at the tombstones, and looks the rest up.
"""

# ruff: noqa: S608  (constants of this file)
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from uniform_core.catalog.tables import Table

TOMBSTONES: Final = "tombstones"
# By rule: what of a row `r` is looked up where.
_LOOKED_UP: Final = {
    "source": "latest.tombstones g ON g.dataset = r.dataset AND g.source_id = r.source_id",
    "clip": "latest.gone_clips g ON g.clip_id = r.clip_id",
    "file": "latest.gone_files g ON g.sha256 = r.content_sha256",
    "text": "latest.gone_texts g ON g.text_hash = r.text_hash",
}
_SOURCES: Final = "CREATE OR REPLACE TEMP TABLE gone AS SELECT DISTINCT dataset, source_id FROM latest.tombstones;"
_CLIPS: Final = f"""
{_SOURCES}
CREATE TABLE latest.gone_clips AS SELECT DISTINCT clip_id FROM latest.clips SEMI JOIN gone USING (dataset, source_id);
"""
# A file or a text that a live row names too is not gone.
_FILES: Final = f"""
{_SOURCES}
CREATE TEMP TABLE their_files AS
    SELECT clip_sha256 AS sha256 FROM latest.clips SEMI JOIN gone USING (dataset, source_id)
    UNION SELECT source_sha256 FROM latest.sources SEMI JOIN gone USING (dataset, source_id)
    UNION SELECT file_sha256 FROM latest.generations SEMI JOIN latest.gone_clips USING (clip_id);
CREATE TABLE latest.gone_files AS FROM their_files
    ANTI JOIN (
        SELECT clip_sha256 AS sha256 FROM latest.clips SEMI JOIN their_files ON sha256 = clip_sha256
        ANTI JOIN gone USING (dataset, source_id)
    ) USING (sha256)
    ANTI JOIN (
        SELECT source_sha256 AS sha256 FROM latest.sources SEMI JOIN their_files ON sha256 = source_sha256
        ANTI JOIN gone USING (dataset, source_id)
    ) USING (sha256)
    ANTI JOIN (
        SELECT file_sha256 AS sha256 FROM latest.generations SEMI JOIN their_files ON sha256 = file_sha256
        ANTI JOIN latest.gone_clips USING (clip_id)
    ) USING (sha256);
"""
# Captions are read twice: there are many, and most rows are of live clips, and name none of their texts.
_TEXTS: Final = """
CREATE TEMP TABLE their_captions AS
    SELECT text_hash, raw_text_hash, other_raw_text_hashes FROM latest.captions
    SEMI JOIN latest.gone_clips USING (clip_id);
CREATE TEMP TABLE their_texts AS SELECT text FROM (
    SELECT text_hash AS text FROM their_captions UNION SELECT raw_text_hash FROM their_captions
    UNION SELECT unnest(other_raw_text_hashes) FROM their_captions
) WHERE text IS NOT NULL;
CREATE TEMP TABLE naming AS
    SELECT DISTINCT text_hash, raw_text_hash, other_raw_text_hashes FROM (
        SELECT clip_id, text_hash, raw_text_hash, other_raw_text_hashes FROM latest.captions
        WHERE text_hash IN (SELECT text FROM their_texts) OR raw_text_hash IN (SELECT text FROM their_texts)
            OR list_has_any(other_raw_text_hashes, (SELECT list(text) FROM their_texts))
    ) ANTI JOIN latest.gone_clips USING (clip_id);
CREATE TABLE latest.gone_texts AS SELECT text AS text_hash FROM their_texts
    ANTI JOIN (SELECT text_hash AS text FROM naming) USING (text)
    ANTI JOIN (SELECT raw_text_hash AS text FROM naming) USING (text)
    ANTI JOIN (SELECT unnest(other_raw_text_hashes) AS text FROM naming) USING (text);
"""


@dataclass(frozen=True)
class Kind:
    """Ids of one kind that are gone: their column, the tables of `latest` that they are derived from, and the SQL."""

    column: str
    read: tuple[str, ...]
    sql: str


KINDS: Final = {
    "gone_clips": Kind("clip_id", (TOMBSTONES, "clips"), _CLIPS),
    "gone_files": Kind("sha256", (TOMBSTONES, "clips", "sources", "generations"), _FILES),
    "gone_texts": Kind("text_hash", (TOMBSTONES, "clips", "captions"), _TEXTS),
}
"""The tables of `latest`, each after those that it stands on."""
_BY_RULE: Final = {
    "source": (),
    "clip": ("gone_clips",),
    "file": ("gone_clips", "gone_files"),
    "text": ("gone_clips", "gone_texts"),
}


def gone_rule(table: Table) -> str | None:
    """How a row of a table follows a source that was taken down: by source, clip, file, text, or not (None)."""
    if table.name == TOMBSTONES:
        return None
    names = set(table.names)
    rules = (
        ({"dataset", "source_id"}, "source"),
        ({"clip_id"}, "clip"),
        ({"content_sha256"}, "file"),
        ({"text_hash"}, "text"),
    )
    return next((rule for columns, rule in rules if columns <= names), None)


def gone_kinds(rules: Iterable[str]) -> list[str]:
    """The names of `KINDS` that these rules look up, each after those that it stands on."""
    wanted = {kind for rule in rules for kind in _BY_RULE[rule]}
    return [kind for kind in KINDS if kind in wanted]


def hiding(rule: str | None) -> str:
    """SQL after `FROM … r` that leaves out the rows that are gone by a rule."""
    return "" if rule is None else f" ANTI JOIN {_LOOKED_UP[rule]}"
