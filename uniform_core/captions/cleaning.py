"""A caption as the catalog keeps it beside its raw form: one line.

What a text encoder does to a text of its own accord (PixArt's cleaning before T5) is that encoder's, under its own
version: here nothing is lost that another encoder may want.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1  # white space is folded; nothing else is touched


def clean_caption(text: str) -> str:
    r"""The text on one line.

    >>> clean_caption(" A dog\n barks. ")
    'A dog barks.'
    """
    return " ".join(text.split())
