"""A version of a caption corpus, made from the catalog as it is now."""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from uniform_core.catalog import Catalog
from uniform_core.catalog.content import LIMBS, as_digest, sum_of
from uniform_core.catalog.store import Clock, utc_now
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.corpus.caption_policy_check import require_fitting
from uniform_core.corpus.caption_selection import READ, Relations, flags_sql, selection
from uniform_core.corpus.caption_versions import CorpusVersion, corpus_versions
from uniform_core.errors import ConfigError
from uniform_core.fingerprint import digest

if TYPE_CHECKING:
    import pyarrow as pa

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
BUILD_FP: Final = digest(["caption corpus", 1])


def build_corpus(
    catalog: Catalog, corpus: str, policy: CorpusPolicy, *, run_id: str, clock: Clock = utc_now
) -> CorpusVersion:
    """The version that a policy selects from the catalog as it is now; the one that is there where nothing changed.

    Raises ConfigError for a name that is none, or a selector of which `require_fitting` says that it fits nothing.
    """
    require_name(corpus)
    versions = catalog.versions(READ)
    require_fitting(catalog, policy, versions)
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


def require_name(corpus: str) -> None:
    """Raises ConfigError for a name that no corpus can have."""
    if not NAME.fullmatch(corpus):
        raise ConfigError(
            f"corpus {corpus!r}",
            expected="letters, digits, dot, dash, underscore",
            found=repr(corpus),
            fix="Choose another name.",
        )


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
