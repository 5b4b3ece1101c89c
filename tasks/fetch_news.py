"""What people see of the stage `fetch` while it runs: what came, what is waited for and until when, how long it takes.

The time that is left is what the rate of hosts allows, or what the work takes without its waits; never the mean of a
run that stood before a closed door for half of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from tasks.fetch_results import Books
from uniform_core.corpus.fetching import STAGE
from uniform_core.fetching.policies import HOUR_S
from uniform_core.fetching.time_left import TimeLeft, Turns
from uniform_core.progress import Listener, ProgressEvent

Row = Mapping[str, Any]


class News:
    """Tells a listener of a run, whose `books` the loop keeps.

    `turns` is what the sources of each dataset ask of hosts. A clip whose next try lies more than `patience_s` away is
    not this run's any more.
    """

    def __init__(
        self,
        books: Books,
        *,
        turns: Mapping[str, Sequence[Turns]],
        now: Callable[[], datetime],
        patience_s: float,
        listener: Listener,
    ) -> None:
        self._books, self._turns, self._now, self._listener = books, turns, now, listener
        self._patience = timedelta(seconds=patience_s)
        self._gaps_s = {host: gap for one in turns.values() for source in one for host, gap in source.gaps_s.items()}
        self._total, self._left = 0, TimeLeft(turns, ())
        self._latest = self._started = now()  # when the last of the next tries is due that this run will make
        self._waited = timedelta(0)

    def begin(self, rows: Sequence[Row], retries: Mapping[str, datetime | None]) -> None:
        """The run has these clips and bad lines to do, beside what copies gave of lost ones.

        `retries` says when those that failed before are due.
        """
        coming = [row for row in rows if row["video_id"] is not None and self._is_ours(retries.get(row["work_key"]))]
        self._total = len(rows) + len(self._books.fetched)
        self._left = TimeLeft(self._turns, ((row["dataset"], row["video_id"]) for row in coming))

    def answered(self, row: Row, source: str | None, *, retry_at: datetime | None) -> None:
        """A clip has its answer, of a source of this kind; None: it has none. `retry_at` is its next try's moment."""
        is_settled = retry_at is None or not self._is_ours(retry_at)
        self._left.answered((row["dataset"], row["video_id"]), source, is_settled=is_settled)

    def waited(self, since: datetime) -> None:
        """The run has only waited since a moment."""
        self._waited += self._now() - since

    def tell(self, *, waiting: tuple[datetime, datetime] | None = None) -> None:
        """How far it is. `waiting` is since when nothing is done, and until when."""
        books, now = self._books, self._now()
        since, resumes = waiting or (now, None)
        worked_s = max((since - self._started - self._waited).total_seconds(), 1e-3)
        closed = {host: until for host, until in books.closed.items() if until > now}
        left = self._left.estimate(now, worked_s=worked_s, closed=closed, resumes=resumes)
        words = [
            f"{len(books.fetched)} ok",
            f"{len(books.final)} dead",
            f"{len(books.deferred)} blocked",
            f"{len(books.failed) - len(books.final)} waiting",
            f"{len(books.fetched) / worked_s:.2g} clips/s",
            *([] if resumes is None else [f"next try at {moment_words(resumes, now)} UTC"]),
            *(f"{host} closed until {moment_words(until, now)}" for host, until in sorted(closed.items())),
        ]
        if left.host is not None and left.host not in closed:
            words.append(f"{left.host} gives {HOUR_S / self._gaps_s[left.host]:,.0f} videos/h")
        done = len(books.fetched) + len(books.final)
        left_s = max(left.seconds, (self._latest - now).total_seconds(), 0.0)
        self._listener(ProgressEvent(STAGE, done, self._total, len(books.final), ", ".join(words), left_s))

    def _is_ours(self, retry_at: datetime | None) -> bool:
        """Whether a next try is one that this run waits for."""
        if retry_at is None:
            return True
        if retry_at - self._now() > self._patience:
            return False
        self._latest = max(self._latest, retry_at)
        return True


def moment_words(moment: datetime, now: datetime) -> str:
    """A moment as a clock shows it, with its day where that is another.

    >>> moment_words(datetime(2026, 6, 1, 13, 5), datetime(2026, 6, 1, 12)), moment_words(
    ...     datetime(2026, 6, 2, 1), datetime(2026, 6, 1, 12)
    ... )
    ('13:05:00', '2026-06-02 01:00:00')
    """
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
