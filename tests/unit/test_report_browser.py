"""The page in a headless Chromium: what a person meets who clicks, tabs, listens, or holds it in one hand."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from report_records import SPEC, report, row, scores

from flows.report import browser as browsers
from flows.report.browser import Browser, find_chromium
from flows.report.screenshots import SHOTS, take_screenshots
from flows.report.write import render
from uniform_core.errors import ServiceError

SIZES = [(1280, 900), (390, 844), (320, 640)]
# The contrast of every text with what is behind it, where that is one colour (WCAG 2.2, 1.4.3); the worst comes first.
CONTRAST = """(() => {
  const parts = text => text.match(/[\\d.]+/g).map(Number);
  const linear = level => level <= .04045 ? level / 12.92 : ((level + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * linear(r / 255) + .7152 * linear(g / 255) + .0722 * linear(b / 255);
  const behind = node => { for (; node; node = node.parentElement) {
    const colour = parts(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  } };
  const texts = [...document.querySelectorAll("body *")].filter(node => node.checkVisibility()
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim()));
  return texts.map(node => {
    const style = getComputedStyle(node), isDrawn = node.namespaceURI.includes("svg");
    const [a, b] = [light(parts(isDrawn ? style.fill : style.color)), light(behind(node))];
    return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), node.textContent.trim().slice(0, 40)];
  }).sort((x, y) => x[0] - y[0]).slice(0, 3);
})()"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("report") / "a report.html"
    words = {"narrower": ["48 clips a task", "loss_gap 99"], "remark": "The feature nets know nothing of these films."}
    path.write_text(render(report(**words)), "utf-8")
    return path


@pytest.fixture
def opened(browser, page):
    browser.look(width_px=1280, height_px=900)
    browser.open(page)
    return browser


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def cells(browser: Browser, table: str, column: int) -> list[str]:
    found = browser.run(f"[...document.querySelectorAll('{table} tbody tr')].map(r => r.cells[{column}].innerText)")
    return [str(text) for text in found]


def test_it_opens_without_a_word_in_the_console_and_asks_nothing_of_any_network(opened, page):
    assert opened.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"].split(":")[0] for event in opened.events("Network.requestWillBeSent")}
    assert asked <= {"file", "data"}
    assert opened.run("document.title").startswith("UniForm")


def test_films_play_with_picture_and_sound_one_at_a_time(opened):
    played = opened.run(
        """(async () => {
          const [first, second] = document.querySelectorAll("video");
          const plays = film => new Promise((done, fails) => {
            film.addEventListener("timeupdate", () => film.currentTime > 0.05 && done());
            film.addEventListener("error", () => fails(film.error));
            film.play();
          });
          await plays(first);
          await plays(second);
          return [first.paused, second.videoWidth, second.webkitAudioDecodedByteCount, second.duration];
        })()"""
    )
    assert played[0], "the second has stopped the first"
    assert played[1] > 0
    assert played[2] > 0
    assert played[3] == pytest.approx(SPEC.duration_s, abs=0.1)


@pytest.mark.parametrize("size", SIZES[:2])
def test_the_controls_of_a_film_are_always_there_and_hide_nothing_of_it(size, browser, page):
    browser.look(width_px=size[0], height_px=size[1])
    browser.open(page)
    browser.run("document.querySelector('.film').scrollIntoView()")
    box = "document.querySelector('.film').getBoundingClientRect()"
    x, y, width, height = (round(browser.run(f"{box}.{side}")) for side in ("x", "y", "width", "height"))

    def shown() -> np.ndarray:
        window_HWC = cv2.imdecode(np.frombuffer(browser.settle(), dtype=np.uint8), cv2.IMREAD_COLOR)
        return window_HWC[y : y + height, x : x + width]

    before = shown()
    browser.run("document.querySelectorAll('video').forEach(film => film.removeAttribute('controls'))")
    differs_HW = (before != shown()).any(axis=2)
    assert before[:width].std() > 10, "there is a picture"
    assert not differs_HW[:width].any()
    assert differs_HW[width:].any()


@pytest.mark.parametrize("way", ["click", "Enter", " "])
def test_tables_sort_by_click_and_by_key_numbers_as_numbers_and_what_is_missing_last(way, browser, tmp_path):
    rows = [r for r in scores() if not r["name"].startswith("coverage")]
    for n, found in enumerate(r for r in rows if r["system"] == "uniform" and r["name"].startswith("fvd")):
        found["value"] = (9.0, 1e-5)[n]
    rows.append(row("coverage.tinymel.uniform_tiny", "uniform", "a2v", None, reason="no clips"))
    path = tmp_path / "page.html"
    path.write_text(render(report(rows)), "utf-8")
    browser.look(width_px=1280, height_px=900)
    browser.open(path)
    button = "document.querySelectorAll('.checks thead button')[3]"

    def sort() -> tuple[list[float], str]:
        if way == "click":
            browser.run(f"{button}.click()")
        else:
            browser.run(f"{button}.focus()")
            browser.press(way, text="\r" if way == "Enter" else way)
        found = browser.run("[...document.querySelectorAll('.checks tbody tr')].map(r => r.cells[3].dataset.value)")
        return found, browser.run(f"{button}.closest('th').getAttribute('aria-sort')")

    (up, said_up), (down, said_down) = sort(), sort()
    assert (said_up, said_down) == ("ascending", "descending")
    for values, is_down in ((up, False), (down, True)):
        numbers = [float(value) for value in values if value]
        assert numbers == sorted(numbers, reverse=is_down)
        assert not any(values[len(numbers) :]), "what could not be computed stays last"
        assert len(numbers) < len(values)
    assert browser.run("document.querySelectorAll('.checks [aria-sort]').length") == 1


def test_numbers_of_every_table_sort_as_numbers(opened):
    tables = "[...document.querySelectorAll('table.sorts')]"
    assert len(opened.run(f"{tables}.map(table => table.className)")) >= 4
    for table, column, expected in (("What failed", 2, ["9", "10"]), ("Rows of every table", 1, ["9", "10", "200"])):
        where = f"[...document.querySelectorAll('[aria-label]')].find(e => e.ariaLabel.startsWith('{table}'))"
        opened.run(f"{where}.querySelectorAll('thead button')[{column}].click()")
        found = opened.run(f"[...{where}.querySelectorAll('tbody tr')].map(r => r.cells[{column}].textContent.trim())")
        assert found == expected


def test_below_each_film_are_its_frames_its_sound_and_the_times_of_events(opened):
    found = opened.run(
        """[...document.querySelectorAll(".film + svg")].map(svg => [
          [...svg.querySelectorAll("image")].filter(i => i.getAttribute("href").startsWith("data:image/png")).length,
          svg.querySelectorAll(".event").length, svg.querySelectorAll(".flag").length, svg.ariaLabel])"""
    )
    assert len(found) == opened.run("document.querySelectorAll('video').length")
    for pictures, events, flags, said in found:
        assert (pictures, events, flags) == (2, 1, 1)
        assert "events at 0.25 s" in said


def test_text_sorts_as_text_and_rows_go_as_a_whole(opened):
    before = dict(zip(cells(opened, ".checks", 0), cells(opened, ".checks", 4), strict=True))
    opened.run("document.querySelectorAll('.checks thead button')[0].click()")
    names = cells(opened, ".checks", 0)
    assert [name.split("\n")[0].lower() for name in names] == sorted(name.split("\n")[0].lower() for name in names)
    assert dict(zip(names, cells(opened, ".checks", 4), strict=True)) == before


def test_every_sort_button_and_every_film_can_be_reached_by_the_tab_key(opened):
    opened.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    wanted = opened.run("document.querySelectorAll('a[href], thead button, video, summary, [tabindex=\"0\"]').length")
    opened.run("window.met = new Set(); addEventListener('focusin', event => met.add(event.target))")
    for _ in range(wanted * 12):  # the player of a film has buttons of its own
        opened.press("Tab")
        if opened.run("met.size") == wanted:
            break
    missed = opened.run(
        "[...document.querySelectorAll('a[href], thead button, video, summary, [tabindex=\"0\"]')]"
        ".filter(node => !met.has(node)).map(node => node.outerHTML.slice(0, 60))"
    )
    assert missed == []


@pytest.mark.parametrize("size", SIZES)
def test_the_page_never_scrolls_sideways(size, browser, page):
    browser.look(width_px=size[0], height_px=size[1])
    browser.open(page)
    browser.run("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.run("document.documentElement.scrollWidth") == size[0]
    assert browser.run("document.documentElement.clientWidth") == size[0]


@pytest.mark.parametrize("size", SIZES[:2])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(size, scheme, browser, page):
    browser.look(width_px=size[0], height_px=size[1], scheme=scheme)
    browser.open(page)
    worst = browser.run(CONTRAST)
    assert worst[0][0] >= 4.5, worst


def test_light_and_dark_are_two_looks(browser, page):
    grounds = []
    for scheme in ("light", "dark"):
        browser.look(width_px=800, height_px=600, scheme=scheme)
        browser.open(page)
        grounds.append(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


@pytest.mark.parametrize("size", SIZES[:2])
def test_the_overview_is_a_table_for_who_listens_also_where_it_looks_like_cards(size, browser, page):
    browser.look(width_px=size[0], height_px=size[1])
    browser.open(page)
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("table") >= 5
    headers = [node["name"]["value"] for node in nodes if node["role"]["value"] == "rowheader" and "name" in node]
    assert any(name.startswith("Video fidelity") for name in headers)
    unnamed = [
        node["role"]["value"]
        for node in nodes
        if node["role"]["value"] in ("button", "link", "region", "Video", "image")
        and not node["ignored"]
        and not node.get("name", {}).get("value")
    ]
    assert unnamed == []


def test_without_javascript_all_of_it_is_there(browser, page):
    browser.look(width_px=1280, height_px=900)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(page)
        text = browser.run("document.body.innerText")
        assert browser.run("getComputedStyle(document.querySelector('thead button'), '::after').content") == "none"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
    for words in ("Passed", "Partners shuffled", "Every check", "fvd.tinyvideo", "uniform run --preset tiny"):
        assert words in text


def test_pictures_are_taken_of_every_view_and_are_small(browser, page, tmp_path):
    del browser
    pictures = take_screenshots(page, tmp_path / "new" / "folder")
    assert [picture.name for picture in pictures] == [shot.name for shot in SHOTS]
    for picture, shot in zip(pictures, SHOTS, strict=True):
        data = picture.read_bytes()
        assert data[:4] == b"\x89PNG"
        size = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
        assert size == (shot.width_px, shot.height_px)
        assert len(data) < 400_000


def test_what_never_comes_to_rest_is_an_error_and_no_picture(browser, tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text(
        "<script>setInterval(() => document.body.innerText = performance.now(), 20)</script><body>", "utf-8"
    )
    monkeypatch.setattr(browsers, "SETTLES_S", 2.0)
    browser.open(path)
    with pytest.raises(ServiceError, match="still moved after 2 s"):
        browser.settle()


def test_without_a_browser_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ServiceError, match="apt-get install chromium"):
        find_chromium()


def test_a_browser_that_ends_at_once_is_an_error_and_leaves_nothing(tmp_path, monkeypatch):
    false = tmp_path / "chromium"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(browsers, "TIMEOUT_S", 10.0)
    before = open_files()
    with pytest.raises(ServiceError, match="headless"):
        Browser()
    assert open_files() == before
