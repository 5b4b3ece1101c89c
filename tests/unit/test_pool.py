"""A pool gives every item exactly one result, whatever its workers die of."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from pool_run import Run, wait_until_gone
from pool_worker import PoolWorker

from tasks.pool import Bench, PoolLimits, run_here, run_pool
from tasks.pool_actor import PoolActor
from uniform_core.errors import StorageError, WorkFailedError

pytestmark = pytest.mark.usefixtures("ray_running")


def test_every_item_gets_its_result_and_no_process_stays(tmp_path: Path) -> None:
    run = Run(tmp_path, 22, deeds={7: {"do": "reject"}})
    summary = run.go()
    run.expect({7: "too_short"})
    assert (summary.items, summary.rejected, summary.batches, summary.deaths, summary.actors) == (22, 1, 6, 0, 2)
    assert summary.cpu_s > 0
    wait_until_gone(run.pids())


def test_setup_reaches_each_worker_once(tmp_path: Path) -> None:
    run = Run(tmp_path, 20)
    run.go(offset=100)
    assert run.results == {n: n + 100 for n in range(20)}
    assert all(log.read_text().count("load") == 1 for log in tmp_path.glob("*.log"))


def test_one_batch_starts_one_actor(tmp_path: Path) -> None:
    assert Run(tmp_path, 3).go(size=2).actors == 1


def test_an_item_that_always_kills_is_rejected_alone(tmp_path: Path) -> None:
    run = Run(tmp_path, 24, batch=8, deeds={5: {"do": "die"}})
    summary = run.go()
    run.expect({5: "crash"})
    assert summary.deaths == 5  # batches of 8, 4 and 2, then twice alone


def test_two_killers_of_one_batch_are_both_found(tmp_path: Path) -> None:
    run = Run(tmp_path, 8, batch=8, deeds={0: {"do": "die"}, 7: {"do": "die"}})
    run.go()
    run.expect({0: "crash", 7: "crash"})


def test_an_item_that_kills_once_gets_its_result(tmp_path: Path) -> None:
    run = Run(tmp_path, 6, batch=1, deeds={2: {"do": "die once"}})
    summary = run.go()
    run.expect({})
    assert summary.deaths == 1


@pytest.mark.parametrize("deed", [{"do": "sleep", "seconds": 600}, {"do": "stop"}], ids=["asleep", "stopped"])
def test_a_stuck_worker_is_killed_and_the_item_named(tmp_path: Path, deed: dict[str, Any]) -> None:
    run = Run(tmp_path, 6, batch=2, deeds={3: deed})
    run.go(limits=PoolLimits(batch_limit_s=1.0))
    run.expect({3: "timeout"})
    wait_until_gone(run.pids())


def test_an_item_that_no_memory_suffices_for(tmp_path: Path) -> None:
    run = Run(tmp_path, 8, deeds={6: {"do": "no memory"}})
    run.go()
    run.expect({6: "out_of_memory"})


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, 40, batch=2, deeds={n: {"do": "sleep", "seconds": 0.05} for n in range(40)})
    killed: list[int] = []

    def kill_two() -> None:
        while len(killed) < 2:
            for pid in [pid for pid in run.pids() if pid not in killed][:1]:
                time.sleep(0.2)
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
            time.sleep(0.01)

    killer = threading.Thread(target=kill_two)
    killer.start()
    summary = run.go(limits=PoolLimits(batch_limit_s=30))
    killer.join()
    run.expect({})
    assert summary.deaths == 2


def test_bad_code_stops_the_run_and_says_where(tmp_path: Path) -> None:
    run = Run(tmp_path, 400, deeds={9: {"do": "bad code"}})
    with pytest.raises(WorkFailedError, match=r"PoolWorker on a batch of 4.*KeyError: 'no_such_column'") as caught:
        run.go()
    assert "pool_worker.py" in "".join(caught.value.__notes__)
    assert len(run.results) < 400
    wait_until_gone(run.pids())


def test_an_error_of_ours_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="Make room"):
        Run(tmp_path, 4, deeds={1: {"do": "disk full"}}).go()


def test_too_few_results_are_bad_code(tmp_path: Path) -> None:
    with pytest.raises(WorkFailedError, match="2 results for a batch of 4"):
        Run(tmp_path, 4, deeds={2: {"do": "lose one"}}).go()


def test_a_worker_that_cannot_load_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(WorkFailedError, match=r"while loading.*no such weights"):
        Run(tmp_path, 4).go(fail_load=True)


def test_batches_are_read_only_as_far_as_there_is_room(tmp_path: Path) -> None:
    run = Run(tmp_path, 4000, batch=4, deeds={0: {"do": "bad code"}})
    with pytest.raises(WorkFailedError):
        run.go(size=1, limits=PoolLimits(queued=2))
    assert run.given <= 2


def test_actors_are_recycled(tmp_path: Path) -> None:
    run = Run(tmp_path, 24, batch=2)
    summary = run.go(size=1, limits=PoolLimits(recycle_after=5))
    run.expect({})
    assert (summary.actors, summary.deaths) == (3, 0)
    assert sorted(log.read_text().count("batch") for log in tmp_path.glob("*.log")) == [2, 5, 5]


def test_actors_wait_on_a_bench_for_the_next_pool(tmp_path: Path) -> None:
    bench, setup = Bench(), {"log_dir": str(tmp_path)}
    first, second, third = (Run(tmp_path, 8) for _ in range(3))
    summaries = []
    for run, offset in ((first, 0), (second, 100)):
        words = {"size": 2, "setup": {**setup, "offset": offset}, "bench": bench}
        summaries.append(run_pool(PoolWorker, run.batches(), on_result=run.take, **words))
    assert [(summary.actors, summary.deaths) for summary in summaries] == [(2, 0), (0, 0)]
    assert second.results == {n: n + 100 for n in range(8)}, "the second pool's own worker was loaded"
    assert len(first.pids()) == 2
    assert sorted(log.read_text().count("load") for log in tmp_path.glob("*.log")) == [2, 2]

    for pid in first.pids():  # as the system does when memory runs out
        os.kill(pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10)
    summary = run_pool(PoolWorker, third.batches(), size=2, setup=setup, on_result=third.take, bench=bench)
    third.expect({})
    assert summary.actors >= 1
    for member in bench.idle:
        assert member.home
        os.kill(member.home.pid, signal.SIGKILL)


def test_a_worker_is_closed_before_its_actor_loads_another(tmp_path: Path) -> None:
    actor, setup = PoolActor(), {"log_dir": str(tmp_path)}
    for _ in range(2):
        actor.load(PoolWorker, setup)
    (log,) = tmp_path.glob("*.log")
    assert log.read_text().split() == ["load", "close", "load"]


def test_an_interrupt_delivers_what_is_in_flight(tmp_path: Path) -> None:
    run = Run(tmp_path, 4000, batch=1, deeds={n: {"do": "sleep", "seconds": 0.02} for n in range(4000)})
    taken_at_interrupt = 0

    def take(items: Sequence[Any], results: Sequence[Any]) -> None:
        nonlocal taken_at_interrupt
        run.take(items, results)
        if len(run.results) == 5:
            taken_at_interrupt = len(run.results)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pool(PoolWorker, run.batches(), size=1, setup={"log_dir": str(tmp_path)}, on_result=take)
    assert taken_at_interrupt < len(run.results) <= taken_at_interrupt + 2
    assert set(run.results) == set(range(run.given)), "what was handed out was delivered, and nothing more handed out"
    wait_until_gone(run.pids())


def test_the_same_in_the_driver(tmp_path: Path) -> None:
    run = Run(tmp_path, 10, deeds={3: {"do": "reject"}})
    setup = {"log_dir": str(tmp_path)}
    summary = run_here(PoolWorker, run.batches(), setup=setup, on_result=run.take)
    run.expect({3: "too_short"})
    assert (summary.items, summary.rejected, summary.batches) == (10, 1, 3)
    with pytest.raises(WorkFailedError, match="no_such_column"):
        run_here(PoolWorker, [[{"n": 0, "do": "bad code"}]], setup=setup, on_result=run.take)


def test_the_driver_spends_milliseconds_on_a_batch(tmp_path: Path) -> None:
    run = Run(tmp_path, 400, batch=4)
    before_s = time.process_time()
    run.go()
    assert time.process_time() - before_s < 1.0  # 100 batches; wall time is the neighbours' too
