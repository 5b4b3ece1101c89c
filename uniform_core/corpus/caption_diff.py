"""Two versions of caption corpora beside each other: what changed, by SQL over their selections.

A caption is the same where its text is, by its hash. Both are read at their own Delta versions, in one statement for
each range of clips: what a range takes of memory does not grow with the corpora.
"""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
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
MEASURED: Final = ("n_words", "agreement", "flags")
RANGE_CLIPS: Final = 1_000_000
FIRST_CLIPS: Final = 50_000  # of the first range that is looked at for the first rows of a diff


@dataclass(frozen=True)
class SideOf:
    """One corpus of a diff, as numbers. Means are of the captions that were measured; None where none was.

    `texts` are different ones, as they were counted when the version was made. A diff by hash has no means and flags.
    """

    name: str
    clips: int
    texts: int
    mean_words: float | None
    mean_agreement: float | None
    duplicates: int  # clips whose text another clip has too
    most_copies: int  # clips with the commonest text; 0 without captions
    flags: dict[str, int] | None  # captions by flag, those of none left out


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


def diff_corpora(catalog: Catalog, a: CorpusVersion, b: CorpusVersion, *, by_hash: bool = False) -> CorpusDiff:
    """What became of A's captions in B. `by_hash` leaves out what is told by measures, flags and texts."""
    measured = () if by_hash else MEASURED
    total: Counter[str] = Counter()
    most = dict.fromkeys(SIDES, 0)
    for among in _ranges(max(a.clips, b.clips)):
        sql, words = _pairs(a, b, columns=measured, among=among)
        counts = ", ".join(f"count(*) FILTER (kind = '{kind}') AS {kind}" for kind in KINDS)
        sides = ", ".join(_side_sql(side, is_measured=not by_hash) for side in SIDES)
        [row] = catalog.query(f"WITH {sql} SELECT {counts}, {sides} FROM pairs", **words).to_pylist()
        most = {side: max(most[side], row.pop(f"most_copies_{side}")) for side in SIDES}
        total.update({name: value or 0 for name, value in row.items()})
    gained, lost = (None, None) if by_hash else _vocabulary(catalog, a, b)
    one, other = (
        _side(total, side, version, most=most[side], is_measured=not by_hash)
        for side, version in zip(SIDES, (a, b), strict=True)
    )
    return CorpusDiff(**{kind: total[kind] for kind in KINDS}, a=one, b=other, gained=gained, lost=lost)


def _ranges(clips: int) -> list[Range]:
    """All clips in ranges of about a million; their ids are spread evenly over hex digits."""
    count = 1 << max(0, (clips // RANGE_CLIPS).bit_length())
    ends = [None, *(f"{place * (1 << 32) // count:08x}" for place in range(1, count)), None]
    return [Range(after, until) for after, until in pairwise(ends)]


def _widening(clips: int, among: Range) -> Iterator[Range]:
    """The clips of a range in ranges: first few, for who wants few, then four times as many each, up to a million."""
    ids = 1 << 32
    step = max(1, FIRST_CLIPS * ids // max(clips, 1))
    most = max(1, RANGE_CLIPS * ids // max(clips, 1))
    after, end = among.after, int(among.after[:8], 16) if among.after else 0
    while True:
        end += step
        until = f"{end:08x}" if end < ids else None
        if until is None or (among.until is not None and until >= among.until):
            yield Range(after, among.until)
            return
        yield Range(after, until)
        after, step = until, min(4 * step, most)


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
    null where that corpus has no caption. Ranges of clips are looked at until so many are found. Raises ConfigError
    for an unknown kind.
    """
    import pyarrow as pa

    if unknown := set(kinds) - set(KINDS):
        raise ConfigError("diff", expected=", ".join(KINDS), found=", ".join(sorted(unknown)), fix="Correct it.")
    found: list[pa.Table] = []
    left = limit
    for among in _widening(max(a.clips, b.clips), Range(after, until)):
        found.append(_rows_among(catalog, a, b, kinds=kinds, limit=left, among=among))
        left -= found[-1].num_rows
        if left <= 0:
            break
    return pa.concat_tables(found)


def _rows_among(
    catalog: Catalog, a: CorpusVersion, b: CorpusVersion, *, kinds: Sequence[Kind], limit: int, among: Range
) -> pa.Table:
    """`diff_rows` of one range, read as a whole."""
    sql, words = _pairs(a, b, columns=("captioner", "n_words", "agreement", "flags"), among=among)
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
        flagged = f"REPLACE ({flags_sql(version.policy, 's')} AS flags) " if "flags" in columns else ""
        parts.append(f"{side} AS (SELECT * {flagged}FROM {side}_selected s)")
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


def _side_sql(side: str, *, is_measured: bool) -> str:
    """SQL of the numbers of one side, with the side behind their names; all but the last of the first add up."""
    plain = (
        f"count(text_hash_{side}) AS clips_{side}, count(*) FILTER (copies_{side} > 1) AS duplicates_{side},"
        f" coalesce(max(copies_{side}), 0) AS most_copies_{side}"
    )
    if not is_measured:
        return plain
    sums = ", ".join(
        f"sum({name}_{side}) AS {name}_{side}, count({name}_{side}) AS n_{name}_{side}" for name in MEASURED[:2]
    )
    flags = ", ".join(
        f"count(*) FILTER (list_contains(flags_{side}, '{flag}')) AS {flag}_{side}" for flag in (*FLAGS, DUPLICATE)
    )
    return f"{plain}, {sums}, {flags}"


def _side(total: Counter[str], side: str, version: CorpusVersion, *, most: int, is_measured: bool) -> SideOf:
    flags = {flag: total[f"{flag}_{side}"] for flag in (*FLAGS, DUPLICATE) if total[f"{flag}_{side}"]}
    words, agreement = (_mean(total[f"{name}_{side}"], total[f"n_{name}_{side}"]) for name in MEASURED[:2])
    return SideOf(
        name=version.name,
        clips=total[f"clips_{side}"],
        texts=version.texts,
        mean_words=words,
        mean_agreement=agreement,
        duplicates=total[f"duplicates_{side}"],
        most_copies=most,
        flags=flags if is_measured else None,
    )


def _mean(total: float, count: int) -> float | None:
    return float(total) / count if count else None


def _vocabulary(catalog: Catalog, a: CorpusVersion, b: CorpusVersion) -> tuple[Vocabulary, Vocabulary]:
    """The words that only B's texts have, and those that only A's have, each counted once a text."""
    sql, words = _pairs(a, b, columns=())
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
