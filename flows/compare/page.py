"""Runs beside each other as one page in one file: scores, and the clips that changed most, each with its films."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from flows.compare.text import ends, verdict_words
from flows.pages import own_text, policy_hash
from flows.report.data import LostTile, Tile
from flows.report.tiles import tile_of
from flows.report.words import SYSTEMS, TASKS
from flows.report.write import report_templates
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.comparison import ClipChange, Comparison
from uniform_core.corpus.evaluations import Contender
from uniform_core.corpus.made_with import config_of
from uniform_core.corpus.watching import Watched, Watcher
from uniform_core.errors import ConfigError
from uniform_core.training.export import read_card

Row = Mapping[str, Any]
_FILES = """
SELECT file_sha256 AS sha256, path, false AS is_real FROM generations SEMI JOIN wanted ON sha256 = file_sha256
UNION ALL
SELECT clip_sha256 AS sha256, path, true AS is_real FROM clips SEMI JOIN wanted ON sha256 = clip_sha256
"""


@dataclass(frozen=True)
class ClipCard:
    """One clip that changed: the real one, the base's and the other's, each with its title, and the numbers."""

    change: ClipChange
    label: str
    source: str
    views: tuple[tuple[str, Tile | LostTile], ...]


@dataclass(frozen=True)
class Part:
    """One comparison on the page."""

    comparison: Comparison
    better: tuple[ClipCard, ...]
    worse: tuple[ClipCard, ...]


@dataclass(frozen=True)
class ComparePage:
    """Everything that the template shows. Texts are as they came; the template escapes them."""

    base: Contender
    parts: tuple[Part, ...]
    written_at: str
    duration_s: float


def gather_page(catalog: Catalog, comparisons: Sequence[Comparison], *, top: int) -> ComparePage:
    """The page of comparisons with the same base, `top` clips of each task at either end.

    Raises ConfigError where no two of them have a clip in common, IntegrityError for a model whose card does not tell
    what it makes.
    """
    if not any(found.clips for found in comparisons):
        raise ConfigError(
            "uniform compare --page",
            expected="runs that made clips of the same conditions, scored clip by clip under one protocol",
            found="no clip in common",
            fix="Leave --page out: the scores are compared all the same.",
        )
    config = _config(catalog, [comparisons[0].base, *(found.other for found in comparisons)])
    with Watcher(config, catalog.media_dir) as watcher:
        films = Films(catalog, config, watcher)
        parts = []
        for found in comparisons:
            better, worse = ([films.card(found, change) for change in changes] for changes in ends(found, top=top))
            parts.append(Part(found, tuple(better), tuple(worse)))
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return ComparePage(comparisons[0].base, tuple(parts), written, config.spec.duration_s)


def render_page(page: ComparePage) -> str:
    """The page as text. Everything in it is escaped; it asks for nothing else."""
    style = own_text("flows.report", "page.css") + own_text("flows.compare", "compare.css")
    script = own_text("flows.report", "page.js")
    return (
        report_templates("flows.compare", "flows.report")
        .get_template("compare.html.j2")
        .render(
            page=page,
            systems=SYSTEMS,
            tasks=TASKS,
            verdict_words=verdict_words,
            style=Markup(style),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            style_hash=policy_hash(style),
            script_hash=policy_hash(script),
        )
    )


def _config(catalog: Catalog, contenders: Sequence[Contender]) -> RunConfig:
    """The run of the first model among them: it says the size and rate that clips are watched at."""
    for one in contenders:
        if one.evaluation.model_id is not None:
            rows = catalog.rows("SELECT path FROM models WHERE model_id = ?", parameters=[one.evaluation.model_id])
            for row in rows:
                folder = catalog.checkpoints_dir / row["path"]
                return config_of(read_card(folder).made_with, folder)
    raise ConfigError(
        "uniform compare --page",
        expected="at least one run whose model is here: it says how clips are watched",
        found="none",
        fix="Leave --page out.",
    )


class Films:
    """The films of clips, found by the content that their numbers were measured in."""

    def __init__(self, catalog: Catalog, config: RunConfig, watcher: Watcher) -> None:
        self._catalog, self._config, self._watcher = catalog, config, watcher

    def card(self, comparison: Comparison, change: ClipChange) -> ClipCard:
        """A clip with its films: real, the base's, the other's."""
        clip = self._clip(change.clip_id)
        marks = tuple(clip["event_times_s"] or ()) if clip else ()
        views = [("Real clip", self._real(clip, marks)), *self._made(comparison, change, marks)]
        return ClipCard(
            change,
            label=((clip["label"] if clip else None) or "clip").replace("_", " "),
            source=f"{clip['dataset']}/{clip['source_id']}" if clip else change.name or change.clip_id,
            views=tuple(views),
        )

    def _clip(self, clip_id: str) -> Row | None:
        rows = self._catalog.rows(
            "SELECT * FROM clips WHERE clip_id = ? ORDER BY created_at DESC, work_key LIMIT 1", parameters=[clip_id]
        )
        return rows[0] if rows else None

    def _real(self, clip: Row | None, marks: tuple[float, ...]) -> Tile | LostTile:
        seen = "the catalog has no such clip any more" if clip is None else self._watcher.truth(clip)
        return tile_of(self._config.spec, "truth", "what gave the condition", seen, marks)

    def _made(
        self, comparison: Comparison, change: ClipChange, marks: tuple[float, ...]
    ) -> Iterator[tuple[str, Tile | LostTile]]:
        kind = change.task if change.task in TASKS else "truth"
        times = () if kind == "t2av" else marks  # a clip made from text is free to choose its own
        for title, one in (("Base", comparison.base), ("Other", comparison.other)):
            seen = self._watched(one, change)
            yield (
                title,
                tile_of(self._config.spec, kind, f"{SYSTEMS.get(one.system, one.system)}, {one.name}", seen, times),
            )

    def _watched(self, one: Contender, change: ClipChange) -> Watched | str:
        """The clip of a system as it was measured: its picture and its sound may be of different files."""
        rows = self._catalog.rows(
            "SELECT video_sha256, audio_sha256 FROM clip_scores"
            " WHERE stage_fp = ? AND system = ? AND task = ? AND clip_id = ? ORDER BY work_key LIMIT 1",
            parameters=[one.evaluation.evaluation, one.system, change.task, change.clip_id],
        )
        contents = tuple(rows[0].values()) if rows else ()
        streams = [self._file(content) for content in dict.fromkeys(contents)]
        if not streams or any(isinstance(stream, str) for stream in streams):
            return next((stream for stream in streams if isinstance(stream, str)), "it was not measured")
        picture, sound = streams[0], streams[-1]
        assert not isinstance(picture, str)
        assert not isinstance(sound, str)
        return picture[0], sound[1]

    def _file(self, content: str) -> Watched | str:
        """The frames and sound of a file by its sha256."""
        import pyarrow as pa

        wanted = pa.table({"sha256": pa.array([content], pa.string())})
        rows = self._catalog.rows(_FILES, tables={"wanted": wanted})
        if not rows:
            return "the catalog names no file of this content any more"
        row = rows[0]
        if not (self._catalog.media_dir / row["path"]).is_file():
            return "its file is gone: `uniform catalog verify` tells more"
        return self._watcher.truth(row) if row["is_real"] else self._watcher.made(row)
