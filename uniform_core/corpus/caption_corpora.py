"""Versions of named caption corpora: built from the catalog of a day, read back the same on any later one.

A version is a policy, the Delta versions of the tables that it reads, and the digest of what it selected. Captions are
not copied: a version is read by its policy at its Delta versions, a range of clips at a time where that is enough.
What was taken down since is gone from it, as from every version.
"""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from uniform_core.catalog import Catalog
from uniform_core.catalog.content import LIMBS, as_digest, sum_of
from uniform_core.catalog.store import Clock, utc_now
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.corpus.caption_selection import (
    ALWAYS,
    EVERY,
    NEWEST,
    READ,
    Range,
    Relations,
    Selection,
    flags_sql,
    selection,
)
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import KEY_HEX, digest

if TYPE_CHECKING:
    import pyarrow as pa

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
SHORT: Final = 12  # digits of a version that people see
BUILD_FP: Final = digest(["caption corpus", 1])
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


@dataclass(frozen=True)
class CorpusVersion:
    """One version of a corpus, as its row says it; whether it is the active one of its name stands beside it."""

    corpus: str
    version: str
    policy: CorpusPolicy
    versions: Mapping[str, int]
    content_digest: str
    clips: int
    texts: int
    flagged: int
    by_selector: tuple[int, ...]
    created_at: datetime
    is_active: bool

    @property
    def name(self) -> str:
        """`name@version`, short, as commands take it."""
        return f"{self.corpus}@{self.version[:SHORT]}"

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        plain = {
            name: getattr(self, name)
            for name in ("corpus", "version", "content_digest", "clips", "texts", "flagged", "is_active")
        }
        return {
            **plain,
            "name": self.name,
            "policy": self.policy.model_dump(mode="json"),
            "versions": dict(self.versions),
            "by_selector": list(self.by_selector),
            "created_at": self.created_at.isoformat(),
        }


def corpus_versions(catalog: Catalog, corpus: str | None = None) -> list[CorpusVersion]:
    """Every version of one corpus, or of all (None): by name, the newest last."""
    rows = catalog.rows(
        """
        SELECT c.*, coalesce(c.version = e.version, false) AS is_active
        FROM corpora c LEFT JOIN (
            SELECT corpus, version FROM corpus_events
            QUALIFY row_number() OVER (PARTITION BY corpus ORDER BY number DESC) = 1
        ) e USING (corpus)
        WHERE $corpus IS NULL OR c.corpus = $corpus ORDER BY c.corpus, c.created_at, c.version
        """,
        parameters={"corpus": corpus},
    )
    return [_version_of(row) for row in rows]


def corpus_version(catalog: Catalog, word: str) -> CorpusVersion:
    """The version that a word names: `name` is its active one, `name@` with the beginning of a version that one.

    Raises ConfigError for a corpus or version that is not there, or a beginning that two have.
    """
    name, at, beginning = word.partition("@")
    found = corpus_versions(catalog, name)
    if not found:
        known = sorted({one.corpus for one in corpus_versions(catalog)})
        raise ConfigError(
            f"corpus {word!r}",
            expected="one of " + ", ".join(known) if known else "a corpus that was built",
            found=f"no corpus named {name!r}",
            fix="Correct its name, or build it: `uniform captions build --corpus NAME`.",
        )
    fits = (
        [one for one in found if one.version.startswith(beginning)] if at else [one for one in found if one.is_active]
    )
    if len(fits) == 1 and (beginning or not at):
        return fits[0]
    versions = ", ".join(one.name for one in found[-5:])
    raise ConfigError(
        f"corpus {word!r}",
        expected=f"one of its versions ({'… ' if found[5:] else ''}{versions})",
        found=f"{len(fits)} that begin so" if at else "no active one",
        fix="Give more of the version."
        if at
        else f"`uniform captions activate {versions.split(', ')[-1]}`, or name one.",
    )


def corpus_captions(
    catalog: Catalog,
    corpus: str | CorpusVersion,
    *,
    columns: Sequence[str] = ("clip_id", "captioner", "text_hash", "text"),
    after: str | None = None,
    until: str | None = None,
    limit: int | None = None,
) -> pa.Table:
    """The captions of a corpus, at most one for each clip, in the order of `clip_id`: the columns that are asked for.

    Only clips after `after` and until `until` are looked at, and of these the first `limit` that have a caption: a page
    costs what its rows cost. `columns` are names of `COLUMNS`; texts are joined where they are asked for. Raises
    ConfigError for an unknown corpus or column, CatalogError for a version whose files a vacuum took.
    """
    version = corpus if isinstance(corpus, CorpusVersion) else corpus_version(catalog, corpus)
    require_columns(columns)
    if limit is None:
        return _range(catalog, version, columns, Range(after, until))
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


def build_corpus(
    catalog: Catalog, corpus: str, policy: CorpusPolicy, *, run_id: str, clock: Clock = utc_now
) -> CorpusVersion:
    """The version that a policy selects from the catalog as it is now; the one that is there where nothing changed.

    Raises ConfigError for a name that is none, or a selector whose prompt or fingerprint no caption has.
    """
    if not NAME.fullmatch(corpus):
        raise ConfigError(
            f"corpus {corpus!r}",
            expected="letters, digits, dot, dash, underscore",
            found=repr(corpus),
            fix="Choose another name.",
        )
    versions = catalog.versions(READ)
    _require_known(catalog, policy, versions)
    copied = _count_copies(catalog, policy, versions)
    counts = _count(catalog, policy, versions, copied)
    content = {"policy": policy.model_dump(mode="json"), "content_digest": counts["content_digest"]}
    key = digest(["corpus", corpus, content["policy"], content["content_digest"]])
    stamp = {"stage_fp": BUILD_FP, "run_id": run_id, "created_at": clock()}
    named = [
        {"work_key": digest(["corpus text", key, row["place"], row["text_hash"]]), "version": key, **row, **stamp}
        for row in copied.to_pylist()
    ]
    row = {
        **{"work_key": key, "version": key, "corpus": corpus, **counts, **stamp},
        "policy": json.dumps(content["policy"], sort_keys=True),
        "versions": json.dumps(versions, sort_keys=True),
    }
    catalog.insert("corpus_texts", named)  # first: the row of the version is the mark that it is whole
    catalog.insert("corpora", [row])
    return next(one for one in corpus_versions(catalog, corpus) if one.version == key)


def _version_of(row: Mapping[str, Any]) -> CorpusVersion:
    plain = {name: row[name] for name in ("corpus", "version", "content_digest", "clips", "texts", "flagged")}
    return CorpusVersion(
        **plain,
        policy=CorpusPolicy.model_validate_json(row["policy"]),
        versions={str(table): int(version) for table, version in json.loads(row["versions"]).items()},
        by_selector=tuple(row["by_selector"]),
        created_at=row["created_at"],
        is_active=row["is_active"],
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
    joins = "LEFT JOIN caption_texts t ON t.text_hash = s.text_hash " if "text" in columns else ""
    joins += "LEFT JOIN caption_texts r ON r.text_hash = s.raw_text_hash " if "raw_text" in columns else ""
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


def _count_copies(catalog: Catalog, policy: CorpusPolicy, versions: Mapping[str, int]) -> pa.Table:
    """The texts that a selector would take more than once: `place`, `text_hash`, `copies`."""
    parts = selection(policy)
    return catalog.query(
        f"WITH {parts.sql} SELECT place, text_hash, count(*) AS copies FROM candidates"
        " GROUP BY place, text_hash HAVING count(*) > 1 ORDER BY place, text_hash",
        parameters=parts.parameters,
        versions=versions,
    )


def _count(catalog: Catalog, policy: CorpusPolicy, versions: Mapping[str, int], copied: pa.Table) -> dict[str, Any]:
    """What is selected, as numbers: the columns of `corpora` that say it."""
    parts = selection(policy, columns=["flags"], relations=Relations(copied="counted_copies"))
    rows = catalog.rows(
        f"""
        WITH {parts.sql}, said AS (
            SELECT place, text_hash, len({flags_sql(policy, "s")}) > 0 AS is_flagged,
                   sha256(concat_ws(chr(10), clip_id, work_key, text_hash)) AS h
            FROM selected s
        )
        SELECT place, count(*) AS clips, count(DISTINCT text_hash) AS texts,
               count(*) FILTER (is_flagged) AS flagged, {LIMBS} AS limbs
        FROM said GROUP BY GROUPING SETS ((place), ())
        """,
        parameters=parts.parameters,
        versions=versions,
        tables={"counted_copies": copied},
    )
    total = next(row for row in rows if row["place"] is None)
    by_place = {row["place"]: row["clips"] for row in rows}
    return {
        "content_digest": as_digest(sum_of(total["limbs"])),
        **{name: total[name] for name in ("clips", "texts", "flagged")},
        "by_selector": [by_place.get(place, 0) for place in range(len(policy.selectors))],
    }


def _require_known(catalog: Catalog, policy: CorpusPolicy, versions: Mapping[str, int]) -> None:
    """Raises ConfigError for the beginning of a prompt's hash or a fingerprint that no caption has."""
    for selector in policy.selectors:
        for column, beginning in (("prompt_hash", selector.prompt), ("stage_fp", selector.stage_fp)):
            if beginning is None:
                continue
            known = catalog.rows(f"SELECT DISTINCT {column} AS found FROM captions", versions=versions)
            found = sorted(row["found"] for row in known if row["found"] is not None)
            if not any(one.startswith(beginning) for one in found):
                raise ConfigError(
                    f"policy, selector of {selector.captioner}",
                    expected=f"a {column.replace('_', ' ')} of captions: "
                    + (", ".join(one[:SHORT] for one in found[:10]) or "there are no captions yet"),
                    found=beginning,
                    fix="Correct it (`uniform captions list`), or caption first: `uniform captions build`.",
                )
