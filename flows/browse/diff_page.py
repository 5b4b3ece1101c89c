"""Two corpora beside each other as one page: what changed, how long captions are, which words came, and examples.

In the browser's page films come from this machine; in the page that is written as a file they are inside it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markupsafe import Markup

from flows.browse.words import Part, parts
from flows.cli.show import plain
from flows.pages import environment, own_text, policy_hash
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_clips import with_clips
from uniform_core.corpus.caption_diff import CorpusDiff, diff_corpora, diff_rows, length_histogram
from uniform_core.corpus.caption_versions import CorpusVersion
from uniform_core.files import is_inside

EXAMPLES: Final = 12
FILM_LIMIT: Final = 4 << 20  # bytes of a film that a page holds; a larger one is left out
BIN_WORDS: Final = 5
BINS: Final = 40  # longer captions are counted in the last one
FilmSource = Callable[[str, str], str | None]  # clip id and path under media/ to what a video element is given


@dataclass(frozen=True)
class Example:
    """A clip whose caption is another one in B, or in one of them alone."""

    clip_id: str
    kind: str
    label: str | None
    where: str
    film: str | None
    sides: tuple[tuple[Part, ...] | None, ...]
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Bar:
    """Captions of so many words: of A and of B, as shares of the highest bar."""

    words: str
    counts: tuple[int, int]
    heights: tuple[float, float]


@dataclass(frozen=True)
class DiffPage:
    """Everything that the template shows."""

    diff: CorpusDiff
    bars: tuple[Bar, ...]
    examples: tuple[Example, ...]
    browse: str | None  # the address of the browser's page, where there is one


def gather_diff(
    catalog: Catalog, a: CorpusVersion, b: CorpusVersion, *, film: FilmSource, browse: str | None = None
) -> DiffPage:
    """The page of two versions. Raises what `diff_corpora` raises."""
    rows = diff_rows(catalog, a, b, limit=EXAMPLES)
    until = rows["clip_id"][-1].as_py() if rows.num_rows else ""
    examples = [_example(row, film) for row in with_clips(catalog, rows, after=None, until=until).to_pylist()]
    histograms = [length_histogram(catalog, version, words=BIN_WORDS) for version in (a, b)]
    return DiffPage(diff_corpora(catalog, a, b), _bars(histograms), tuple(examples), browse)


def render_diff(page: DiffPage, *, is_file: bool) -> str:
    """The page as text, everything in it escaped. As a file it holds its style, and asks for nothing."""
    style = own_text("flows.report", "page.css") + own_text("flows.browse", "browse.css") if is_file else None
    return (
        environment("flows.browse")
        .get_template("diff.html.j2")
        .render(
            page=page,
            style=None if style is None else Markup(style),  # noqa: S704  (our own file)
            style_hash=None if style is None else policy_hash(style),
            number=_number,
        )
    )


def film_inside(media: Path) -> FilmSource:
    """Films as part of the page: data of the file, where it is there and not too large."""

    def source(_clip_id: str, path: str) -> str | None:
        film = media / path
        if not is_inside(film, media) or not film.is_file() or film.stat().st_size > FILM_LIMIT:
            return None
        return "data:video/mp4;base64," + base64.b64encode(film.read_bytes()).decode()

    return source


def film_here(media: Path) -> FilmSource:
    """Films by the address that the browser's page has for them."""
    return lambda clip_id, path: f"/film/{clip_id}.mp4" if (media / path).is_file() else None


def _example(row: dict[str, Any], film: FilmSource) -> Example:
    texts = [None if row[f"text_{side}"] is None else plain(row[f"text_{side}"]) for side in "ab"]
    return Example(
        clip_id=row["clip_id"],
        kind=row["kind"],
        label=row["label"],
        where=plain(f"{row['dataset']}/{row['source_id']}"),
        film=None if row["path"] is None else film(row["clip_id"], row["path"]),
        sides=tuple(None if text is None else parts(text, texts[1 - place]) for place, text in enumerate(texts)),
        facts=tuple(_facts(row, side) for side in "ab"),
    )


def _facts(row: dict[str, Any], side: str) -> str:
    flags = row[f"flags_{side}"] or []
    return " · ".join(
        [
            str(row[f"captioner_{side}"] or ""),
            *([f"{row[f'n_words_{side}']} words"] if row[f"n_words_{side}"] is not None else []),
            *([f"agreement {row[f'agreement_{side}']:.2f}"] if row[f"agreement_{side}"] is not None else []),
            *flags,
        ]
    )


def _bars(histograms: Sequence[Sequence[dict[str, int]]]) -> tuple[Bar, ...]:
    """Bins from none to the longest caption, both corpora in each."""
    counts: list[dict[int, int]] = [{}, {}]
    for count, histogram in zip(counts, histograms, strict=True):
        for row in histogram:
            place = min(row["from_words"] // BIN_WORDS, BINS - 1)
            count[place] = count.get(place, 0) + row["captions"]
    last = max((place for count in counts for place in count), default=-1)
    highest = max((value for count in counts for value in count.values()), default=1)
    bars = []
    for place in range(last + 1):
        both = (counts[0].get(place, 0), counts[1].get(place, 0))
        more = "+" if place == BINS - 1 else f"–{(place + 1) * BIN_WORDS - 1}"
        bars.append(Bar(f"{place * BIN_WORDS}{more}", both, (both[0] / highest, both[1] / highest)))
    return tuple(bars)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
