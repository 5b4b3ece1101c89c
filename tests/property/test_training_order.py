"""Laws of the training order: every epoch has every sample once, and ranks share a batch whatever their number."""

from collections import Counter
from itertools import chain

from hypothesis import given, settings
from hypothesis import strategies as st

from uniform_core.training.order import EpochOrder


@given(samples=st.integers(1, 40), batch=st.integers(1, 17), world=st.integers(1, 5), seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_an_epoch_visits_every_sample_once_over_all_ranks(samples: int, batch: int, world: int, seed: int) -> None:
    order = EpochOrder(seed, samples=samples)
    steps = -(-3 * samples // batch)
    visited = {
        position: order.sample_at(position)
        for step in range(steps)
        for rank in range(world)
        for position in order.batch_positions(step, batch=batch, rank=rank, world=world)
    }
    for epoch in range(3):
        places = range(epoch * samples, (epoch + 1) * samples)
        assert Counter(visited[place] for place in places) == Counter(range(samples))


@given(batch=st.integers(1, 33), world=st.integers(1, 8), step=st.integers(0, 10**6))
def test_ranks_together_have_the_batch_of_one(batch: int, world: int, step: int) -> None:
    order = EpochOrder(0, samples=10)
    alone = list(order.batch_positions(step, batch=batch))
    shared = [list(order.batch_positions(step, batch=batch, rank=rank, world=world)) for rank in range(world)]
    assert sorted(chain.from_iterable(shared)) == alone
    assert max(map(len, shared)) - min(map(len, shared)) <= 1


@given(position=st.integers(0, 10**5), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_position_is_answered_without_the_ones_before(position: int, seed: int) -> None:
    fresh = EpochOrder(seed, samples=7)
    used = EpochOrder(seed, samples=7)
    for earlier in range(0, 35):
        used.sample_at(earlier)
    assert fresh.sample_at(position) == used.sample_at(position)


def test_epochs_and_seeds_differ() -> None:
    def epoch(seed: int, number: int) -> list[int]:
        order = EpochOrder(seed, samples=50)
        return [order.sample_at(number * 50 + place) for place in range(50)]

    assert len({tuple(epoch(seed, number)) for seed in range(3) for number in range(3)}) == 9
