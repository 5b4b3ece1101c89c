"""`uniform captions browse`: a page on this machine that shows corpora, until Ctrl-C."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from uniform_core.catalog import Catalog
from uniform_core.corpus.caption_versions import corpus_version, corpus_versions
from uniform_core.errors import ConfigError
from uniform_core.files import expanded
from uniform_core.settings import load_settings

WIDTH_PX, HEIGHT_PX = 1280, 900


def browse(arguments: argparse.Namespace) -> int:
    """Serve the page, and say where; or write a picture of it.

    Raises ConfigError for an unknown corpus, ServiceError for a taken port, or for a picture without a Chromium.
    """
    from flows.browse.http import local_site  # here: jinja2 is for who looks
    from flows.browse.site import browse_site

    settings = load_settings()
    catalog = Catalog.open(settings)
    if len(arguments.names) > 2:
        raise ConfigError(
            "uniform captions browse",
            expected="one corpus, or two",
            found=str(len(arguments.names)),
            fix="Name two at most.",
        )
    names = [corpus_version(catalog, word).name for word in arguments.names] or [_newest(catalog)]
    site = browse_site(catalog, settings.media_dir, a=names[0], b=names[1] if len(names) > 1 else "")
    with local_site(site, port=arguments.port) as local:
        if arguments.screenshot:
            print(_picture(local.url, expanded(arguments.screenshot)))
            return 0
        print(f"{local.url}\nOnly this machine can open it, and nothing is changed by it. Ctrl-C ends it.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


def _picture(url: str, path: Path) -> Path:
    """The file, with the page as it is at a desk."""
    from flows.report.browser import Browser  # here: OpenCV is for who wants a picture
    from flows.report.screenshots import save_picture

    with Browser() as browser:
        browser.look(width_px=WIDTH_PX, height_px=HEIGHT_PX)
        browser.open_url(url)
        return save_picture(browser, path)


def _newest(catalog: Catalog) -> str:
    """The active version that was built last, or else the newest. Raises ConfigError where there is no corpus."""
    every = corpus_versions(catalog)
    if not every:
        raise ConfigError(
            "caption corpora",
            expected="at least one",
            found="none",
            fix="Build one: `uniform captions build --corpus NAME`.",
        )
    return max(every, key=lambda one: (one.is_active, one.created_at)).name
