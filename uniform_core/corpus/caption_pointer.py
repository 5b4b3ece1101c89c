"""Which version of a corpus is the active one: the last of a list of events. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from uniform_core.catalog import Catalog
from uniform_core.catalog.store import Clock, utc_now
from uniform_core.corpus.caption_versions import CorpusVersion, corpus_version, corpus_versions
from uniform_core.errors import ConfigError, WorkFailedError
from uniform_core.fingerprint import digest

if TYPE_CHECKING:
    from uniform_core.config import RunConfig

EVENT_FP: Final = digest(["corpus event", 1])
_TRIES: Final = 16


def activate(catalog: Catalog, word: str, *, run_id: str, clock: Clock = utc_now) -> CorpusVersion:
    """The version that a word names, now the active one of its corpus; a name alone is its newest version.

    Raises ConfigError for a version that is not there or has no captions, WorkFailedError where somebody else moves the
    pointer each time.
    """
    wanted = _newest_of(catalog, word) if "@" not in word else corpus_version(catalog, word)
    if not wanted.clips:
        raise ConfigError(
            f"corpus {wanted.name}",
            expected="a version that has captions",
            found="none of any clip",
            fix="Caption first, or correct its policy: `uniform captions show --corpus` shows it.",
        )
    for _ in range(_TRIES):
        events = pointer_events(catalog, wanted.corpus)
        if _stack_of(events)[-1:] == [wanted.version]:
            break
        if _add(catalog, events, wanted.corpus, wanted.version, kind="activate", run_id=run_id, clock=clock):
            break
    else:
        raise WorkFailedError(
            f"activate {wanted.name}",
            expected="the pointer where it was a moment ago",
            found=f"one that was moved meanwhile, {_TRIES} times",
            fix="See who moves it: `uniform captions show --corpus`; then try again.",
        )
    return corpus_version(catalog, f"{wanted.corpus}@{wanted.version}")


def rollback(catalog: Catalog, corpus: str, *, run_id: str, clock: Clock = utc_now) -> CorpusVersion:
    """The version that was active before the present one, now active again; once more goes back one more.

    Raises ConfigError where there is none before, WorkFailedError where somebody else moves the pointer meanwhile: it
    may have been moved back already.
    """
    if "@" in corpus:
        raise ConfigError(
            f"rollback {corpus!r}",
            expected="the name of a corpus",
            found="a version of it",
            fix="To go to that version: `uniform captions activate`.",
        )
    _newest_of(catalog, corpus)
    events = pointer_events(catalog, corpus)
    stack = _stack_of(events)
    if len(stack) < 2:
        raise ConfigError(
            f"rollback {corpus!r}",
            expected="a version that was active before the present one",
            found="none" if stack else "no version that was ever active",
            fix="Activate one: `uniform captions activate NAME@VERSION`.",
        )
    if not _add(catalog, events, corpus, stack[-2], kind="rollback", run_id=run_id, clock=clock):
        raise WorkFailedError(
            f"rollback {corpus!r}",
            expected="the pointer where it was a moment ago",
            found="one that was moved meanwhile",
            fix="See where it is now: `uniform captions list`.",
        )
    return corpus_version(catalog, f"{corpus}@{stack[-2]}")


def pointer_events(catalog: Catalog, corpus: str) -> list[dict[str, Any]]:
    """Every move of the pointer of a corpus: number, kind, version, created_at, run_id; the first one first."""
    return catalog.rows(
        "SELECT number, kind, version, created_at, run_id FROM corpus_events WHERE corpus = ? ORDER BY number",
        parameters=[corpus],
    )


def pinned(catalog: Catalog, config: RunConfig) -> RunConfig:
    """The config with the version in full where it names a corpus: what a run reads stays the same to its end.

    Raises ConfigError for a corpus that is not there or has no active version.
    """
    if config.corpus is None:
        return config
    version = corpus_version(catalog, config.corpus)
    return config.model_copy(update={"corpus": f"{version.corpus}@{version.version}"})


def _newest_of(catalog: Catalog, corpus: str) -> CorpusVersion:
    found = corpus_versions(catalog, corpus)
    return found[-1] if found else corpus_version(catalog, corpus)  # which raises, and says what there is


def _stack_of(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The versions that a rollback goes back through, the active one last."""
    stack: list[str] = []
    for event in events:
        if event["kind"] == "activate":
            stack.append(event["version"])
        else:
            stack.pop()
    return stack


def _add(
    catalog: Catalog,
    events: list[dict[str, Any]],
    corpus: str,
    version: str,
    *,
    kind: Literal["activate", "rollback"],
    run_id: str,
    clock: Clock,
) -> bool:
    """Whether the event is the next one; not where somebody else was first."""
    number = len(events)
    row = {
        **{"work_key": digest(["corpus event", corpus, number]), "corpus": corpus, "number": number, "kind": kind},
        **{"version": version, "stage_fp": EVENT_FP, "run_id": run_id, "created_at": clock()},
    }
    return catalog.insert("corpus_events", [row]) == 1
