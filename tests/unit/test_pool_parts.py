"""Work of two parts: the same results in one process or in two kinds of them, whatever either kind dies of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pool_run import Run, wait_until_gone
from pool_worker import PoolReader, SeenWorker

from tasks import pool as pool_module
from tasks.pool import Part, PoolLimits, PoolSize, PoolSummary, Readers, Resources, Watch, run_here, run_pool
from uniform_core.errors import ServiceError, WorkFailedError

pytestmark = pytest.mark.usefixtures("ray_running")
MIB = 1 << 20
FAST = PoolLimits(batch_limit_s=20.0)


class PartsRun(Run):
    """A run of two parts, apart unless `readers` is 0."""

    def go_parts(
        self,
        *,
        readers: int = 2,
        workers: int | PoolSize = 1,
        chunk: int = 2,
        batch: int = 8,
        item_bytes: int = 8,
        handover_bytes: int = 64 * MIB,
        **words: Any,
    ) -> PoolSummary:
        self.batch = chunk if readers else batch
        apart = Readers(PoolSize(readers), chunk, handover_bytes, limits=FAST) if readers else None
        return run_pool(
            SeenWorker,
            self.batches(),
            size=workers,
            setup={"log_dir": str(self.log_dir)},
            on_result=words.pop("on_result", self.take),
            limits=words.pop("limits", FAST),
            read_by=Part(PoolReader, {"log_dir": str(self.log_dir), "size": item_bytes}),
            readers=apart,
            batch=batch,
            **words,
        )

    def order(self) -> list[list[str]]:
        return [line.split() for line in (self.log_dir / "order").read_text().splitlines()]

    def pids(self) -> list[int]:
        return sorted({int(words[-1]) for words in self.order()})

    def lag(self) -> int:
        """The most items that were read and not yet worked on."""
        behind = most = 0
        for what, count, *_ in self.order():
            behind += {"read": 1, "worked": -int(count)}.get(what, 0)
            most = max(most, behind)
        return most


@pytest.mark.parametrize("readers", [0, 2], ids=["one process", "two kinds"])
def test_every_item_gets_its_result_and_no_process_stays(readers: int, tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 30, deeds={7: {"do": "reject"}, 12: {"read": "reject"}})
    summary = run.go_parts(readers=readers)
    run.expect({7: "too_short", 12: "damaged_clip"})
    assert (summary.items, summary.rejected, summary.deaths) == (30, 2, 0)
    assert summary.decode_s > 0
    assert summary.model_s > 0
    loads = [words for words in run.order() if words[0] == "reader"]
    workers = [log for log in tmp_path.glob("*.log") if "load" in log.read_text()]
    apart = {int(words[-1]) for words in loads}.isdisjoint(int(log.stem) for log in workers)
    assert apart == bool(readers)
    wait_until_gone(run.pids())


def test_batches_are_filled_across_readers(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 41)
    summary = run.go_parts(readers=2, chunk=2, batch=8, limits=PoolLimits(batch_limit_s=20, queued=1))
    sizes = [int(words[1]) for words in run.order() if words[0] == "worked"]
    assert sum(sizes) == 41
    assert sizes.count(8) >= 4, "batches of eight from chunks of two"
    assert summary.batches == len(sizes)


def test_a_crasher_of_either_kind_is_found_alone(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 16, deeds={5: {"read": "die"}, 11: {"do": "die"}})
    summary = run.go_parts(batch=4)
    run.expect({5: "crash", 11: "crash"})
    assert summary.deaths >= 6, "three of readers (a chunk of two, then twice alone), and as many of workers at least"
    wait_until_gone(run.pids())


def test_what_was_read_is_bounded_in_bytes(tmp_path: Path) -> None:
    deeds = {n: {"do": "sleep", "seconds": 0.02} for n in range(64)}
    run = PartsRun(tmp_path, 64, deeds=deeds)
    run.go_parts(item_bytes=MIB, handover_bytes=12 * MIB, batch=8, chunk=2)
    run.expect({})
    assert 4 <= run.lag() <= 12, "read ahead, and never beyond the bound"
    batches = [int(words[1]) for words in run.order() if words[0] == "worked"]
    assert max(batches) <= 3, "no batch takes more than its share of the bound"


def test_an_item_larger_than_the_bound_goes_alone(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 6)
    run.go_parts(item_bytes=2 * MIB, handover_bytes=MIB, chunk=1)
    run.expect({})
    assert run.lag() == 1


def test_what_was_lost_with_a_machine_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    call, get, lost = pool_module._call_on_read, ray.get, []

    def noted(actor: Any, items: Sequence[Any]) -> tuple[Any, Any]:
        reference, payload = call(actor, items)
        lost.append(reference)
        return reference, payload

    def get_but_one(reference: Any) -> Any:
        """As Ray answers a call whose argument lay on a machine that is gone."""
        if lost and reference == lost[0]:
            cause = ray.exceptions.ObjectLostError(reference.hex(), "", "")
            raise ray.exceptions.RayTaskError("process_read", "", cause)
        return get(reference)

    monkeypatch.setattr(pool_module, "_call_on_read", noted)
    monkeypatch.setattr("ray.get", get_but_one)
    run = PartsRun(tmp_path, 12)
    run.go_parts(item_bytes=MIB)
    run.expect({})
    reads = [words[1] for words in run.order() if words[0] == "read"]
    assert len(reads) > 12
    assert set(reads) == {str(n) for n in range(12)}


@pytest.mark.parametrize(("part", "where"), [("read", "PoolReader"), ("do", "SeenWorker")])
def test_bad_code_of_either_kind_stops_the_run(part: str, where: str, tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 40, deeds={9: {part: "bad code"}})
    with pytest.raises(WorkFailedError, match=f"worker {where} on a batch of .*KeyError"):
        run.go_parts()
    wait_until_gone(run.pids())


def test_an_interrupt_delivers_what_workers_have(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 400, deeds={n: {"do": "sleep", "seconds": 0.01} for n in range(400)})

    def take(items: Sequence[Any], results: Sequence[Any]) -> None:
        first = not run.results
        run.take(items, results)
        if first:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.go_parts(on_result=take)
    worked = sum(int(words[1]) for words in run.order() if words[0] == "worked")
    assert len(run.results) == worked < 400
    wait_until_gone(run.pids())


@pytest.mark.parametrize(
    ("deed", "readers", "said"),
    [
        ({"read": "sleep", "seconds": 0.1}, 1, "decode-bound"),
        ({"do": "sleep", "seconds": 0.1}, 1, "model-bound"),
        ({"read": "sleep", "seconds": 0.1}, 0, "decode-bound"),
        ({"do": "sleep", "seconds": 0.1}, 0, "model-bound"),
    ],
)
def test_what_holds_the_pool_up_is_named(deed: dict[str, Any], readers: int, said: str, tmp_path: Path) -> None:
    watch, run = Watch(), PartsRun(tmp_path, 30, deeds=dict.fromkeys(range(30), deed))
    run.go_parts(readers=readers, watch=watch, batch=4)
    assert watch.bottleneck.startswith(said), watch.bottleneck
    assert watch.bottleneck.endswith(" %")


def test_a_pool_works_with_the_places_that_there_are_and_grows_when_there_are_more(tmp_path: Path) -> None:
    import ray

    @ray.remote(num_cpus=0)
    class Blocker:
        def pid(self) -> int:
            return 1

    free = ray.available_resources()["CPU"]
    blocker = Blocker.options(num_cpus=free - 2).remote()
    ray.get(blocker.pid.remote())
    run = PartsRun(tmp_path, 60, deeds={n: {"do": "sleep", "seconds": 0.2} for n in range(60)})

    def take(items: Sequence[Any], results: Sequence[Any]) -> None:
        run.take(items, results)
        if len(run.results) == 5:
            ray.kill(blocker)

    summary = run.go_parts(readers=0, workers=PoolSize(3), batch=1, resources=Resources(cpus=2), on_result=take)
    run.expect({})
    assert summary.actors == 3, "two of them waited for a place, with nothing given to them"
    logs = [log.read_text().count("batch") for log in tmp_path.glob("*.log")]
    assert len(logs) == 3
    assert min(logs) >= 1


def test_actors_above_the_size_that_is_kept_go_when_they_are_idle(tmp_path: Path) -> None:
    deeds: dict[int, dict[str, Any]] = {n: {"do": "sleep", "seconds": 1.0} for n in range(8)}
    deeds[0] = {"do": "wait", "for": "alone"}
    run = PartsRun(tmp_path, 8, deeds=deeds)
    most = 0

    def look() -> None:
        nonlocal most
        alive = sum(not_gone(int(log.stem)) for log in tmp_path.glob("*.log"))
        most = max(most, alive)
        if len(run.results) == 7 and alive == 1:  # else the first item would wait for ever
            (tmp_path / "alone").touch()

    run.go_parts(
        readers=0,
        workers=PoolSize(3, least=1),
        batch=1,
        limits=PoolLimits(batch_limit_s=600, queued=1, idle_s=1.0),
        on_tick=look,
    )
    run.expect({})
    assert most > 1, "there were others"


def not_gone(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_place_that_never_comes_is_one_clear_error(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 4)
    with pytest.raises(ServiceError, match=r"a place in Ray with 1 CPU, 3 GPU within 1 s; found none"):
        run.go_parts(readers=0, resources=Resources(gpus=3), limits=PoolLimits(arrival_limit_s=1.0))


def test_the_same_in_the_driver(tmp_path: Path) -> None:
    run = PartsRun(tmp_path, 10, deeds={3: {"read": "reject"}, 4: {"do": "reject"}})
    reading = Part(PoolReader, {"log_dir": str(tmp_path)})
    run_here(SeenWorker, run.batches(), setup={"log_dir": str(tmp_path)}, on_result=run.take, read_by=reading)
    run.expect({3: "damaged_clip", 4: "too_short"})


def test_readers_need_a_way_to_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read_by"):
        run_pool(
            SeenWorker,
            [],
            size=1,
            setup={},
            on_result=lambda _items, _results: None,
            readers=Readers(PoolSize(1), 1, MIB),
        )
