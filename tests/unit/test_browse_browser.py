"""The corpus page in a headless Chromium: films play, keys work, nothing is asked of anybody else, it fits a phone."""

from __future__ import annotations

import time

import pytest
from caption_catalog import captioned_catalog, clip_id, corpus_of

from flows.browse.http import local_site
from flows.browse.site import browse_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    catalog = captioned_catalog(tmp_path_factory.mktemp("captions"), 60, films=2)
    model, label = corpus_of(catalog, "model", "vlm", "class_label"), corpus_of(catalog, "label", "class_label")
    with local_site(browse_site(catalog, catalog.media_dir, a=model.name, b=label.name)) as site:
        yield site


@pytest.fixture
def opened(browser, site):
    browser.look(width_px=1280, height_px=900)
    browser.open_url(site.url)
    return browser


def clips(browser) -> list[int]:
    return [int(one, 16) for one in browser.run("[...document.querySelectorAll('.entry')].map(e => e.dataset.clip)")]


def clicked(browser, selector: str) -> None:
    browser.run("window.stays = true")
    browser.run(f"document.querySelector({selector!r}).click()")
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if browser.run("!window.stays && document.readyState === 'complete'"):
            return
        time.sleep(0.05)
    raise AssertionError("no other page came")


def test_it_opens_quietly_and_asks_nobody_else(opened, site):
    assert clips(opened) == list(range(1, 25))
    assert opened.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"] for event in opened.events("Network.requestWillBeSent")}
    assert all(url.startswith((site.url, "data:")) for url in asked), asked


def test_a_film_plays_with_its_picture_and_can_be_wound(opened):
    played = opened.run(
        """(async () => {
          const film = document.querySelector("video");
          await new Promise((done, fails) => {
            film.addEventListener("seeked", done);
            film.addEventListener("error", () => fails(film.error));
            const wind = () => { film.currentTime = .6; };
            film.readyState ? wind() : film.addEventListener("loadedmetadata", wind);
          });
          return [film.videoWidth, film.currentTime];
        })()"""
    )
    assert played[0] > 0
    assert played[1] == pytest.approx(0.6)
    ranges = [e["request"]["headers"].get("Range", "") for e in opened.events("Network.requestWillBeSent")]
    assert any(asked.startswith("bytes=") for asked in ranges)


def test_pages_and_a_filter_by_click(opened):
    clicked(opened, "a[rel=next]")
    assert clips(opened) == list(range(25, 49))
    clicked(opened, "a[rel=prev]")
    assert clips(opened) == list(range(1, 25))
    opened.run("document.querySelector('#where').value = \"label = 'rain' AND start_ms = 0\"")
    clicked(opened, "form button")
    assert clips(opened) == [n for n in range(1, 61) if n % 5 == 3]
    assert opened.run("document.querySelector('#where').value").startswith("label"), "the question stays"
    opened.run("document.querySelector('#where').value = \"label = \"")
    clicked(opened, "form button")
    assert clips(opened) == []
    assert "Correct the condition" in opened.run("document.querySelector('[role=alert]').innerText")


def test_keys_walk_through_clips_and_pages(opened):
    here = "document.querySelector('.entry.here')?.dataset.clip ?? ''"
    for key, at in (("j", 1), ("j", 2), ("k", 1)):
        opened.press(key, text=key)
        assert opened.run(here) == clip_id(at)
    opened.press("/", text="/")
    assert opened.run("document.activeElement.id") == "where"
    opened.press("j", text="j")
    assert opened.run("document.querySelector('#where').value") == "j", "in a field letters are letters"


def test_captions_of_strangers_run_nothing(opened):
    assert opened.run("document.querySelectorAll('img, .text script').length") == 0
    text = opened.run(f"document.querySelector('[data-clip=\"{clip_id(3)}\"] .text').innerText")
    assert 'onerror="alert(1)"' in text


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 640)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(browser, site, width, height, scheme):
    browser.look(width_px=width, height_px=height, scheme=scheme)
    browser.open_url(site.url)
    assert browser.run("document.documentElement.scrollWidth") <= width
    names = browser.run("[...document.querySelectorAll('select, textarea, input')].map(f => f.labels.length)")
    assert all(names)
