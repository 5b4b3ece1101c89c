"""One local Ray, started when the first work needs it and gone when the session ends.

Sessions nest: an inner one uses what an outer one (or the caller) has started, and leaves it alone.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from tasks.pool_member import Bench, Resources
from uniform_core.errors import ServiceError
from uniform_core.settings import Settings

# What Ray's daemons and workers inherit. Ray takes it from the environment of the process that starts them, and reads
# part of it again while it runs, so it is set while a session that started Ray is open, and put back at its end.
RAY_ENVIRONMENT: Mapping[str, str] = {
    "RAY_AUTH_MODE": "disabled",  # else a token is written to the home folder of the user
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",  # a reported checkpoint counts only after the next poll
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "600",  # by default 60: a busy machine would start the group for ever
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process more, that asks whether a cloud takes this machine away
    "RAY_worker_niceness": "0",  # by default 15: beside any other work the workers would starve, and their run wait
    "RAY_task_events_report_interval_ms": "0",  # this and the next: what nobody asks for here, and each process counts
    "RAY_event_stats": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; without it each worker warns
    "RAY_DEDUP_LOGS_SKIP_REGEX": "A worker died or was killed",  # Ray prints it to stdout; pools report it themselves
    "OMP_NUM_THREADS": "1",  # one core a worker
    "RAY_CLIENT_MODE": "0",  # this and the next are set by Ray itself: here so that they are put back
    "PYTHONBREAKPOINT": "ray.util.rpdb._driver_set_trace",
}
PARTS = 2  # processes that decode and processes that hold a model: each asks for a core, and one of them mostly waits
SPARE_CPUS = 4  # logical: Ray Train needs one above its workers, and a pool one above its size while it recycles
OBJECT_STORE_BYTES = 200 << 20  # of rows; what is decoded for models lies in it beside them, and is bounded
TEMP_PREFIX = "uf-"
# Ray gives its daemons 30 s, whatever is configured: too little on a busy machine, where a later start goes faster.
STARTS = 6
LONGEST_TEMP_ROOT = 40  # characters: a Unix socket's path has at most 107, of which Ray's names take about 65


class _LateError(TimeoutError):
    """Ray's daemons were not up within Ray's own limit."""


class RaySession:
    """A local Ray that is started by the first `start()`. Call it from a thread that outlives the session.

    Ray's daemons die with the thread that started them (so a `kill -9` of the driver leaves none behind).
    """

    def __init__(self, settings: Settings, *, address: str | None = None) -> None:
        self._settings, self._address = settings, address or settings.ray_address
        self._owned = contextlib.ExitStack()
        self.bench = Bench()  # of the pools that run in this session

    @property
    def is_running(self) -> bool:
        """Whether this process is connected to a Ray."""
        ray = sys.modules.get("ray")
        return ray is not None and bool(ray.is_initialized())

    def start(self) -> None:
        """Connect this process to Ray: the one that runs, the one at `address`, or a new local one.

        Raises ServiceError where none can be had.
        """
        if self.is_running:
            return
        try:
            self._start()
        except (ConnectionError, OSError, RuntimeError, ValueError, TimeoutError) as error:
            self.stop()
            raise ServiceError(
                f"Ray at {self._address or 'this machine'}",
                expected="a Ray that starts",
                found=f"{type(error).__name__}: {error}",
                fix="See that memory and /tmp have room (`uniform doctor`), then run again.",
            ) from error

    def require(self, resources: Resources) -> None:
        """See that an actor with these can ever run. A cluster may grow; this machine does not.

        Raises ServiceError before anything waits for a place that there is not.
        """
        if self._address:
            return
        import ray

        has = ray.cluster_resources()
        wanted = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": resources.memory_bytes or 0}
        lacking = {name: count for name, count in wanted.items() if count > has.get(name, 0.0)}
        if lacking:
            raise ServiceError(
                "Ray at this machine",
                expected=f"a place for a process with {resources.in_words()}",
                found=", ".join(f"{has.get(name, 0.0):g} {name}" for name in lacking) + " in all",
                fix="Ask for less (UNIFORM_GPU_SHARE, UNIFORM_WORKER_MEMORY_GIB), or set UNIFORM_RAY_ADDRESS.",
            )

    def stop(self) -> None:
        """End the Ray that this session started, with every process of it."""
        self.bench = Bench()
        self._owned.close()

    def _start(self) -> None:
        places = {"UNIFORM_HOME": str(self._settings.home), "UNIFORM_WEIGHTS_DIR": str(self._settings.weights_root)}
        inherited = {**RAY_ENVIRONMENT, **places, "PYTHONPATH": _own_import_path()}
        self._owned.enter_context(environment(inherited))
        import ray  # here: a run with nothing to do pays for neither the import nor the daemons

        quiet = {"log_to_driver": False, "configure_logging": False, "logging_level": "ERROR"}
        if self._address:
            self._owned.callback(ray.shutdown)
            # The cluster's daemons were started by others: its workers are told what those here inherit.
            ray.init(address=self._address, runtime_env={"env_vars": inherited}, **quiet)
            return
        root = _short_temp_root()
        _sweep(root)
        with _kept_sigterm_handler():
            for _ in range(STARTS - 1):
                with contextlib.suppress(_LateError):
                    self._start_here(root, **quiet)
                    return
            self._start_here(root, **quiet)

    def _start_here(self, root: str, **words: object) -> None:
        """Start a local Ray, or leave nothing of it. Raises _LateError where its daemons were not up in time."""
        import ray

        with contextlib.ExitStack() as local:
            temp_dir = tempfile.mkdtemp(prefix=f"{TEMP_PREFIX}{os.getpid()}-", dir=root)
            local.callback(shutil.rmtree, temp_dir, ignore_errors=True)
            local.callback(_shut_down, temp_dir)
            try:
                ray.init(
                    address="local",
                    num_cpus=PARTS * self._settings.worker_cpus + SPARE_CPUS,
                    include_dashboard=False,
                    object_store_memory=OBJECT_STORE_BYTES + self._settings.handover_bytes,
                    _temp_dir=temp_dir,
                    **words,
                )
            except Exception as error:
                if type(error) is Exception:  # Ray has no class of its own for it
                    raise _LateError(str(error)) from error
                raise
            self._owned.push(local.pop_all())


@contextlib.contextmanager
def ray_session(settings: Settings, *, address: str | None = None) -> Iterator[RaySession]:
    """A session whose Ray starts on demand (`start()`) and has left no process when the block ends."""
    session = RaySession(settings, address=address)
    try:
        yield session
    finally:
        session.stop()


def import_ray_train() -> None:
    """Import what a training needs in the driver, seconds of work, in the environment that Ray is to find."""
    with environment(RAY_ENVIRONMENT):
        importlib.import_module("ray.train.torch")


@contextlib.contextmanager
def _kept_sigterm_handler() -> Iterator[None]:
    """Who handled SIGTERM before the block does so after it: Ray's own handler ends the process with a dump of its
    stack, and no block of ours is left in order. Where nobody handled it, Ray's stays."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if is_main else None
    yield
    if callable(before):
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """The process environment with `values` in it, put back at the end."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


def _own_import_path() -> str:
    """What this process can import beyond its interpreter's own folders, for workers to import the same."""
    installed = (sys.prefix, sys.base_prefix)
    return os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if not entry.startswith(installed))


def _shut_down(temp_dir: str) -> None:
    """Disconnect, and wait until the daemons whose files lie in `temp_dir`, and their workers, are gone."""
    import ray

    daemons = [child for child in psutil.Process().children() if temp_dir in " ".join(_command(child))]
    family = daemons + [process for daemon in daemons for process in _descendants(daemon)]
    ray.shutdown()
    for process in _left_after(family, limit_s=5.0):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    _left_after(family, limit_s=5.0)


def _left_after(processes: Sequence[psutil.Process], *, limit_s: float) -> list[psutil.Process]:
    """Those that still run when all have ended or the time is over; children of ours that ended are collected.

    Not psutil.wait_procs: where a process ends while it asks, some kernels answer with an error that it passes on, and
    a run that had done its work failed in its last second.
    """
    until = time.monotonic() + limit_s
    while (left := [process for process in processes if _is_alive(process)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(ChildProcessError):  # it is a child's child, or another thread has collected it
        if os.waitpid(process.pid, os.WNOHANG) != (0, 0):
            return False
    return process.is_running()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _sweep(root: str) -> None:
    """Remove the folders that killed drivers left behind: the process in their name is gone."""
    for folder in Path(root).glob(f"{TEMP_PREFIX}*-*"):
        pid = folder.name[len(TEMP_PREFIX) :].split("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _short_temp_root() -> str:
    """The folder for Ray's sockets: the system's temporary folder, or /tmp where that one's path is too long."""
    root = tempfile.gettempdir()
    return root if len(root) <= LONGEST_TEMP_ROOT else "/tmp"  # noqa: S108  (a folder of its own is made in it)
