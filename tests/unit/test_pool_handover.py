"""What lies between readers and workers: batches of a size, a bound of bytes; and what a pool is said to wait for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tasks.pool_handover import SHARE_OF_A_BATCH, Handed, HandOver
from tasks.pool_watch import Watch


def handed(n: int, size: int = 10) -> Handed:
    return Handed(item=n, payload="object", at=n, bytes=size)


def test_a_batch_is_full_or_the_rest() -> None:
    over = HandOver(batch=4, limit_bytes=1000)
    over.put(handed(n) for n in range(6))
    assert [one.item for one in over.take(is_rest=False) or []] == [0, 1, 2, 3]
    assert over.take(is_rest=False) is None
    assert [one.item for one in over.take(is_rest=True) or []] == [4, 5]
    assert over.take(is_rest=True) is None
    assert over.is_empty


def test_room_is_counted_with_what_is_read_and_worked_on() -> None:
    over = HandOver(batch=2, limit_bytes=100)
    assert over.has_room_for(50, being_read=0), "nothing is known of their size yet, and nothing else would go on"
    assert not over.has_room_for(1, being_read=1)
    over.put(handed(n, 20) for n in range(2))
    assert over.has_room_for(2, being_read=1)
    assert not over.has_room_for(3, being_read=1)
    taken = over.take(is_rest=False) or []
    assert not over.has_room_for(4, being_read=0), "what is worked on still lies there"
    over.release(taken)
    assert over.has_room_for(4, being_read=0)


@given(st.lists(st.integers(1, 60), max_size=40), st.integers(1, 8), st.integers(40, 200))
def test_every_item_comes_once_in_order_and_no_batch_is_above_its_share(
    sizes: list[int], batch: int, limit: int
) -> None:
    over = HandOver(batch=batch, limit_bytes=limit)
    over.put(handed(n, size) for n, size in enumerate(sizes))
    came: list[int] = []
    while (taken := over.take(is_rest=True)) is not None:
        assert 1 <= len(taken) <= batch
        assert len(taken) == 1 or sum(one.bytes for one in taken) * SHARE_OF_A_BATCH <= limit
        came += [one.item for one in taken]
        over.release(taken)
    assert came == list(range(len(sizes)))
    assert over.has_room_for(10**6, being_read=0)


def test_the_part_that_is_most_at_work_is_named() -> None:
    now = [0.0]
    watch = Watch(clock=lambda: now[0])
    assert watch.bottleneck == ""
    now[0] = 10.0
    watch.look({"decode": (1.9, 2), "model": (0.5, 1)})
    assert watch.bottleneck == "decode-bound 95 %"
    watch.committed(9.0)
    assert watch.bottleneck == "commit-bound 90 %", "everybody waits for the driver, and only looks busy"


def test_what_was_long_ago_is_forgotten() -> None:
    now = [0.0]
    watch = Watch(clock=lambda: now[0])
    for step in range(1, 60):
        now[0] = 10.0 * step
        is_late = step > 30
        watch.look({"decode": (float(not is_late), 1), "model": (float(is_late), 1)})
    assert watch.bottleneck.startswith("model-bound"), "though decoding took longer in all"
