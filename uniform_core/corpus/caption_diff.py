"""Two versions of caption corpora beside each other: what changed, by SQL over their selections.

A caption is the same where its text is, by its hash. Both are read at their own Delta versions, in one statement.
"""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from uniform_core.captions.flags import DUPLICATE, FLAGS
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_corpora import CorpusVersion, corpus_selection
from uniform_core.corpus.caption_selection import EVERY, Range, Relations, flags_sql
from uniform_core.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["same", "changed", "added", "removed"]
KINDS: Final[tuple[Kind, ...]] = ("same", "changed", "added", "removed")
SIDES: Final = ("a", "b")
TOP_WORDS: Final = 20


@dataclass(frozen=True)
class SideOf:
    """One corpus of a diff, as numbers. Means are of the captions that were measured; None where none was."""

    name: str
    clips: int
    texts: int
    mean_words: float | None
    mean_agreement: float | None
    duplicates: int  # clips whose text another clip has too
    most_copies: int  # clips with the commonest text; 0 without captions
    flags: dict[str, int]  # captions by flag, those of none left out


@dataclass(frozen=True)
class Vocabulary:
    """The words of one corpus that the other has nowhere, and the commonest of them with how many texts have each."""

    words: int
    commonest: dict[str, int]


@dataclass(frozen=True)
class CorpusDiff:
    """From A to B: clips by what became of their caption, both sides, and the words that came (`gained`) and went."""

    same: int
    changed: int
    added: int
    removed: int
    a: SideOf
    b: SideOf
    gained: Vocabulary | None  # None where words were not asked for
    lost: Vocabulary | None

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        return asdict(self)


def diff_corpora(catalog: Catalog, a: CorpusVersion, b: CorpusVersion, *, vocabulary: bool = True) -> CorpusDiff:
    """What became of A's captions in B. The vocabulary reads every text of both; the rest reads hashes alone."""
    sql, words = _pairs(a, b, columns=("n_words", "agreement", "flags"))
    rows = catalog.query(
        f"""
        WITH {sql}
        SELECT {", ".join(f"count(*) FILTER (kind = '{kind}') AS {kind}" for kind in KINDS)},
               {", ".join(_side_sql(side) for side in SIDES)}
        FROM pairs
        """,
        **words,
    ).to_pylist()
    [row] = rows
    gained, lost = _vocabulary(catalog, a, b) if vocabulary else (None, None)
    counts = {kind: row[kind] for kind in KINDS}
    return CorpusDiff(**counts, a=_side(row, "a", a.name), b=_side(row, "b", b.name), gained=gained, lost=lost)


def diff_rows(
    catalog: Catalog,
    a: CorpusVersion,
    b: CorpusVersion,
    *,
    kinds: Sequence[Kind] = ("changed", "added", "removed"),
    limit: int,
    after: str | None = None,
    until: str | None = None,
) -> pa.Table:
    """The first `limit` clips of these kinds after `after` and until `until`, in the order of `clip_id`.

    Columns: `clip_id`, `kind`, and with `_a` and `_b` behind them `captioner`, `text`, `n_words`, `agreement`, `flags`,
    null where that corpus has no caption. Raises ConfigError for an unknown kind.
    """
    if unknown := set(kinds) - set(KINDS):
        raise ConfigError("diff", expected=", ".join(KINDS), found=", ".join(sorted(unknown)), fix="Correct it.")
    sql, words = _pairs(a, b, columns=("captioner", "n_words", "agreement", "flags"), among=Range(after, until))
    names = ("captioner", "text", "n_words", "agreement", "flags")
    said = ", ".join(
        f"{'t' if name == 'text' else 'p'}{_dot(name, side)} AS {name}_{side}" for name in names for side in SIDES
    )
    words["parameters"] |= {"kinds": list(kinds), "limit": limit}
    return catalog.query(
        f"""
        WITH {sql}, page AS (
            SELECT * FROM pairs WHERE list_contains($kinds, kind) ORDER BY clip_id LIMIT $limit
        )
        SELECT clip_id, kind, {said} FROM page p
        LEFT JOIN texts_a ta ON ta.text_hash = p.text_hash_a LEFT JOIN texts_b tb ON tb.text_hash = p.text_hash_b
        ORDER BY clip_id
        """,
        **words,
    )


def _dot(name: str, side: str) -> str:
    return f"{side}.text" if name == "text" else f".{name}_{side}"


def length_histogram(catalog: Catalog, version: CorpusVersion, *, words: int = 10) -> list[dict[str, int]]:
    """Captions by their length: `from_words` of each bin of so many, and `captions`. Unmeasured ones are left out."""
    parts = corpus_selection(version, columns=["n_words"])
    return catalog.rows(
        f"""
        WITH {parts.sql}
        SELECT (n_words // $words) * $words AS from_words, count(*) AS captions
        FROM selected WHERE n_words IS NOT NULL GROUP BY ALL ORDER BY ALL
        """,
        parameters={**parts.parameters, "words": words},
        versions=version.versions,
    )


def _pairs(
    a: CorpusVersion, b: CorpusVersion, *, columns: Sequence[str], among: Range = EVERY
) -> tuple[str, dict[str, Any]]:
    """The parts of a WITH that end with `pairs`, one row for each clip of either, and the words of its query."""
    parts: list[str] = []
    others: dict[str, tuple[str, int]] = {}
    parameters: dict[str, Any] = {}
    for side, version in zip(SIDES, (a, b), strict=True):
        tables = {"clips": f"clips_{side}", "captions": f"captions_{side}"}
        relations = Relations(clips=tables["clips"], captions=tables["captions"])
        one = corpus_selection(version, columns=columns, side=f"{side}_", relations=relations, among=among)
        parts.append(one.sql)
        parameters |= one.parameters
        named = {**tables, "caption_texts": f"texts_{side}"}
        others |= {name: (table, version.versions[table]) for table, name in named.items()}
        parts.append(f"{side} AS (SELECT * REPLACE ({flags_sql(version.policy, 's')} AS flags) FROM {side}_selected s)")
    both = ", ".join(f"{side}.{name} AS {name}_{side}" for side in SIDES for name in ("text_hash", "copies", *columns))
    parts.append(
        f"""pairs AS (
            SELECT coalesce(a.clip_id, b.clip_id) AS clip_id, {both},
                   CASE WHEN a.clip_id IS NULL THEN 'added' WHEN b.clip_id IS NULL THEN 'removed'
                        WHEN a.text_hash = b.text_hash THEN 'same' ELSE 'changed' END AS kind
            FROM a FULL JOIN b ON a.clip_id = b.clip_id
        )"""
    )
    return ",\n".join(parts), {"parameters": parameters, "others": others}


def _side_sql(side: str) -> str:
    """SQL of the numbers of one side, with the side behind their names."""
    flags = ", ".join(
        f"count(*) FILTER (list_contains(flags_{side}, '{flag}')) AS {flag}_{side}" for flag in (*FLAGS, DUPLICATE)
    )
    return (
        f"count(text_hash_{side}) AS clips_{side}, count(DISTINCT text_hash_{side}) AS texts_{side},"
        f" avg(n_words_{side}) AS mean_words_{side}, avg(agreement_{side}) AS mean_agreement_{side},"
        f" count(*) FILTER (copies_{side} > 1) AS duplicates_{side},"
        f" coalesce(max(copies_{side}), 0) AS most_copies_{side}, {flags}"
    )


def _side(row: dict[str, Any], side: str, name: str) -> SideOf:
    names = ("clips", "texts", "mean_words", "mean_agreement", "duplicates", "most_copies")
    flags = {flag: row[f"{flag}_{side}"] for flag in (*FLAGS, DUPLICATE) if row[f"{flag}_{side}"]}
    return SideOf(name=name, flags=flags, **{column: row[f"{column}_{side}"] for column in names})


def _vocabulary(catalog: Catalog, a: CorpusVersion, b: CorpusVersion) -> tuple[Vocabulary, Vocabulary]:
    """The words that only B's texts have, and those that only A's have, each counted once a text."""
    sql, words = _pairs(a, b, columns=("flags",))
    parts = ", ".join(
        f"""words_{side} AS (
            SELECT word, count(*) AS texts FROM (
                SELECT unnest(list_distinct(regexp_extract_all(lower(text), '[\\p{{L}}\\p{{N}}]+'))) AS word
                FROM texts_{side} SEMI JOIN {side} USING (text_hash)
            ) GROUP BY word
        )"""
        for side in SIDES
    )
    row = catalog.query(
        f"""
        WITH {sql}, {parts},
        gained AS (SELECT * FROM words_b ANTI JOIN words_a USING (word)),
        lost AS (SELECT * FROM words_a ANTI JOIN words_b USING (word))
        SELECT (SELECT count(*) FROM gained) AS gained, {_top_sql("gained")},
               (SELECT count(*) FROM lost) AS lost, {_top_sql("lost")}
        """,
        **words,
    ).to_pylist()[0]
    return tuple(
        Vocabulary(row[name], {one["word"]: one["texts"] for one in row[f"{name}_top"] or []})
        for name in ("gained", "lost")
    )  # type: ignore[return-value]  # two names, two vocabularies


def _top_sql(name: str) -> str:
    commonest = f"SELECT word, texts FROM {name} ORDER BY texts DESC, word LIMIT {TOP_WORDS}"
    return f"(SELECT list({{'word': word, 'texts': texts}} ORDER BY texts DESC, word) FROM ({commonest})) AS {name}_top"
