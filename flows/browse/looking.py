"""One page of a corpus, or of two side by side: twenty-odd clips, read by key, whatever the corpus holds."""

# ruff: noqa: S608  (the kind of a join is ours)
from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from flows.browse.asking import Ask, left, selected_ids
from flows.browse.words import Part, parts
from flows.cli.show import plain
from uniform_core.captions.flags import DUPLICATE, FLAGS
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_clips import with_clips
from uniform_core.corpus.caption_corpora import corpus_captions
from uniform_core.corpus.caption_versions import CorpusVersion, corpus_version, corpus_versions

SHOWN: Final = 24  # clips of a page
LOOKED_AT: Final = 10_000  # clips that are read at once where something is asked of them
LOOKS_S: Final = 6.0  # after so long a page shows what was found until then
SAID: Final = (
    *("clip_id", "text", "text_hash", "status", "flags", "captioner", "captioner_revision", "frame_policy", "seed"),
    *("tries", "n_words", "n_text_tokens", "distinct_4grams", "language", "agreement", "copies", "finish_reason"),
)


@dataclass(frozen=True)
class Side:
    """What one corpus says of a clip; no parts where it has no words."""

    status: str
    parts: tuple[Part, ...]
    flags: tuple[str, ...]
    facts: str


@dataclass(frozen=True)
class Entry:
    """A clip as it is shown."""

    clip_id: str
    source_id: str
    label: str | None
    where: str
    has_film: bool
    sides: tuple[Side | None, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the template shows. `error` says what is wrong with what was asked."""

    ask: Ask
    title: str
    names: tuple[str, ...]
    corpora: tuple[str, ...]
    flags: tuple[str, ...]
    count_words: str
    entries: tuple[Entry, ...] = ()
    earlier: str | None = None
    later: str | None = None
    error: str = ""


@dataclass(frozen=True)
class Found:
    """Rows that fit, where the looking stopped (None at the end of the corpus), and how many clips were looked at."""

    rows: pa.Table
    stopped_at: str | None
    looked_at: int


class Looker:
    """Reads pages of a catalog's corpora."""

    def __init__(self, catalog: Catalog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._catalog, self._clock = catalog, clock

    def page(self, ask: Ask) -> Page:
        """The page that an address asks for. Raises ConfigError for unknown corpora, CatalogError for wrong SQL."""
        sides = [corpus_version(self._catalog, name) for name in (ask.a, ask.b) if name]
        found = self._found(ask, sides)
        shown = found.rows.slice(0, SHOWN)
        more = found.rows.num_rows > SHOWN
        last = shown["clip_id"][-1].as_py() if more else found.stopped_at
        return Page(
            **self.frame(ask, sides),
            count_words=_count_words(sides[0], found, is_asked=_is_asked(ask)),
            entries=tuple(self._entry(row, both=len(sides) == 2) for row in shown.to_pylist()),
            earlier=ask.address(ask.trail[:-1]) if ask.trail else None,
            later=None if last is None else ask.address((*ask.later, last)),
        )

    def frame(self, ask: Ask, sides: Sequence[CorpusVersion]) -> dict[str, Any]:
        """What is the same whichever clips are shown."""
        every = corpus_versions(self._catalog)
        known = [one.corpus for one in every if one.is_active] + [one.name for one in reversed(every)]
        asked = [name for name in (ask.a, ask.b) if name]
        return {
            "ask": ask,
            "title": " beside ".join(side.name for side in sides) or "No corpus",
            "names": tuple(side.name for side in sides),
            "corpora": tuple(dict.fromkeys([*asked, *known])),
            "flags": (*FLAGS, DUPLICATE),
        }

    def film_path(self, clip_id: str) -> str | None:
        """Where a clip's canonical file lies under media/, as the catalog says; None for a clip that it has not."""
        rows = self._catalog.rows(
            "SELECT path FROM clips WHERE clip_id = ? ORDER BY created_at DESC, work_key LIMIT 1", parameters=[clip_id]
        )
        return rows[0]["path"] if rows else None

    def _entry(self, row: Mapping[str, Any], *, both: bool) -> Entry:
        names = ("", "other_")[: 1 + both]
        texts = [row[f"{name}text"] for name in names]
        span = "" if row["start_ms"] is None else f" {row['start_ms'] / 1000:g}–{row['end_ms'] / 1000:g} s"
        return Entry(
            clip_id=row["clip_id"],
            source_id=plain(row["source_id"] or ""),
            label=row["label"],
            where=plain(f"{row['dataset']}/{row['source_id']}{span}, {row['split']}"),
            has_film=row["path"] is not None and (self._catalog.media_dir / row["path"]).is_file(),
            sides=tuple(_side(row, name, texts[1 - place] if both else None) for place, name in enumerate(names)),
        )

    def _found(self, ask: Ask, sides: Sequence[CorpusVersion]) -> Found:
        """A page's rows and one more where there are; fewer where the looking took too long."""
        started_s, after, looked_at = self._clock(), ask.after, 0
        kept: list[pa.Table] = []
        while True:
            rows, last = self._next(ask, sides, after)
            looked_at += rows.num_rows
            kept.append(left(rows, ask))
            count = sum(table.num_rows for table in kept)
            is_late = self._clock() - started_s > LOOKS_S
            if last is None or count > SHOWN or is_late:
                return Found(pa.concat_tables(kept), last, looked_at)
            after = last

    def _next(self, ask: Ask, sides: Sequence[CorpusVersion], after: str | None) -> tuple[pa.Table, str | None]:
        """The next clips of the first corpus, with what the second says; and the last of them, None at the end.

        Where differences are asked for, clips that the second corpus alone has are among them.
        """
        if ask.is_select:
            ids = selected_ids(self._catalog, ask, after=after, limit=SHOWN + 1)
            rows = self._between(ask, sides, after, ids[-1] if ids else "", ids=ids)
            return rows, ids[-1] if len(ids) > SHOWN else None
        limit = LOOKED_AT if _is_asked(ask) else SHOWN + 1
        first = corpus_captions(self._catalog, sides[0], columns=SAID, after=after, limit=limit)
        found = [first["clip_id"]]
        if _of_both(ask):
            other = corpus_captions(self._catalog, sides[1], columns=["clip_id"], after=after, limit=limit)
            found.append(other["clip_id"])
        full = [ids[-1].as_py() for ids in found if len(ids) == limit]  # further clips are known of no other
        until = min(full) if full else max((ids[-1].as_py() for ids in found if len(ids)), default="")
        first = first.filter(pc.less_equal(first["clip_id"], until))
        return self._with_other(ask, first, sides, after, until), min(full) if full else None

    def _between(
        self, ask: Ask, sides: Sequence[CorpusVersion], after: str | None, until: str, *, ids: Sequence[str]
    ) -> pa.Table:
        """The clips of these ids."""
        rows = corpus_captions(self._catalog, sides[0], columns=SAID, after=after, until=until, ids=ids)
        return self._with_other(ask, rows, sides, after, until, ids=ids)

    def _with_other(
        self,
        ask: Ask,
        first: pa.Table,
        sides: Sequence[CorpusVersion],
        after: str | None,
        until: str,
        *,
        ids: Sequence[str] | None = None,
    ) -> pa.Table:
        """The rows with their clips' columns, and with the second corpus's as `other_…` (null where there is none)."""
        other = first.slice(0, 0)
        if len(sides) == 2:
            other = corpus_captions(self._catalog, sides[1], columns=SAID, after=after, until=until, ids=ids)
        other = other.rename_columns(["clip_id", *(f"other_{name}" for name in SAID[1:])])
        both = self._catalog.query(
            f"""
            SELECT coalesce(f.clip_id, o.clip_id) AS clip_id, f.* EXCLUDE (clip_id), o.* EXCLUDE (clip_id)
            FROM said f {"FULL" if _of_both(ask) else "LEFT"} JOIN other o ON o.clip_id = f.clip_id ORDER BY 1
            """,
            tables={"said": first, "other": other},
        )
        return with_clips(self._catalog, both, after=after, until=until)


def _of_both(ask: Ask) -> bool:
    """Whether clips of either corpus are looked at, not of the first alone."""
    return bool(ask.differ and ask.b)


def _is_asked(ask: Ask) -> bool:
    """Whether clips have to be read that may not be shown."""
    return bool(ask.flag or _of_both(ask) or ask.where)


def _count_words(version: CorpusVersion, found: Found, *, is_asked: bool) -> str:
    if not is_asked:
        return f"{version.clips:,} clips, {version.texts:,} texts, {version.flagged:,} flagged"
    return f"of {version.clips:,} clips; looked at {found.looked_at:,} from here"


def _side(row: Mapping[str, Any], name: str, other: str | None) -> Side | None:
    if row[f"{name}status"] is None:
        return None
    said = {part: row[f"{name}{part}"] for part in SAID[1:]}
    facts = [
        f"{said['captioner']} {said['captioner_revision']}",
        *(f"{said[key]:,} {words}" for key, words in COUNTED if said[key] is not None),
        *([f"{said['copies']:,} clips have this text"] if (said["copies"] or 1) > 1 else []),
        *([f"tried {said['tries']} times"] if (said["tries"] or 1) > 1 else []),
        *([said["language"]] if said["language"] else []),
        *([f"agreement {said['agreement']:.2f}"] if said["agreement"] is not None else []),
    ]
    text = said["text"] or ""
    return Side(
        said["status"],
        parts(plain(text), None if other is None else plain(other)) if text else (),
        tuple(said["flags"] or ()),
        " · ".join(map(str, facts)),
    )


COUNTED: Final = (("n_words", "words"), ("n_text_tokens", "tokens"))
