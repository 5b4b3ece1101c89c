"""The sandboxed worker: one lean process (av and NumPy only) that reads requests and answers in JSON lines.

`python -P -m uniform_core.media.worker MEMORY_BYTES PARENT_PID`. It dies with its parent, may not use more memory than
it is told, and is killed by its parent where a file takes too long. An answer ends with {"kind": "end"}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def confine(memory_bytes: int, parent_pid: int) -> None:
    """Bound the memory, write no core, and die with the parent (Linux; elsewhere the closed pipe ends the worker)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it was gone before we asked
            os._exit(1)


class Channel:
    """Answers go out through a copy of stdout; whatever a library prints goes to stderr."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)

    def say(self, kind: str, **message: Any) -> None:
        self._out.write(json.dumps({"kind": kind, **message}).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        """The next line of the parent, inside a request that asks for answers. Raises EOFError where it is gone."""
        line = sys.stdin.buffer.readline()
        if not line:
            raise EOFError("an answer of the parent expected, it has closed the pipe")
        answer: dict[str, Any] = json.loads(line)
        return answer


def serve(channel: Channel) -> None:
    """Answer requests until the parent closes the pipe."""
    from uniform_core.media.refusal import OutputError, Refused  # after the memory is bounded
    from uniform_core.media.requests import HANDLERS

    channel.say("ready")
    for line in sys.stdin.buffer:
        request = json.loads(line)
        handler: Callable[[dict[str, Any], Channel], None] = HANDLERS[request.pop("kind")]
        try:
            handler(request, channel)
        except Refused as why:
            channel.say("refused", window=None, error_class=why.error_class, message=why.message, terminal=why.terminal)
        except OutputError as error:
            channel.say("unwritable", message=str(error))
        except MemoryError:
            text = "more memory needed than the worker may have"
            channel.say("refused", window=None, error_class="memory", message=text, terminal=True)
        except Exception as error:  # the last line before the process: one file must not stop a stage
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"{type(error).__name__}: {error} at {Path(where.filename).name}:{where.lineno}"
            channel.say("refused", window=None, error_class="crash", message=text[:500], terminal=True)
        channel.say("end")


def main() -> None:
    memory_bytes, parent_pid = (int(word) for word in sys.argv[1:3])
    channel = Channel()
    confine(memory_bytes, parent_pid)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    serve(channel)


if __name__ == "__main__":
    main()
