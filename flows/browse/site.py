"""The page's addresses: the corpus, a film, and three files of ours."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from flows.browse.asking import Ask
from flows.browse.diff_page import film_here, gather_diff, render_diff
from flows.browse.films import film
from flows.browse.http import Reply, Request
from flows.browse.looking import Looker, Page
from flows.pages import environment, own_text
from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_versions import corpus_version
from uniform_core.errors import UniformError
from uniform_core.files import is_inside
from uniform_core.fingerprint import KEY_HEX

_FILM: Final = re.compile(rf"/film/([0-9a-f]{{{KEY_HEX}}})\.mp4")
ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="#6a4fc4"/></svg>'
)
OURS: Final = {
    "/page.css": ("flows.report", "page.css", "text/css"),
    "/browse.css": ("flows.browse", "browse.css", "text/css"),
    "/browse.js": ("flows.browse", "browse.js", "text/javascript"),
}


def browse_site(catalog: Catalog, media: Path, *, a: str, b: str = "") -> Callable[[Request], Reply]:
    """What answers the page's requests; `a` and `b` are shown where an address names no corpora."""
    looker = Looker(catalog)

    def answer(request: Request) -> Reply:
        if request.path == "/":
            return _page(looker, request, a=a, b=b)
        if request.path == "/diff":
            return _diff(catalog, media, request)
        if request.path in OURS:
            package, name, kind = OURS[request.path]
            return Reply.of_text(own_text(package, name), kind=kind)
        if request.path == "/icon.svg":
            return Reply.of_text(ICON, kind="image/svg+xml")
        if found := _FILM.fullmatch(request.path):
            return _film(looker, media, found[1], request.range)
        return Reply.refused(HTTPStatus.NOT_FOUND, "there is no such page")

    return answer


def _page(looker: Looker, request: Request, *, a: str, b: str) -> Reply:
    """The page; what is wrong with what was asked stands on it, with the question as it was."""
    ask = Ask(a=a, b=b)
    try:
        ask = Ask.of_words(request.words, a=a, b=b)
        page = looker.page(ask)
    except UniformError as error:
        frame = looker.frame(ask, [])
        page = Page(**frame, count_words="", error=str(error))
        return Reply.of_text(render(page), status=HTTPStatus.BAD_REQUEST)
    return Reply.of_text(render(page))


def _diff(catalog: Catalog, media: Path, request: Request) -> Reply:
    """What changed between the two corpora that the address names."""
    names = [request.words.get(side, "") for side in "ab"]
    try:
        a, b = (corpus_version(catalog, name) for name in names)
        browse = Ask(a.name, b.name, differ=True).address()
        page = gather_diff(catalog, a, b, film=film_here(media), browse=browse)
    except UniformError as error:
        return Reply.refused(HTTPStatus.BAD_REQUEST, str(error))
    return Reply.of_text(render_diff(page, is_file=False))


def _film(looker: Looker, media: Path, clip_id: str, asked: str | None) -> Reply:
    """A clip's file: which one the catalog says, never the request."""
    path = looker.film_path(clip_id)
    if path is None or not is_inside(media / path, media):
        return Reply.refused(HTTPStatus.NOT_FOUND, "the catalog has no such clip")
    return film(media / path, asked)


def render(page: Page) -> str:
    """The page as text. Everything in it is escaped."""
    return environment("flows.browse").get_template("browse.html.j2").render(page=page)
