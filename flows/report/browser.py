"""A headless Chromium that opens one page of ours: for pictures of it, and for tests of what a person would meet.

It is driven by Chromium's own protocol through two pipes, so no port is open, and it ends with this process.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

from uniform_core.errors import ServiceError

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
READS, WRITES = 3, 4  # the descriptors that --remote-debugging-pipe takes commands from and answers on
ABOVE = 10  # ours are moved above these, so that giving them to Chromium overwrites none
TIMEOUT_S = 60.0
FLAGS: Final = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
)

# Every film has its first frame.
FILMS_READY: Final = """
Promise.all([...document.querySelectorAll("video")].map(video => new Promise(done =>
  video.readyState > 1 || video.error ? done() : ["loadeddata", "error"].forEach(on => video.addEventListener(on, done))
)))
"""
ENDS_S = 10.0
SETTLES_S, STILL_S = 20.0, 0.8  # players put their waiting sign away by a timer of their own


def find_chromium() -> str:
    """The path of a Chromium. Raises ServiceError, which says what to install."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    raise ServiceError(
        "pictures of the report",
        expected="one of " + ", ".join(NAMES) + " on PATH",
        found="none",
        fix="Install Chromium (Debian, Ubuntu: apt-get install chromium), or leave --screenshots out.",
    )


class Browser:
    """One page in one Chromium. Raises ServiceError where it cannot be started, ends, or does not answer."""

    def __init__(self) -> None:
        program = find_chromium()
        self._events: list[dict[str, Any]] = []
        self._rest = b""
        self._sent = 0
        self._session: str | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="uniform-browser-", ignore_cleanup_errors=True)
        theirs_in, self._to = map(_moved, os.pipe())
        self._from, theirs_out = map(_moved, os.pipe())
        self._pid = 0
        try:
            self._pid = self._start(program, theirs_in, theirs_out)
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, program: str, theirs_in: int, theirs_out: int) -> int:
        """Its process id. The ends of the pipes that are Chromium's are closed here."""
        # Root has no sandbox in a container; the page that is opened here is our own.
        no_sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        words = [program, *FLAGS, *no_sandbox, f"--user-data-dir={self._folder.name}"]
        actions = [
            (os.POSIX_SPAWN_DUP2, theirs_in, READS),
            (os.POSIX_SPAWN_DUP2, theirs_out, WRITES),
            *((os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)),
        ]
        try:
            return os.posix_spawn(program, words, dict(os.environ), file_actions=actions)
        except OSError as error:
            raise _gone("its start", str(error)) from error
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def close(self) -> None:
        """End it, and take away what it has left."""
        if self._pid:
            with contextlib.suppress(ServiceError):
                self._session = None
                self.call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        if self._pid:
            _ended(self._pid)
        self._folder.cleanup()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the protocol."""
        self._sent += 1
        message = {"id": self._sent, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        text = json.dumps(message).encode() + b"\0"
        try:
            while text:
                text = text[os.write(self._to, text) :]
        except OSError as error:
            raise _gone(method, str(error)) from error
        for answer in self._messages(method):
            if answer.get("id") == self._sent:
                if "error" in answer:
                    raise _gone(method, answer["error"]["message"])
                result: dict[str, Any] = answer["result"]
                return result
            self._events.append(answer)
        raise AssertionError("messages end with an error")

    def _messages(self, waited_for: str) -> Iterator[dict[str, Any]]:
        """What Chromium says, until it is silent for too long or gone."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            *whole, self._rest = self._rest.split(b"\0")
            yield from map(json.loads, whole[:1])
            if whole:
                self._rest = b"\0".join([*whole[1:], self._rest])
                continue
            ready, _, _ = select.select([self._from], [], [], max(0.0, until - time.monotonic()))
            part = os.read(self._from, 1 << 20) if ready else b""
            if not part:
                raise _gone(waited_for, "it ended" if ready else f"no answer within {TIMEOUT_S:g} s")
            self._rest += part

    def look(self, *, width_px: int, height_px: int, scheme: str = "light") -> None:
        """Show pages in a window of this size, with the colour scheme `light` or `dark`."""
        size = {"width": width_px, "height": height_px, "deviceScaleFactor": 1.0, "mobile": width_px < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, page: Path) -> None:
        """Load a file and wait until all of it is there."""
        self.open_url(page.resolve().as_uri())

    def open_url(self, url: str) -> None:
        """Load what lies at an address of this machine, and wait until all of it is there."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        if not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            for event in self._messages("the load of a page"):
                self._events.append(event)
                if event.get("method") == "Page.loadEventFired":
                    break

    def settle(self) -> bytes:
        """The window as PNG, once all films have their first frames and nothing moves. Raises ServiceError."""
        self.run(FILMS_READY)
        until = time.monotonic() + SETTLES_S
        seen = self.picture()
        while time.monotonic() < until:
            time.sleep(STILL_S)
            before, seen = seen, self.picture()
            if seen == before:
                return seen
        raise _gone("a page at rest", f"it still moved after {SETTLES_S:g} s")

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, of a promise what it comes to."""
        said = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True)
        if "exceptionDetails" in said:
            raise ValueError(said["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        return said["result"].get("value")

    def press(self, key: str, *, text: str = "") -> None:
        """Press a key and let it go; `text` is what it types."""
        code = {"Tab": 9, "Enter": 13, " ": 32}.get(key) or ord(key.upper())
        named = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **named)
        self.call("Input.dispatchKeyEvent", type="keyUp", **named)

    def events(self, *methods: str) -> list[dict[str, Any]]:
        """What has happened on the page since it was opened, of these kinds."""
        self.run("0")  # what it has still to say comes before the answer
        return [event["params"] for event in self._events if event.get("method") in methods]

    def picture(self) -> bytes:
        """PNG of what the window shows."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def _ended(pid: int) -> None:
    """Wait for a process that was asked to end; one that does not is killed."""
    until = time.monotonic() + ENDS_S
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.02)


def _moved(descriptor: int) -> int:
    """The same pipe under a number that is none of those that Chromium is given."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, ABOVE)
    os.close(descriptor)
    return moved


def _gone(method: str, found: str) -> ServiceError:
    return ServiceError(
        "headless Chromium",
        expected=f"an answer to {method}",
        found=found,
        fix="See that `chromium --headless` starts.",
    )
