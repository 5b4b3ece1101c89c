"""The parent's end of the sandboxed worker: a process, two pipes, a deadline."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import uniform_core
from uniform_core.errors import ServiceError

START_S = 600.0  # only ends what hangs: a worker that dies is seen at once, and a busy machine may take minutes
READ_BYTES = 1 << 16
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV", "HOME")


class WorkerLostError(Exception):
    """The worker did not answer: `error_class` is `timeout` or `crash`. Stays inside the media floor."""

    def __init__(self, error_class: str, message: str, *, terminal: bool) -> None:
        super().__init__(message)
        self.error_class, self.message, self.terminal = error_class, message, terminal


def worker_command(memory_bytes: int) -> list[str]:
    """The words that start a worker. `-P`: a file `av.py` in the working directory is not imported."""
    return [sys.executable, "-P", "-m", "uniform_core.media.worker", str(memory_bytes), str(os.getpid())]


class WorkerProcess:
    """One running worker. It is never used by two requests at once.

    `what` names it in errors, `by_hand` is how a person starts it, `kept` are the variables of our environment that it
    gets; with `leads_group` the programs that it starts are ended with it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        max_message_bytes: int,
        what: str = "media worker",
        by_hand: str = "python -m uniform_core.media.worker 2147483648 $$",
        kept: Sequence[str] = KEPT_VARIABLES,
        leads_group: bool = False,
    ) -> None:
        root = str(Path(uniform_core.__file__).resolve().parent.parent)
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._what, self._by_hand, self._leads_group = what, by_hand, leads_group
        self._max_message_bytes = max_message_bytes
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            bufsize=0,
            start_new_session=leads_group,
        )
        assert self._process.stdin is not None  # both are pipes
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._buffer = bytearray()
        self._expect_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        """Raises WorkerLostError where the worker is gone."""
        try:
            self._stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError as error:
            raise self._lost() from error

    def receive(self, wait_s: float) -> dict[str, Any]:
        """The next message. Raises WorkerLostError; after that the worker is dead."""
        deadline = time.monotonic() + wait_s
        while (end := self._buffer.find(b"\n")) < 0:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not self._selector.select(left_s):
                self.kill()
                text = f"an answer within {wait_s:g} s expected, none came; the worker was killed"
                raise WorkerLostError("timeout", text, terminal=False)
            piece = self._stdout.read(READ_BYTES)
            if piece == b"":
                raise self._lost()
            self._buffer += piece or b""
            if len(self._buffer) > self._max_message_bytes:
                self.kill()
                text = f"messages of at most {self._max_message_bytes} bytes expected, a longer one came"
                raise WorkerLostError("crash", text, terminal=True)
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def kill(self) -> None:
        """End the worker now, and wait until it has ended. Any number of times."""
        if self._leads_group:
            self._leads_group = False  # its number may be another's when this is called again
            with suppress(ProcessLookupError, PermissionError):  # all of them have ended
                os.killpg(self._process.pid, signal.SIGKILL)
        elif self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._errors):
            pipe.close()

    def _expect_ready(self) -> None:
        try:
            self.receive(START_S)
        except WorkerLostError as error:
            raise ServiceError(
                self._what,
                expected="a process that starts",
                found=error.message,
                fix=f"Run `{self._by_hand}` to see why.",
            ) from error

    def _lost(self) -> WorkerLostError:
        """How the worker ended, with the last line that it said; a kill from outside may not happen again."""
        code = self._process.wait()
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - 2000))
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        ended = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self.kill()
        text = f"an answer expected, the worker ended with {ended}" + (f": {said[-1][:200]}" if said else "")
        return WorkerLostError("crash", text, terminal=code not in (-signal.SIGKILL, -signal.SIGTERM))
