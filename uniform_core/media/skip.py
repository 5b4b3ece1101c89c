"""Which packets need no decoding because nothing before a moment is wanted.

Decoding an hour to cut four seconds from its end costs minutes; reading its packets costs a second. No seeking: its
exactness differs by container. Instead the packets since the last key frame wait until it is clear whether they are
wanted.
"""

from __future__ import annotations

from typing import Any

AHEAD_S = 2.0
MAX_HELD = 3000
INDEXED = ("mov", "matroska")
"""Containers whose key frame flags can be trusted; in others every packet is decoded."""


class Skipper:
    """Gives packets back in order, without those that end before `needed_from_s` (on the container's clock)."""

    def __init__(self, container_name: str) -> None:
        self.needed_from_s = float("-inf")
        self._trusted = container_name.startswith(INDEXED)
        self._held: list[Any] | None = None  # None: packets pass

    def pass_on(self, packet: Any) -> list[Any]:
        """The packets to decode now. After a gap the first one is a key frame, and the decoder is flushed."""
        if packet.stream.type == "audio":
            return [packet]  # cheap, and some codecs carry state (AAC's noise) that would change the samples
        if not self._trusted or packet.pts is None:
            return self._release(packet)
        if self._held is None and not packet.is_keyframe:
            return [packet]
        ahead_s = self.needed_from_s - float(packet.pts * packet.time_base)
        if packet.is_keyframe and ahead_s >= (AHEAD_S if self._held is None else 0.0):
            self._held = [packet]
            return []
        if self._held is None:
            return [packet]  # a key frame that is wanted
        if ahead_s <= 0 or len(self._held) >= MAX_HELD:
            return self._release(packet)
        self._held.append(packet)
        return []

    def _release(self, packet: Any) -> list[Any]:
        held, self._held = self._held, None
        if not held:
            return [packet]
        held[0].stream.codec_context.flush_buffers()
        return [*held, packet]
