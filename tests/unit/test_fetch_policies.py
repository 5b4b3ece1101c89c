"""What follows from each class of failure, and which message or answer is of which class."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from fetch_doubles import START

from uniform_core.download import Reason, RemoteError
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.messages import of_message, plain
from uniform_core.fetching.policies import DAY_S, HOUR_S, JITTER, POLICIES, next_try
from uniform_core.fetching.statuses import of_download, of_status

F = FailureClass


def waits(failure: FailureClass, count: int = 20) -> list[float]:
    """The seconds after each failure in a row until there is no further try."""
    found = []
    for earlier in range(count):
        at = next_try(failure, earlier, now=START, rng=random.Random(earlier))
        if at is None:
            return found
        found.append((at - START).total_seconds())
    raise AssertionError("it never ends")


def test_every_class_has_a_policy() -> None:
    assert set(POLICIES) == set(FailureClass)


@pytest.mark.parametrize("failure", [F.DEAD, F.PRIVATE, F.AGE, F.GEO, F.RANGE, F.DENIED, F.TOO_LARGE])
def test_what_is_gone_is_not_tried_again(failure: FailureClass) -> None:
    assert waits(failure) == []
    assert POLICIES[failure].is_final


def test_what_was_removed_is_not_even_asked_for_by_hand_before_a_quarter_of_a_year() -> None:
    assert {failure for failure in FailureClass if POLICIES[failure].recheck_s >= 90 * DAY_S} == {F.DEAD, F.PRIVATE}


def test_what_may_pass_is_tried_five_times_soon_then_three_times_late_then_never() -> None:
    found = waits(F.TRANSIENT)
    assert len(found) == 8
    for wait, least in zip(found, [30, 60, 120, 240, 480, HOUR_S, DAY_S, 7 * DAY_S], strict=True):
        assert least <= wait <= least * (1 + JITTER)


def test_clips_that_failed_together_do_not_come_back_together() -> None:
    rng = random.Random(0)
    assert len({next_try(F.TRANSIENT, 0, now=START, rng=rng) for _ in range(50)}) == 50


def test_bad_media_has_two_more_tries_and_an_expired_address_three() -> None:
    assert len(waits(F.BAD_MEDIA)) == 2
    found = waits(F.EXPIRED_URL)
    for wait, least in zip(found, [600, HOUR_S, DAY_S], strict=True):
        assert least <= wait <= least * (1 + JITTER)


@pytest.mark.parametrize("failure", [F.ACCESS, F.FUTURE])
def test_what_may_open_is_looked_at_each_week_but_not_for_ever(failure: FailureClass) -> None:
    assert len(waits(failure)) == 12
    assert min(waits(failure)) >= 7 * DAY_S


def test_a_wall_and_a_fault_of_ours_count_against_no_clip() -> None:
    assert {failure for failure in FailureClass if not POLICIES[failure].counts} == {F.BOTWALL, F.RATE_LIMIT, F.CONFIG}
    assert {failure for failure in FailureClass if POLICIES[failure].closes_host} == {F.BOTWALL, F.RATE_LIMIT}
    assert {failure for failure in FailureClass if POLICIES[failure].stops_run} == {F.CONFIG}
    assert next_try(F.BOTWALL, 99, now=START, rng=random.Random(0)) == START


def test_a_host_that_asks_for_patience_gets_it_within_reason() -> None:
    def after(seconds: float) -> timedelta:
        at = next_try(F.TRANSIENT, 0, now=START, rng=random.Random(0), retry_after_s=seconds)
        assert at is not None
        return at - START

    assert after(7200.0) == timedelta(hours=2)
    assert after(0.0) < timedelta(minutes=1)
    assert after(1e9) == timedelta(days=7)
    assert next_try(F.DEAD, 0, now=START, rng=random.Random(0), retry_after_s=10.0) is None


MESSAGES = {
    "Video unavailable": F.DEAD,
    "Video unavailable. This video has been removed by the uploader": F.DEAD,
    "This video has been removed for violating YouTube's Terms of Service": F.DEAD,
    "Video unavailable. This video is no longer available because the YouTube account associated with this video has "
    "been terminated.": F.DEAD,
    "Video unavailable. This video is no longer available due to a copyright claim by Someone": F.DEAD,
    "This live stream recording is not available.": F.DEAD,
    "This video is unavailable": F.DEAD,
    "Video removed by the uploader": F.DEAD,
    "Private video. Sign in if you've been granted access to this video": F.PRIVATE,
    "Video unavailable. This video is private": F.PRIVATE,
    "Sign in to confirm your age. This video may be inappropriate for some users.": F.AGE,
    "Video unavailable. The uploader has not made this video available in your country": F.GEO,
    "This video is not available from your location due to geo restriction": F.GEO,
    "Join this channel to get access to members-only content like this video, and other exclusive perks.": F.ACCESS,
    "This video is available to this channel's members on level: Fans": F.ACCESS,
    "This video is only available to Music Premium members": F.ACCESS,
    "Premieres in 3 hours": F.FUTURE,
    "This live event will begin in 20 minutes.": F.FUTURE,
    "Sign in to confirm you're not a bot. Use --cookies-from-browser or --cookies for the authentication.": F.BOTWALL,
    "Sign in to confirm you’re not a bot": F.BOTWALL,
    "Video unavailable. YouTube is requiring a captcha challenge before playback": F.BOTWALL,
    "Unable to download webpage: HTTP Error 429: Too Many Requests": F.BOTWALL,
    "Video unavailable. This content isn't available, try again later. The current session has been rate-limited by "
    "YouTube for up to an hour.": F.RATE_LIMIT,
    "Video unavailable. This content isn’t available, try again later.": F.RATE_LIMIT,
    "unable to download video data: HTTP Error 403: Forbidden": F.EXPIRED_URL,
    "[https @ 0x1] Server returned 403 Forbidden (access denied)": F.EXPIRED_URL,
    "Unable to download API page: HTTP Error 503: Service Unavailable": F.TRANSIENT,
    "Unable to download webpage: The read operation timed out": F.TRANSIENT,
    "Unable to download webpage: Failed to resolve 'www.youtube.com' ([Errno -2] Name not known)": F.TRANSIENT,
    "1000 bytes read, 2000 more expected": F.TRANSIENT,
    "content too short (expected 100 bytes and served 50)": F.TRANSIENT,
    "('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))": F.TRANSIENT,
    "Requested format is not available. Use --list-formats for a list of available formats": F.NO_FORMAT,
    "Only images are available for download. use --list-formats to see them": F.NO_FORMAT,
    "No supported JavaScript runtime could be found. Only deno is enabled by default": F.CONFIG,
    "You have requested merging of multiple formats but ffmpeg is not installed. Aborting": F.CONFIG,
    "ffmpeg exited with code 1": F.BAD_MEDIA,
    "Did not get any data blocks": F.BAD_MEDIA,
    "The downloaded file is empty": F.BAD_MEDIA,
    "Postprocessing: Conversion failed!": F.BAD_MEDIA,
    "[download] File is larger than max-filesize (9 bytes > 1 bytes). Aborting.": F.TOO_LARGE,
    "ffmpeg exited with code -25": F.TOO_LARGE,
    "unable to write data: [Errno 27] File too large": F.TOO_LARGE,
    "This video is DRM protected": F.DENIED,
}


@pytest.mark.parametrize("message", MESSAGES)
def test_what_youtube_says_is_of_a_class(message: str) -> None:
    assert of_message(message) is MESSAGES[message]
    assert (
        of_message(f"ERROR: [youtube] {'-' * 11}: {message}; please report this issue on a page") is MESSAGES[message]
    )


def test_what_nobody_has_seen_is_of_no_class() -> None:
    assert of_message("The moon is in the wrong house") is None
    for video in ("-ssl-SSL_ok", "timedout_00", "getaddrinfo", "http-404-gh"):
        assert of_message(f"ERROR: [youtube] {video}: The moon is in the wrong house") is None, "an id is no word"
        assert of_message(f"ERROR: [youtube:tab] {video}: Private video") is F.PRIVATE


def test_a_message_is_one_short_line_without_secrets() -> None:
    said = plain(
        "\x1b[0;31mERROR:\x1b[0m no\n https://rr.example/v?sig=secret&ip=1.2.3.4 'https://h/p?k=1' " + "x" * 9999
    )
    assert "secret" not in said
    assert said.startswith("no https://rr.example/v?… 'https://h/p?…'")
    assert len(said) == 500
    assert plain("half a sign \ud83d\n of \x00 a title").encode() == b"half a sign \\ud83d of \x00 a title"


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        *((404, F.DEAD), (410, F.DEAD), (401, F.DENIED), (403, F.DENIED), (451, F.GEO), (429, F.RATE_LIMIT)),
        *((500, F.TRANSIENT), (503, F.TRANSIENT), (599, F.TRANSIENT), (408, F.TRANSIENT), (302, F.TRANSIENT)),
        *((400, F.DENIED), (499, F.DENIED), (0, F.TRANSIENT)),
    ],
)
def test_what_a_plain_host_answers_is_of_a_class(status: int, failure: FailureClass) -> None:
    assert of_status(status) is failure


def test_a_refusal_within_a_file_is_an_expired_address() -> None:
    assert of_status(403, is_under_way=True) is F.EXPIRED_URL
    assert of_status(401, is_under_way=True) is F.DENIED


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason is not Reason.STATUS])
def test_every_way_in_which_a_download_ends_is_of_a_class(reason: Reason) -> None:
    error = RemoteError("a", expected="b", found="c", fix="d", reason=reason, status=None, retry_after_s=3.0)
    failed = of_download(error)
    expected = {Reason.PAGE: F.BAD_MEDIA, Reason.TOO_MUCH: F.TOO_LARGE, Reason.REDIRECT: F.DENIED}
    assert failed.failure is expected.get(reason, F.TRANSIENT)
    assert (failed.message, failed.retry_after_s) == ("b expected, c found", 3.0)
