"""Caption cleaning against the golden pairs of PixArt and Open-Sora, and against diffusers' own copy of it."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from diffusers.pipelines.pixart_alpha.pipeline_pixart_alpha import PixArtAlphaPipeline
from golden_data import COPY, golden_json

from uniform_core.text.cleaning import clean_caption, clean_caption_twice

Pair = dict[str, str]
FOLDER = COPY / "caption_clean"  # always the copy: pairs are of no seed
# Pieces that the rules are about, beside some that they are not.
PIECES = (
    "http://", "https:", "www:", "www.", "a.com", "x.co", "b.it", "/", "@", "dog", "A", "png", ".png", ".jpg", ".mp4",
    "mp4 image", "images", "page ", "12", "3", "123456", "#12", "#1234", "#12345", "1.2.3.4", "x", "×", "х", "5.1",
    "-", "_", "–", ":", "  ", " ", "\n", "\t", "\\n", "<b>", "</b>", "<", "&", "&amp;", "&quot;", "&#65;", "é", "漢",
    "«", "“", "’", "'", '"', ".", ",", ";", "free ", "download", "worldwide ", "shipping", "click ", "for ", "on ",
    "ab", "Ã©", "%20", "+", "(", ")", "[", "]", "*", "|", "\\", "ﬁ", "＆", "a1b2c3", "jc6640", "vc", "1:23", "~",
    "<person>", "<!--", "-->", "<script>", "!", "?", "®", "½", "İ", "ß", "ǆ", "٣", "\u00a0", "\u200b", "\x00",
)  # fmt: skip

EDGES = (
    "3×3.a", "a 5×3.44b dog", "5х3. dog", "12×34é",
    "3x3.a", "a 5x3.44b dog", "5x3. dog", "5.x3", "12x34é", "1x2x3", "5.1×2.3.4", "٣x٣",
    "a.png.jpgs", ".png", "..png", "a.png b.mp4c", "a1a1_", "a1a1é", "1a1é 1a1", "a1b2c3é",
    "dog  .  .  cat", "dog . \n. cat", "dog  : cat", ": cat", "'dog'", "'d", "''", '"a" and "b"', "-dog-", "--dog--",
    ".dog", ".dog cat", "a-b-c-d", "a-b-c-d-e", "a.com@b", "a.co/b@c", "-a.it-", "www:/a.com", "https:x", "httpsx",
    "12:34 ", "1:23 \n", "123456é", "#12345678é", "#1234", "free  shipping", "worldwide free  shipping", "freeshipping",
    "click for\u00a0dogs", "clicks for dogs", "pngs", "eps images", "epsilon", "page 12a", "page  12", "a,b./c",
    "&amp;amp;lt;", "&lt;b&gt;dog&lt;/b&gt;", "<b", "b>", "a < b > c", "<br/>", "<![CDATA[x]]>", "<?xml?>dog",
    "%3Cb%3Edog%3C/b%3E", "a+b", "%", "%zz", "1.2.3.4.5", "1234.1.1.1", "\\n", "\\\\n", "漢a字", "ㇰ", "⺀",
    "Ⅷ", "ŉ", "schÃ¶n", "â€œdogâ€\x9d", "İx", "dog\x00cat", "\ufeffdog", "＆amp；", "＃１２",
)  # fmt: skip


def published(text: str) -> str:
    """One pass of the pipeline that diffusers ships."""
    own: Any = SimpleNamespace(bad_punct_regex=PixArtAlphaPipeline.bad_punct_regex)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of BeautifulSoup, about what captions look like
        return PixArtAlphaPipeline._clean_caption(own, text)


def pairs_of(folder: Path) -> list[Pair]:
    return golden_json(folder / "pairs.json")


PAIRS = pairs_of(FOLDER)


def test_there_are_pairs_and_some_are_not_clean_after_one_pass() -> None:
    assert len(PAIRS) == 29
    assert sum(pair["once"] != pair["twice"] for pair in PAIRS) == 2


@pytest.mark.parametrize("pair", PAIRS, ids=range(len(PAIRS)))
def test_a_golden_caption_is_cleaned_as_it_was(pair: Pair) -> None:
    assert clean_caption(pair["input"]) == pair["once"]
    assert clean_caption_twice(pair["input"]) == pair["twice"]


@pytest.mark.parametrize("key", ["input", "once", "twice"])
@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_one_more_word_in_a_copy_is_found(number: int, key: str, tmp_path: Path) -> None:
    pairs = pairs_of(Path(shutil.copytree(FOLDER, tmp_path / "caption_clean")))
    pairs[number][key] += " q"
    (tmp_path / "caption_clean" / "pairs.json").write_text(json.dumps(pairs))
    wrong = []
    for place, pair in enumerate(pairs_of(tmp_path / "caption_clean")):
        try:
            test_a_golden_caption_is_cleaned_as_it_was(pair)
        except AssertionError:
            wrong.append(place)
    assert wrong == [number]


@pytest.mark.parametrize("text", EDGES)
def test_an_edge_of_a_rule_lies_where_it_was(text: str) -> None:
    assert clean_caption(text) == published(text)


@pytest.mark.parametrize("seed", range(4))
def test_texts_of_every_kind_of_piece_come_out_as_from_the_published_pipeline(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(500):
        text = "".join(rng.choice(PIECES) for _ in range(rng.randint(1, 14)))
        assert clean_caption(text) == published(text), repr(text)
