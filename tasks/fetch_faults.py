"""Failures that are a clip's own until many in a row say the same: then it is the set-up's fault, and the run stops.

What a host has no file for is held back from the ledger until a file has come from the same address, so that a wrong
address makes no clip dead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from uniform_core.catalog import Catalog
from uniform_core.corpus.fetching import STAGE
from uniform_core.errors import ConfigError
from uniform_core.fetching.outcome import Addresses, Failed
from uniform_core.fetching.sources import HttpSource, YoutubeSource

FORMATLESS: Final = 20  # videos without a format that we take, and no file of YouTube between them
YOUTUBE: Final = YoutubeSource.model_fields["kind"].default
HTTP: Final = HttpSource.model_fields["kind"].default
Row = Mapping[str, Any]
Held = tuple[Row, Failed]


class SetupWatch:
    """What of a run's failures in a row speaks against its set-up. `catalog` knows what came in earlier runs."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._formatless: set[str] = set()  # videos, since a file of YouTube came
        self._held: dict[Addresses, list[Held]] = {}
        self._missing: dict[Addresses, set[str]] = {}  # videos, also of earlier passes
        self._proven: set[Addresses] = set()  # a file came from there
        self._origins: dict[str, str] = {}  # of the first file that came from a host, by the host

    def came(self, download: Row) -> list[Held]:
        """A clip has its file, by this row of `downloads`; what was held back and now is known to be the clips' own."""
        if download["source"] == YOUTUBE:
            self._formatless.clear()
        if download["source"] != HTTP:
            return []
        self._origins.setdefault(urlsplit(download["origin"]).netloc, download["origin"])
        here = [one for one in self._missing if download["origin"].startswith(one.prefix)]
        self._proven.update(here)
        return [held for one in here for held in self._held.pop(one, [])]

    def holds(self, row: Row, failed: Failed) -> bool:
        """Whether a failure may be the address's fault, and is held back until more is known.

        Raises ConfigError where too many in a row were.
        """
        where = failed.nothing_at
        if where is None or self._is_proven(where):
            return False
        self._held.setdefault(where, []).append((row, failed))
        missing = self._missing.setdefault(where, set())
        missing.add(row["video_id"])
        if len(missing) >= where.most_missing:
            raise ConfigError(
                f"stage {STAGE}, source http {where.pattern}",
                expected=f"a file for one of {where.most_missing} videos in a row of {row['dataset']} at least",
                found=f"none, and none ever came from there ({failed.message})",
                fix="Correct the address in data.sources, then run the same command again: no clip is blamed. Where it "
                "is right, and that many are really gone, raise the source's most_missing.",
            )
        return True

    def release(self) -> list[Held]:
        """What is held back, at the end of a pass: there were too few of them to say anything of the address."""
        held = [one for several in self._held.values() for one in several]
        self._held.clear()
        return held

    def formatless(self, video_id: str, said: str) -> None:
        """A video has no format. Raises ConfigError where one after the other has none: yt-dlp cannot read the site."""
        self._formatless.add(video_id)
        if len(self._formatless) >= FORMATLESS:
            raise ConfigError(
                f"stage {STAGE}",
                expected=f"a format of at most 360 lines of one of {FORMATLESS} videos in a row",
                found=f"none ({said})",
                fix="Run `pip install -U 'yt-dlp[default,deno]'`, then the same command again; what has become final "
                "is asked for by `uniform failures retry --where \"error_class = 'no_format'\"`.",
            )

    def _is_proven(self, where: Addresses) -> bool:
        if where not in self._proven and where not in self._missing:
            came = self._origins.get(urlsplit(where.prefix).netloc, "").startswith(where.prefix) or self._catalog.rows(
                "SELECT 1 FROM downloads WHERE source = $http AND starts_with(origin, $prefix) LIMIT 1",
                parameters={"http": HTTP, "prefix": where.prefix},
            )
            if came:
                self._proven.add(where)
        return where in self._proven
