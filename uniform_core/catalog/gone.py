"""What was taken down: a tombstone hides a source, and all that follows from it, in every version that is read.

The schema `latest` of a session holds the newest versions of the tables that this is derived from, and of it the tables
`gone_…`. Few things are gone of many: each statement begins at the tombstones, and looks the rest up.
"""

from __future__ import annotations

from collections.abc import Iterable
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
# By rule: what it derives.
_TABLES: Final = {
    "source": {},
    "clip": {"gone_clips": "clip_id"},
    "file": {"gone_clips": "clip_id", "gone_files": "sha256"},
    "text": {"gone_clips": "clip_id", "gone_texts": "text_hash"},
}
# By rule: the tables that it is derived from, besides the tombstones.
_LINEAGE: Final = {
    "source": (),
    "clip": ("clips",),
    "file": ("clips", "sources", "generations"),
    "text": ("clips", "captions"),
}
_CLIPS: Final = """
CREATE TEMP TABLE gone AS SELECT DISTINCT dataset, source_id FROM latest.tombstones;
CREATE TABLE latest.gone_clips AS SELECT DISTINCT clip_id FROM latest.clips SEMI JOIN gone USING (dataset, source_id);
"""
# A file or a text that a live row names too is not gone.
_FILES: Final = """
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
_TEXTS: Final = """
CREATE TEMP TABLE their_texts AS
    SELECT text_hash AS text FROM latest.captions SEMI JOIN latest.gone_clips USING (clip_id)
        WHERE text_hash IS NOT NULL
    UNION SELECT raw_text_hash FROM latest.captions SEMI JOIN latest.gone_clips USING (clip_id)
        WHERE raw_text_hash IS NOT NULL
    UNION SELECT unnest(other_raw_text_hashes) FROM latest.captions SEMI JOIN latest.gone_clips USING (clip_id);
CREATE TABLE latest.gone_texts AS SELECT text AS text_hash FROM their_texts
    ANTI JOIN (
        SELECT text_hash AS text FROM latest.captions SEMI JOIN their_texts ON text = text_hash
        ANTI JOIN latest.gone_clips USING (clip_id)
    ) USING (text)
    ANTI JOIN (
        SELECT raw_text_hash AS text FROM latest.captions SEMI JOIN their_texts ON text = raw_text_hash
        ANTI JOIN latest.gone_clips USING (clip_id)
    ) USING (text)
    ANTI JOIN (
        SELECT text FROM (SELECT clip_id, unnest(other_raw_text_hashes) AS text FROM latest.captions)
        SEMI JOIN their_texts USING (text) ANTI JOIN latest.gone_clips USING (clip_id)
    ) USING (text);
"""
_DERIVED: Final = {"source": (), "clip": (_CLIPS,), "file": (_CLIPS, _FILES), "text": (_CLIPS, _TEXTS)}


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


def lineage(rules: Iterable[str]) -> list[str]:
    """The tables, besides the tombstones, whose newest versions `latest` has to hold for these rules."""
    return sorted({name for rule in rules for name in _LINEAGE[rule]})


def derive_gone(rules: Iterable[str]) -> str:
    """SQL of the tables `latest.gone_…` of these rules."""
    return "".join(dict.fromkeys(part for rule in rules for part in _DERIVED[rule]))


def gone_tables(rules: Iterable[str]) -> dict[str, str]:
    """The tables of `latest` that `derive_gone` makes for these rules, each with its one column."""
    return {name: column for rule in rules for name, column in _TABLES[rule].items()}


def hiding(rule: str | None) -> str:
    """SQL after `FROM … r` that leaves out the rows that are gone by a rule."""
    return "" if rule is None else f" ANTI JOIN {_LOOKED_UP[rule]}"
