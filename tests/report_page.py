"""What the page of a run must do in a browser, whatever was run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from uniform_core.presets import TINY_SPEC

PLAY = """(async () => {
  const met = [];
  for (const film of [...document.querySelectorAll("video")].slice(0, 4)) {
    film.muted = true;
    await film.play();
    await new Promise(done => film.addEventListener("timeupdate", done, { once: true }));
    film.pause();
    met.push([film.error, film.videoWidth % WIDTH, film.currentTime > 0]);
  }
  return met;
})()""".replace("WIDTH", str(TINY_SPEC.width_px))


def assert_page_opens_and_plays(browser: Any, said: Any) -> None:
    """The page that a run with `--json` has said opens on a phone without a word, and asks no network for anything;
    its films play, and the gate is the one that was said."""
    browser.look(width_px=390, height_px=844)
    browser.open(Path(said["paths"]["report"]))
    assert browser.events("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded") == []
    asked = {event["request"]["url"].split(":")[0] for event in browser.events("Network.requestWillBeSent")}
    assert asked <= {"file", "data"}
    films = browser.run(PLAY)
    assert len(films) == 4
    assert {tuple(met) for met in films} == {(None, 0, True)}, "no error; enlarged without blur; it plays"
    assert browser.run("document.documentElement.scrollWidth") == 390
    gate = said["gate"]
    assert browser.run("document.querySelector('#gate .banner .number').innerText").lower() == gate["verdict"]
    told = browser.run("document.querySelector('#gate .banner .narrower')?.innerText ?? ''")
    assert all(words in told for words in gate["narrower"])
    assert bool(told) == bool(gate["narrower"])
