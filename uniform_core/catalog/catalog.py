"""The catalog as the rest of the house sees it: one object, one method a verb."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from uniform_core.catalog import content, formats, ledger, pins, shard_care, takedown, worklist
from uniform_core.catalog import repair as repairing
from uniform_core.catalog import vacuum as vacuuming
from uniform_core.catalog import verify as verifying
from uniform_core.catalog.candidates import Candidates
from uniform_core.catalog.ledger import Failure
from uniform_core.catalog.shard_care import Burial
from uniform_core.catalog.store import Clock, Parameters, Store, utc_now
from uniform_core.catalog.tables import all_tables, sorted_sql, table_named
from uniform_core.catalog.verify import Finding
from uniform_core.catalog.worklist import Progress
from uniform_core.errors import ConfigError
from uniform_core.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa


_ODD = set('*?[]{}#%|^<>"\\`')  # what Delta's URLs or DuckDB's patterns take for something else


class Selection(TypedDict, total=False):
    """Which failures: those that fit every word. `where` is a condition in SQL, as `ledger.failed_items` has it."""

    stage: str | None
    dataset: str | None
    error_class: str | None
    item_keys: Sequence[str] | None
    where: str | None


class Catalog(Store):
    """The tables under `home/catalog` with the tensors and media that they name."""

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """The catalog of a root, which is made where it is missing.

        Raises ConfigError for a root whose name Delta cannot take, FormatTooNewError, StorageError.
        """
        placed = settings.model_copy(update={"home": settings.home.resolve()})
        root = placed.catalog_dir.resolve()
        if any(letter in _ODD or unicodedata.category(letter) in ("Cc", "Cs") for letter in str(root)):
            raise ConfigError(
                "UNIFORM_HOME",
                expected="a path of Unicode without control characters and " + " ".join(sorted(_ODD)),
                found=repr(str(root)),
                fix="Choose another folder.",
            )
        formats.ensure_format(root, utc_now)
        return cls(
            root,
            tensors_dir=placed.tensors_dir,
            media_dir=placed.media_dir,
            checkpoints_dir=placed.checkpoints_dir,
        )

    @property
    def table_names(self) -> tuple[str, ...]:
        return tuple(all_tables())

    def describe(self, table: str) -> list[dict[str, str]]:
        """The columns of a table: table, column, type and meaning, as the definition says it."""
        return [
            {"table": table, "column": c.name, "type": c.type, "meaning": c.meaning} for c in table_named(table).columns
        ]

    def named_query(
        self, name: str, *, parameters: Parameters = (), versions: Mapping[str, int] | None = None
    ) -> pa.Table:
        """What `catalogs/queries/<name>.sql` returns. Raises ConfigError that lists the known names."""
        return self.query(named_sql(name), parameters=parameters, versions=versions)

    def named_rows(
        self, name: str, *, parameters: Parameters = (), versions: Mapping[str, int] | None = None
    ) -> list[dict[str, Any]]:
        """The same as dicts, without importing Arrow: what `uniform status` uses."""
        return self.rows(named_sql(name), parameters=parameters, versions=versions)

    def content_digest(self, tables: Iterable[str], *, versions: Mapping[str, int] | None = None) -> str:
        """64 hex digits of the live keys and outputs of these tables. Raises CatalogError for the ledger."""
        return content.content_digest(self, tables, versions=versions)

    def outstanding(
        self, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock = utc_now
    ) -> pa.Table:
        """The candidates that are still to be done, in their order, each work_key once."""
        return worklist.outstanding(self, table, candidates, stage=stage, clock=clock)

    def outstanding_of(
        self, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock = utc_now
    ) -> tuple[pa.Table, Progress]:
        """`outstanding`, and how many candidates there are, are done, and are to be done."""
        return worklist.outstanding_of(self, table, candidates, stage=stage, clock=clock)

    def progress(
        self, table: str, candidates: pa.Table | Candidates, *, stage: str, clock: Clock = utc_now
    ) -> Progress:
        """How many candidates there are, are done, and are to be done, counted without making them."""
        return worklist.progress(self, table, candidates, stage=stage, clock=clock)

    def record_failures(self, failures: Sequence[Failure | Mapping[str, Any]], *, clock: Clock = utc_now) -> int:
        """How many failures were added to the ledger."""
        return ledger.record_failures(self, failures, clock=clock)

    def failed_items(self, **words: Unpack[Selection]) -> list[dict[str, Any]]:
        """The ledger's last row of each item that stands as failed and that the words select; `where` is SQL."""
        return ledger.failed_items(self, **words)

    def request_retry(self, *, run_id: str, clock: Clock = utc_now, **words: Unpack[Selection]) -> int:
        """How many failed items, of those that the words select, may now be tried again."""
        return self.retry(self.failed_items(**words), run_id=run_id, clock=clock)

    def retry(self, failed: Sequence[Mapping[str, Any]], *, run_id: str, clock: Clock = utc_now) -> int:
        """How many of these failures, rows of `failed_items`, may now be tried again."""
        return ledger.request_retry(self, failed, run_id=run_id, clock=clock)

    def bury(
        self, dataset: str, source_ids: Sequence[str], *, reason: str, run_id: str, clock: Clock = utc_now
    ) -> Burial:
        """What is gone: tombstones hide the sources in every version, and their media and tensors are removed.

        Raises ConfigError, before any of them is buried, where the catalog has never heard of one.
        """
        return shard_care.bury(self, dataset, source_ids, reason=reason, run_id=run_id, clock=clock)

    def bury_videos(
        self, video_ids: Sequence[str], *, dataset: str | None = None, reason: str, run_id: str, clock: Clock = utc_now
    ) -> Burial:
        """What is gone: whole videos, with all their clips, those to come too, of one dataset or of every one (None).

        Raises ConfigError, before any of them is buried, for what cannot be the id of a video.
        """
        return takedown.bury_videos(self, video_ids, dataset=dataset, reason=reason, run_id=run_id, clock=clock)

    def unseen_videos(self, video_ids: Sequence[str], *, dataset: str | None = None) -> list[str]:
        """Those of the videos of which nothing was ever fetched."""
        return takedown.unseen_videos(self, video_ids, dataset=dataset)

    def purge(self) -> Burial:
        """What was still to be removed of what has a tombstone (a killed takedown, a late writer)."""
        return takedown.purge(self)

    def compact(self, table: str | None = None) -> dict[str, int]:
        """Files that were merged into larger ones, by table; rows and digests stay the same."""
        tables = all_tables().values() if table is None else [table_named(table)]
        return {one.name: self.delta.compact(one) for one in tables}

    def vacuum(
        self,
        retention: timedelta = vacuuming.RETENTION,
        *,
        table: str | None = None,
        pinned: Iterable[Mapping[str, int]] = (),
        grace: timedelta = vacuuming.GRACE,
        clock: Clock = utc_now,
    ) -> list[str]:
        """The data files that are gone, as table/file; pinned versions and those within the retention stay."""
        tables = None if table is None else [table]
        return vacuuming.vacuum(self, tables, retention=retention, pinned=pinned, grace=grace, clock=clock)

    def collect_orphans(self, grace: timedelta = shard_care.ORPHAN_GRACE, *, clock: Clock = utc_now) -> list[str]:
        """The tensor shards and media that no row named within the grace, relative to the root; they are gone."""
        return shard_care.collect_orphans(self, grace=grace, clock=clock)

    def verify(self, *, deep: bool = True) -> list[Finding]:
        """Everything that is wrong with tables, tensors and media."""
        return list(verifying.verify(self, deep=deep))

    def repair(self, findings: Iterable[Finding]) -> dict[str, int]:
        """Rows that are gone by table, those of damaged tensors, media and models: their stages make them again."""
        return repairing.repair(self, findings)

    def history(self, table: str) -> list[dict[str, Any]]:
        """The commits of a table, newest first: version, timestamp (ms), operation, its metrics."""
        opened = self.delta.open(table_named(table).name)
        return [] if opened is None else list(opened.history())

    def pin(self, name: str, versions: Mapping[str, int]) -> None:
        """These versions stay readable until `unpin`."""
        pins.pin(self, name, versions)

    def unpin(self, name: str) -> bool:
        """Whether there was a pin of this name, which is gone now."""
        return pins.unpin(self, name)

    def pins(self) -> dict[str, dict[str, int]]:
        """Every pin by name."""
        return pins.pins(self)


def query_names() -> tuple[str, ...]:
    """The names of the queries of `catalogs/queries`."""
    return tuple(text.name.removesuffix(".sql") for text in sorted_sql("queries"))


def named_sql(name: str) -> str:
    """The text of `catalogs/queries/<name>.sql`. Raises ConfigError that lists the known names."""
    texts = {text.name.removesuffix(".sql"): text for text in sorted_sql("queries")}
    if name not in texts:
        raise ConfigError(
            f"query {name!r}", expected="one of " + ", ".join(texts), found="an unknown query", fix="Correct its name."
        )
    return texts[name].read_text("utf-8")
