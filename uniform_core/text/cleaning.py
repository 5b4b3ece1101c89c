"""Captions as PixArt and Open-Sora v1.2 give them to T5: lower case, without addresses, markup, codes and numbers.

Source: `text_preprocessing` of both, which is `clean_caption` twice; golden pairs of it are in tests/parity. What looks
like a mistake there is kept (".it was" is taken for a host, a caption's sizes and years go), since weights were trained
on it. Two departures, for captions that nobody writes: of a text only the first MAX_CHARS count, and a host has at most
253 letters. Every pattern takes time in proportion to its text: `++` and `*+` never give back what they took.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import reduce
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

from uniform_core.lazy import lazy

if TYPE_CHECKING:
    import bs4
    import ftfy
else:
    bs4 = lazy("bs4")
    ftfy = lazy("ftfy")

VERSION: Final = 1
MAX_CHARS: Final = 8192  # a caption of 300 tokens has some 1,500; a parser of HTML can be made to take seconds for more

Step = Callable[[str], str]

FILE_TYPES: Final = "png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4"
# No `\b` in front of what follows the host's dot: "red.colours" is a host of .co, as in the reference.
HOST: Final = r"[a-zA-Z0-9.\-]{1,253}\.(?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@)"
CJK: Final = "[\u31c0-\u9fff]+"  # strokes, enclosed letters, compatibility forms, extension A, hexagrams, ideographs
DASHES: Final = "[-֊־᐀᠆\u2010-\u2015⸗⸚⸺⸻⹀〜〰゠︱︲﹘﹣－]+"
BARE_PUNCTUATION: Final = r"[#®•©™&@·º½¾¿¡§~()\[\]{}|\\/*]+"


def clean_caption_twice(text: str) -> str:
    """The text as the encoder is to see it; cleaning once is not always enough to be clean.

    >>> clean_caption_twice("The video shows a <b>Dog</b> at www.dogs.com (1920x1080)!")
    'the video shows a dog at !'
    """
    return clean_caption(clean_caption(text))


def clean_caption(text: str) -> str:
    """The text after one pass."""
    return reduce(lambda so_far, step: step(so_far), STEPS, text[:MAX_CHARS])


def _swap(pattern: str, by: str) -> Step:
    compiled = re.compile(pattern)
    return lambda text: compiled.sub(by, text)


def _drop(pattern: str) -> Step:
    return _swap(pattern, "")


_ENDLESS_REFERENCE: Final = re.compile("&#[0-9]{1000,}")


def _without_endless_references(text: str) -> str:
    """Without numbers of characters that Python refuses to read (above 4,300 digits): there is no such character."""
    return _ENDLESS_REFERENCE.sub("\ufffd", text)


def _without_markup(text: str) -> str:
    """What of a text a reader of HTML would see; a text that no parser takes for HTML stays as it is."""
    with warnings.catch_warnings():
        # "this looks like a file name", "like a URL", "like XML": it is a caption, whatever it looks like
        warnings.simplefilter("ignore", bs4.MarkupResemblesLocatorWarning)
        warnings.simplefilter("ignore", bs4.XMLParsedAsHTMLWarning)
        try:
            return bs4.BeautifulSoup(_without_endless_references(text), features="html.parser").text
        except bs4.ParserRejectedMarkup:  # the reference stops here with an error
            return text


_FILE_END: Final = re.compile(rf"\.(?:{FILE_TYPES})")


def _without_file_names(text: str) -> str:
    """Each word loses all up to its last ".png" or the like, but for a word that only begins with one."""
    return re.sub(r"\S+", lambda word: word[0][_name_length(word[0]) :], text)


def _name_length(word: str) -> int:
    return max((end.end() for end in _FILE_END.finditer(word) if end.start() > 0), default=0)


def _joined_words_apart(text: str) -> str:
    """Spaces for every hyphen and underscore of a text that has more than three: this-is-my-cute-cat."""
    return re.sub("[-_]", " ", text) if text.count("-") + text.count("_") > 3 else text


def _repaired(text: str) -> str:
    """Wrong decodings repaired, and character references read until two deep."""
    return unescape(unescape(_without_endless_references(ftfy.fix_text(text))))


def _without_outer_quotes(text: str) -> str:
    quoted = len(text) > 2 and text[0] in "\"'" and text[-1] in "\"'"
    return text[1:-1] if quoted else text


STEPS: Final[tuple[Step, ...]] = (
    unquote_plus,
    str.strip,
    str.lower,
    _swap("<person>", "person"),
    _drop(rf"\b(?:https?:(?:/{{1,3}}|[a-zA-Z0-9%])|{HOST})"),
    _drop(rf"\b(?:www:(?:/{{1,3}}|[a-zA-Z0-9%])|{HOST})"),
    _without_markup,
    _drop(r"@\w+"),  # nicknames, and what e-mail addresses have left
    _drop(CJK),
    _swap(DASHES, "-"),
    _swap("[`´«»“”¨]", '"'),
    _swap("[‘’]", "'"),
    _drop("&quot;?"),
    _drop("&amp"),
    _swap(r"\d{1,3}(?:\.\d{1,3}){3}", " "),  # IP addresses
    _drop(r"\d:\d\d\s+\Z"),
    _swap(r"\\n", " "),  # a line break that somebody wrote out
    _drop(r"#\d{1,3}\b"),
    _drop(r"#\d{5,}+\b"),
    _drop(r"\b\d{6,}+\b"),
    _without_file_names,
    _swap("[\"']{2,}", '"'),
    _swap(r"\.{2,}", " "),
    _swap(BARE_PUNCTUATION, " "),
    _swap(r"(?<!\s)\s+\.\s+", " "),
    _joined_words_apart,
    _repaired,
    _drop(r"\b[a-zA-Z]{1,3}\d{3,15}\b"),  # jc6640, jc6640vc, 6640vc231: numbers of articles
    _drop(r"\b[a-zA-Z]++\d++[a-zA-Z]++\b"),
    _drop(r"\b\d++[a-zA-Z]++\d++\b"),
    _drop(r"(?:worldwide\s+)?(?:free\s+)?shipping"),
    _drop(r"(?:free\s)?download(?:\sfree)?"),
    _drop(r"\bclick\s(?:for|on)\s\w+"),
    _drop(rf"\b(?:{FILE_TYPES})(?:\simages?)?"),
    _drop(r"\bpage\s+\d++\b"),
    _swap(r"\b\d*+[a-zA-Z]++\d++[a-zA-Z]++\d++[a-zA-Z\d]*+\b", " "),
    _drop(r"\b\d++(?:\.\d*+)?[xх×]\d++(?:\.\d++\b|\.\b|\b)"),  # sizes, by any of three crosses
    _swap(r"(?<=\w)\s+:\s+", ": "),
    _swap(r"(\D[,./])(?=\w)", r"\1 "),
    _swap(r"\s+", " "),
    _without_outer_quotes,
    _drop("^['_,\\-:;]"),
    _drop("['_,\\-:+]\\Z"),
    _drop(r"^\.\S+\Z"),
    str.strip,
)
