"""Versions of named caption corpora: built from the catalog of a day, read back the same on any later one.

A version is a policy, the Delta versions of the tables that it reads, and the digest of what it selected. Captions are
not copied: a version is read by its policy at its Delta versions, a range of clips at a time where that is enough.
What was taken down since is gone from it, as from every version.
"""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_build import build_corpus as build_corpus
from uniform_core.corpus.caption_selection import (
    ALWAYS,
    EVERY,
    NEWEST,
    Range,
    Relations,
    Selection,
    flags_sql,
    selection,
)
from uniform_core.corpus.caption_versions import SHORT as SHORT
from uniform_core.corpus.caption_versions import CorpusVersion as CorpusVersion
from uniform_core.corpus.caption_versions import corpus_version as corpus_version
from uniform_core.corpus.caption_versions import corpus_versions as corpus_versions
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import KEY_HEX

if TYPE_CHECKING:
    import pyarrow as pa

PAGE: Final = 10_000  # clips that are read at once where a limit, and no end, is given
COLUMNS: Final[Mapping[str, str]] = {
    **{
        name: f"s.{name}"
        for name in (
            *("clip_id", "work_key", "place", "captioner", "captioner_revision", "prompt_hash", "sampling"),
            *("frame_policy", "frame_indices", "clip_sha256", "status", "finish_reason", "text_hash", "raw_text_hash"),
            *("cleaning_version", "tokens_in", "tokens_out", "seed", "tries", "other_raw_text_hashes", "n_words"),
            *("n_text_tokens", "token_counter", "distinct_4grams", "prompt_overlap", "is_refusal", "language"),
            *("english_share", "agreement", "agreement_by", "copies", "stage_fp", "run_id", "created_at"),
        )
    },
    "flags": "",  # with `duplicate`, which depends on the policy
    "text": "t.text",
    "raw_text": "r.text",
}


def corpus_captions(
    catalog: Catalog,
    corpus: str | CorpusVersion,
    *,
    columns: Sequence[str] = ("clip_id", "captioner", "text_hash", "text"),
    after: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    ids: Sequence[str] | None = None,
) -> pa.Table:
    """The captions of a corpus, at most one for each clip, in the order of `clip_id`: the columns that are asked for.

    Only clips after `after` and until `until` are looked at, and of these the first `limit` that have a caption: a page
    costs what its rows cost. With `ids`, some hundred at most, those clips alone are looked at. `columns` are names of
    `COLUMNS`; texts are joined where they are asked for. Raises ConfigError for an unknown corpus or column,
    CatalogError for a version whose files a vacuum took.
    """
    version = corpus if isinstance(corpus, CorpusVersion) else corpus_version(catalog, corpus)
    require_columns(columns)
    if limit is None or ids is not None:
        of_ids = _range(catalog, version, columns, Range(after, until, None if ids is None else tuple(ids)))
        return of_ids.slice(0, limit)
    return _page(catalog, version, columns, Range(after, until), limit)


def iter_corpus_captions(
    catalog: Catalog, corpus: str | CorpusVersion, *, columns: Sequence[str], page: int = PAGE
) -> Iterator[pa.Table]:
    """The captions of a corpus in the order of `clip_id`, a page at a time. Raises what `corpus_captions` raises."""
    version = corpus if isinstance(corpus, CorpusVersion) else corpus_version(catalog, corpus)
    wanted, after = tuple(dict.fromkeys(("clip_id", *columns))), None
    while (rows := corpus_captions(catalog, version, columns=wanted, after=after, limit=page)).num_rows:
        yield rows.select(list(columns))
        after = rows["clip_id"][-1].as_py()


def require_columns(columns: Sequence[str]) -> None:
    """Raises ConfigError for a column that a corpus has not."""
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise ConfigError(
            "columns of a caption corpus",
            expected="some of " + ", ".join(COLUMNS),
            found=", ".join(unknown) or "none",
            fix="Correct the names.",
        )


def _copied_of(version: str) -> str:
    """A relation of the texts that a version has more than once; versions are hex digits."""
    assert re.fullmatch(rf"[0-9a-f]{{{KEY_HEX}}}", version)
    return f"(SELECT place, text_hash, copies FROM corpus_texts WHERE version = '{version}')"


def corpus_selection(
    version: CorpusVersion,
    *,
    columns: Sequence[str] = (),
    side: str = "",
    relations: Relations = NEWEST,
    among: Range = EVERY,
) -> Selection:
    """The parts of a WITH that end with `<side>selected`: what a version selects. See `selection`."""
    whole = replace(relations, copied=_copied_of(version.version))
    return selection(version.policy, columns=columns, side=side, relations=whole, among=among)


def _range(catalog: Catalog, version: CorpusVersion, columns: Sequence[str], among: Range) -> pa.Table:
    own = [name for name in columns if name not in (*ALWAYS, "place", "copies", "text", "raw_text")]
    own += ["raw_text_hash"] if "raw_text" in columns else []
    parts = corpus_selection(version, columns=own, among=among)
    said = {**COLUMNS, "flags": flags_sql(version.policy, "s")}
    # A text that a caption of a clip that stays names is not gone: which texts are need not be derived.
    texts = "LEFT JOIN stored.caption_texts"
    joins = f"{texts} t ON t.text_hash = s.text_hash " if "text" in columns else ""
    joins += f"{texts} r ON r.text_hash = s.raw_text_hash " if "raw_text" in columns else ""
    names = ", ".join(f"{said[name]} AS {name}" for name in columns)
    return catalog.query(
        f"WITH {parts.sql} SELECT {names} FROM selected s {joins}ORDER BY s.clip_id",
        parameters=parts.parameters,
        versions=version.versions,
    )


def _page(catalog: Catalog, version: CorpusVersion, columns: Sequence[str], among: Range, limit: int) -> pa.Table:
    """The first `limit` captions of a range: clips are looked at in runs, since not every clip has a caption."""
    import pyarrow as pa

    pages: list[pa.Table] = []
    found, after = 0, among.after
    while True:
        last = _last_of_next(catalog, version, Range(after, among.until), limit)
        page = _range(catalog, version, columns, Range(after, among.until if last is None else last))
        pages.append(page.slice(0, limit - found))
        found += pages[-1].num_rows
        if found == limit or last is None:
            return pa.concat_tables(pages)
        after = last


def _last_of_next(catalog: Catalog, version: CorpusVersion, among: Range, count: int) -> str | None:
    """The id of the last of the next `count` clips; None where there are no more after it."""
    bounds = {"after": among.after, "until": among.until}
    rows = catalog.rows(
        """
        SELECT clip_id FROM clips
        WHERE ($after IS NULL OR clip_id > $after) AND ($until IS NULL OR clip_id <= $until)
        ORDER BY clip_id LIMIT $count
        """,
        parameters={**bounds, "count": count},
        versions={"clips": version.versions["clips"]},
    )
    return rows[-1]["clip_id"] if len(rows) == count else None
