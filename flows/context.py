"""A run's context, opened once: a stage flow inside the pipeline uses the pipeline's, alone it opens its own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

from prefect.runtime import flow_run

from flows.cli.show import ProgressPrinter
from flows.listing import list_data
from flows.seed import seeded
from tasks.context import RunContext
from tasks.ray_session import ray_session
from uniform_core.build import build_run
from uniform_core.catalog import Catalog
from uniform_core.config import RunConfig
from uniform_core.corpus.caption_pointer import pinned
from uniform_core.settings import ensure_home, load_settings

# With the config that was asked for: that of the context names its corpus by its version.
_OPEN: ContextVar[tuple[RunConfig, RunContext] | None] = ContextVar("uniform_run_context", default=None)


@contextlib.contextmanager
def run_context(preset: str, overrides: Sequence[str], data: str | None) -> Iterator[RunContext]:
    """The context of this run; Ray starts when the first stage needs it and is gone at the end of the outermost.

    Raises ConfigError, StorageError before anything is started.
    """
    config = build_run(preset, overrides=seeded(preset, overrides, data), data=data)
    outer = _OPEN.get()
    if outer is not None and config in (outer[0], outer[1].config):
        yield outer[1]
        return
    settings = load_settings()
    list_data(settings, config)
    catalog = Catalog.open(settings)  # before anything is written: a root of a newer format is left alone
    ensure_home(settings)
    with contextlib.ExitStack() as opened:
        # Of another config inside a run: its processes are shared, for each takes seconds to start.
        ray = outer[1].ray if outer is not None else opened.enter_context(ray_session(settings))
        printer = opened.enter_context(ProgressPrinter())
        context = RunContext(
            settings=settings,
            config=pinned(catalog, config),
            catalog=catalog,
            ray=ray,
            run_id=flow_run.get_id() or f"local-{uuid.uuid4()}",
            listener=printer,
        )
        token = _OPEN.set((config, context))
        try:
            yield context
        finally:
            _OPEN.reset(token)
