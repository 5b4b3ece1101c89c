"""The child of `flows.server`: a Prefect server that ends itself when its parent is gone.

It asks for its parent's id rather than for PR_SET_PDEATHSIG, which fires when the *thread* that started it ends.
"""

from __future__ import annotations

import os
import sys
import threading
import time

POLL_S = 0.25


def main(port: int, parent: int) -> None:
    """Serve until told to stop, or until the parent is gone."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        log_level="warning",
    )


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(0)  # sqlite survives it; nobody is left who could wait for a graceful end


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
