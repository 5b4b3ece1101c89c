"""Versions of named caption corpora, as the catalog lists them, and the words that name one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_policy import CorpusPolicy
from uniform_core.errors import ConfigError

SHORT: Final = 12  # digits of a version that people see


@dataclass(frozen=True)
class CorpusVersion:
    """One version of a corpus, as its row says it; whether it is the active one of its name stands beside it."""

    corpus: str
    version: str
    policy: CorpusPolicy
    versions: Mapping[str, int]
    content_digest: str
    clips: int
    texts: int
    flagged: int
    by_selector: tuple[int, ...]
    created_at: datetime
    is_active: bool

    @property
    def name(self) -> str:
        """`name@version`, short, as commands take it."""
        return f"{self.corpus}@{self.version[:SHORT]}"

    def as_dict(self) -> dict[str, Any]:
        """The same as a JSON object."""
        plain = {
            name: getattr(self, name)
            for name in ("corpus", "version", "content_digest", "clips", "texts", "flagged", "is_active")
        }
        return {
            **plain,
            "name": self.name,
            "policy": self.policy.model_dump(mode="json"),
            "versions": dict(self.versions),
            "by_selector": list(self.by_selector),
            "created_at": self.created_at.isoformat(),
        }


def corpus_versions(catalog: Catalog, corpus: str | None = None) -> list[CorpusVersion]:
    """Every version of one corpus, or of all (None): by name, the newest last."""
    rows = catalog.rows(
        """
        SELECT c.*, coalesce(c.version = e.version, false) AS is_active
        FROM corpora c LEFT JOIN (
            SELECT corpus, version FROM corpus_events
            QUALIFY row_number() OVER (PARTITION BY corpus ORDER BY number DESC) = 1
        ) e USING (corpus)
        WHERE $corpus IS NULL OR c.corpus = $corpus ORDER BY c.corpus, c.created_at, c.version
        """,
        parameters={"corpus": corpus},
    )
    return [_version_of(row) for row in rows]


def corpus_version(catalog: Catalog, word: str) -> CorpusVersion:
    """The version that a word names: `name` is its active one, `name@` with the beginning of a version that one.

    The only version of a corpus need not be activated: there is no other that a name could mean.

    Raises ConfigError for a corpus or version that is not there, or a beginning that two have.
    """
    name, at, beginning = word.partition("@")
    found = corpus_versions(catalog, name)
    if not found:
        known = sorted({one.corpus for one in corpus_versions(catalog)})
        raise ConfigError(
            f"corpus {word!r}",
            expected="one of " + ", ".join(known) if known else "a corpus that was built",
            found=f"no corpus named {name!r}",
            fix="Correct its name, or build it: `uniform captions build --corpus NAME`.",
        )
    fits = (
        [one for one in found if one.version.startswith(beginning)] if at else [one for one in found if one.is_active]
    )
    if not at and len(found) == 1:
        return found[0]
    if len(fits) == 1 and (beginning or not at):
        return fits[0]
    versions = ", ".join(one.name for one in found[-5:])
    raise ConfigError(
        f"corpus {word!r}",
        expected=f"one of its versions ({'… ' if found[5:] else ''}{versions})",
        found=f"{len(fits)} that begin so" if at else "no active one",
        fix="Give more of the version."
        if at
        else f"Choose one by `uniform captions activate {versions.split(', ')[-1]}`, or name a version here.",
    )


def _version_of(row: Mapping[str, Any]) -> CorpusVersion:
    plain = {name: row[name] for name in ("corpus", "version", "content_digest", "clips", "texts", "flagged")}
    return CorpusVersion(
        **plain,
        policy=CorpusPolicy.model_validate_json(row["policy"]),
        versions={str(table): int(version) for table, version in json.loads(row["versions"]).items()},
        by_selector=tuple(row["by_selector"]),
        created_at=row["created_at"],
        is_active=row["is_active"],
    )
