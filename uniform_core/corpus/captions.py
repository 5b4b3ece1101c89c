"""Which caption stands for a clip of a run: of the corpus that it names, or of its captioners in their order."""

# ruff: noqa: S608  (names are constants of this package; values are parameters)
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.candidates import captions_candidates
from uniform_core.corpus.caption_corpora import CorpusVersion, corpus_selection, corpus_version
from uniform_core.corpus.caption_selection import Relations
from uniform_core.corpus.left_out import is_filtered
from uniform_core.errors import WorkFailedError

OF_CORPUS: Final = ("captions", "caption_texts")  # the tables that a run with a corpus reads at that version's


def active_captions(catalog: Catalog, config: RunConfig, clips: pa.Table) -> pa.Table:
    """Columns `clip_id`, `text_hash`, `text`, `captioner`: at most one row for each clip.

    A caption is that of the clip's frames or words as they are now, whatever was said of others since; that of a corpus
    is one of the corpus, whatever was said since, and of the clip's frames as they are now.
    A clip of which nothing is said has no row: it is trained and sampled as without text.

    Raises ConfigError for a corpus that is not there, WorkFailedError for one that has captions of none of the clips.
    """
    if config.corpus is None:
        return _of_captioners(catalog, config, clips)
    version = corpus_version(catalog, config.corpus)
    captions = _of_corpus(catalog, version, clips)
    if clips.num_rows and not captions.num_rows:
        raise WorkFailedError(
            f"corpus {version.name}",
            expected=f"captions of some of the run's {clips.num_rows} clips",
            found=f"captions of {version.clips} clips, none of them of this run",
            fix="Build a new version (`uniform captions build --corpus NAME`), activate it; or leave `corpus` out.",
        )
    return captions


def caption_versions(catalog: Catalog, config: RunConfig, versions: Mapping[str, int]) -> dict[str, int]:
    """The versions of tables that a run reads: those given, but where its corpus is read at its own."""
    if config.corpus is None:
        return dict(versions)
    corpus = corpus_version(catalog, config.corpus)
    return {**versions, **{table: corpus.versions[table] for table in OF_CORPUS if table in versions}}


def _of_captioners(catalog: Catalog, config: RunConfig, clips: pa.Table) -> pa.Table:
    """The captions of the first captioner that has one."""
    wanted = [captions_candidates(captioner, clips).select(["work_key", "clip_id"]) for captioner in config.captioners]
    ranks = [rank for rank, keys in enumerate(wanted) for _ in range(keys.num_rows)]
    return catalog.query(
        """
        SELECT w.clip_id, k.text_hash, t.text, k.captioner
        FROM captions k
        JOIN wanted w USING (work_key)
        JOIN caption_texts t ON t.text_hash = k.text_hash
        WHERE k.status IN ('success', 'truncated')
        QUALIFY row_number() OVER (PARTITION BY w.clip_id ORDER BY w.rank) = 1
        ORDER BY w.clip_id
        """,
        tables={"wanted": pa.concat_tables(wanted).append_column("rank", pa.array(ranks, pa.int64()))},
    )


def _of_corpus(catalog: Catalog, version: CorpusVersion, clips: pa.Table) -> pa.Table:
    """The captions of a corpus, of clips that captioners of the run would see."""
    is_seen = [split != "instrument" and not is_filtered(split) for split in clips["split"].to_pylist()]
    seen = clips.filter(pa.array(is_seen, pa.bool_())).select(["clip_id", "source_sha256"])
    parts = corpus_selection(version, columns=["captioner"], relations=Relations(current="run_clips"))
    return catalog.query(
        f"""
        WITH {parts.sql}
        SELECT s.clip_id, s.text_hash, t.text, s.captioner
        FROM selected s SEMI JOIN run_clips USING (clip_id) JOIN caption_texts t USING (text_hash)
        ORDER BY s.clip_id
        """,
        parameters=parts.parameters,
        versions=version.versions,
        tables={"run_clips": seen},
    )


def count_captioned(samples: pa.Table) -> int:
    """How many samples of a training have a caption."""
    return int(pc.sum(pc.is_valid(samples["text_hash"])).as_py() or 0)
