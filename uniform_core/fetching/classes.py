"""Why a clip can fail. What follows stands in `policies`; `statuses` and `messages` tell them apart."""

from __future__ import annotations

from enum import StrEnum


class FailureClass(StrEnum):
    """The classes of failures; the value is `error_class` in the ledger."""

    DEAD = "dead"  # removed, account terminated, copyright claim, 404 and 410 of a plain host
    PRIVATE = "private"
    AGE = "age"  # needs cookies
    GEO = "geo"  # permanent for this region
    ACCESS = "access"  # members only
    FUTURE = "future"  # a premiere or live event that has not begun
    BOTWALL = "botwall"  # stops the fleet; counts against no clip
    RATE_LIMIT = "rate_limit"  # the same, for an hour at least; HTTP 429
    EXPIRED_URL = "expired_url"  # 403 mid-stream: asked for anew, once
    TRANSIENT = "transient"  # 5xx, timeouts, cut connections, DNS
    CONFIG = "config"  # no JS runtime, no ffmpeg, terms not accepted: stops the run, and says what to do
    NO_FORMAT = "no_format"  # no format that we take: the video's own, unless one after the other says so
    BAD_MEDIA = "bad_media"  # not media, empty, shorter than 95 %, without picture or sound, damaged
    RANGE = "range"  # the clip begins after the video's end
    DENIED = "denied"  # 401 or 403 of a plain host that is no expired address
    TOO_LARGE = "too_large"  # more bytes, pixels or time than any clip can need
