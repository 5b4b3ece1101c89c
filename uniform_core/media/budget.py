"""How many errors a file may make before it is given up: FFmpeg can return the same error for ever."""

from __future__ import annotations

from uniform_core.media.forms import Limits
from uniform_core.media.refusal import Refused


class ErrorBudget:
    """Counts of lost packets and damaged pictures; the last error in words."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._in_a_row = 0
        self.total = 0
        self.last = "no error"

    def packet_read(self) -> None:
        self._in_a_row = 0

    def picture_damaged(self) -> None:
        """A picture came, but the decoder says that it concealed something."""
        self.total += 1
        self.last = "a damaged picture"

    def packet_failed(self, message: str) -> None:
        """Raises Refused when the file has used up its budget."""
        self.total += 1
        self._in_a_row += 1
        self.last = message
        if self.total > self._limits.max_errors or self._in_a_row > self._limits.max_errors_in_a_row:
            raise Refused("undecodable", f"{self.total} packets do not decode, the last: {message}")

    def demux_failed(self, message: str) -> bool:
        """Whether to read on after an error of the container."""
        self.total += 1
        self._in_a_row += 1
        self.last = message
        return self.total <= self._limits.max_errors and self._in_a_row <= self._limits.max_errors_in_a_row
