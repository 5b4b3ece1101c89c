"""Cleaning of captions that nobody means well with: it ends, soon, and with a text."""

from __future__ import annotations

import time

import pytest

from uniform_core.text.cleaning import MAX_CHARS, clean_caption, clean_caption_twice

MB = 1 << 20
HOSTILE = {
    "brackets": "(" * MB,
    "100,000 brackets each way": "[" * 100_000 + "]" * 100_000,
    "hashes": "#" * MB,
    "numbers with hashes": "#1" * MB,
    "dots": "." * MB,
    "hosts without a name": "a." * MB,
    "hosts": "a.co/" * MB,
    "almost addresses": "a.co@" * MB,
    "joined words": "a-" * MB,
    "spaces before a dot": "x" + " " * MB + ".y",
    "digits before a letter": "1" * MB + "é",
    "sizes": "1" * MB + "x" + "1" * MB,
    "codes": "a1" * MB + "_",
    "a long code": "a1a" + "1" * MB + "_",
    "letters": "a" * MB + "_",
    "a word that is a file": "a" * MB + ".png",
    "file types": ".png" * MB,
    "nested markup": "<b>" * MB,
    "open tags": "<a " * MB,
    "open attributes": "<a b='" * MB,
    "open comments": "<!--" * MB,
    "open declarations": "<![" * MB,
    "closing": "</" * MB,
    "references": "&#" * MB,
    "one endless reference": "&#" + "9" * MB + ";",
    "one endless reference, wide": "＆＃" + "9" * 6000 + ";",
    "NUL": "\0" * MB,
    "halves of pairs": "\ud800" * MB,
    "wrongly decoded": "Ã©" * MB,
    "percent": "%ED%A0%80" * MB,
    "free": "free " * MB,
    "words": "word " * MB,
}
SOON_S = 60.0  # on a busy machine; alone the slowest takes two seconds


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_soon(name: str) -> None:
    started = time.monotonic()
    cleaned = clean_caption_twice(HOSTILE[name])
    assert time.monotonic() - started < SOON_S
    assert len(cleaned) <= 2 * MAX_CHARS


def test_only_the_beginning_of_a_long_text_counts() -> None:
    text = "the dog barks " * (MAX_CHARS // 7)
    assert clean_caption(text) == clean_caption(text[:MAX_CHARS])
    assert len(clean_caption(text)) > MAX_CHARS // 2


def test_a_text_that_no_parser_takes_for_markup_stays() -> None:
    assert clean_caption("a dog <![ barks") == "a dog <! barks"


@pytest.mark.parametrize("text", ["", " \n\t", "()", "www.dogs.com", "漢字", "#12"])
def test_what_is_only_dirt_is_nothing(text: str) -> None:
    assert clean_caption_twice(text) == ""


def test_a_caption_loses_its_capitals_and_its_numbers_of_pixels() -> None:
    said = clean_caption_twice("The video shows a Dog — barking at 5.1x2.3 &amp; 1920x1080, by bob@dogs.com")
    assert said == "the video shows a dog - barking at 5 3 , by bob"
