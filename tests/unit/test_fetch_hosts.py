"""The gate: turns at a rate, walls that stop everybody and outlive a kill, one probe before all ask again."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from fetch_doubles import START, FakeClock

from uniform_core.build import build_run
from uniform_core.errors import StorageError
from uniform_core.fetching.bucket import Rate
from uniform_core.fetching.classes import FailureClass
from uniform_core.fetching.gate import asked
from uniform_core.fetching.hosts import YOUTUBE, YOUTUBE_MEDIA, HostGates, HostRules
from uniform_core.fetching.outcome import Deferred, Failed
from uniform_core.fetching.policies import DAY_S

RULES = HostRules(rates={"example.org": Rate(per_s=2.0)}, other_rate=Rate(per_s=1000.0, burst=1000))
WALL = Failed(FailureClass.BOTWALL, "not a bot?")
LIMIT = Failed(FailureClass.RATE_LIMIT, "later", retry_after_s=7200.0)
LOST = Failed(FailureClass.TRANSIENT, "no answer")
DEAD = Failed(FailureClass.DEAD, "gone")
HOST = "host.example"


def gates(clock: FakeClock, path: Path | None = None, rules: HostRules = RULES) -> HostGates:
    return HostGates(rules, clock=clock, rng=random.Random(0), path=path)


def closed_for_s(gate: HostGates, clock: FakeClock) -> float:
    found = gate.shut(HOST)
    assert found is not None
    return (found.until - clock.now).total_seconds()


def test_all_below_a_name_share_its_rate() -> None:
    clock = FakeClock()
    gate = gates(clock)
    assert [gate.reserve(host) for host in ("a.example.org", "b.example.org", "EXAMPLE.org.", "notexample.org")] == [
        0.0,
        0.5,
        1.0,
        0.0,
    ]


def test_a_rate_that_is_given_for_one_host_leaves_the_others_theirs() -> None:
    """YouTube at the rate of any other host has a wall up within minutes; so have a typo in its name, and no names."""
    for name in ("mirror.example", "youtube.con"):
        config = build_run("nano", overrides=[f'fetch.hosts={{"rates":{{"{name}":{{"per_s":9}}}}}}'])
        rules = config.fetch.hosts
        assert (rules.rate_of(name).per_s, rules.rate_of("host.example")) == (9, HostRules().other_rate)
        assert rules.rate_of("www.youtube.com") == rules.rate_of("youtube.com") == YOUTUBE
        assert rules.key_of("rr3---sn-x.googlevideo.com") == "googlevideo.com"
    slower = HostRules(rates={"youtube.com": Rate(per_s=0.01)})
    assert (slower.rate_of("www.youtube.com").per_s, slower.rate_of("googlevideo.com")) == (0.01, YOUTUBE_MEDIA)
    assert HostRules(rates={}).rate_of("youtube.com") == YOUTUBE
    assert "fetch" not in build_run("nano").model_dump(), "what nobody has set is in no dump of a run"


def test_a_turn_is_waited_for_by_its_taker_alone() -> None:
    clock = FakeClock()
    gate = gates(clock)
    client = gate.client(sleep=clock.sleep)
    assert [client.pass_through("example.org") for _ in range(5)] == [None] * 5
    assert clock.now - START == timedelta(seconds=2.0)


def test_a_wall_stops_those_who_wait_for_their_turn_within_a_second() -> None:
    clock = FakeClock()
    gate = gates(clock, rules=HostRules(other_rate=Rate(per_s=0.01)))
    gate.reserve(HOST)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 3:
            gate.tell(HOST, WALL)

    found = gate.client(sleep=sleep).pass_through(HOST)
    assert isinstance(found, Deferred)
    assert clock.slept == [1.0, 1.0, 1.0]
    assert found.reason == "botwall: not a bot?"


def test_a_wall_closes_its_host_for_everybody_and_no_other() -> None:
    clock = FakeClock()
    gate = gates(clock)
    gate.tell(HOST, WALL)
    assert isinstance(gate.reserve(HOST), Deferred)
    assert isinstance(gate.reserve(HOST.upper()), Deferred)
    assert gate.reserve("other.example") == 0.0
    assert set(gate.closed()) == {HOST}


@pytest.mark.parametrize("failed", [None, DEAD, LOST, Failed(FailureClass.EXPIRED_URL, "403")])
def test_nothing_else_closes_a_host(failed: Failed | None) -> None:
    gate = gates(FakeClock())
    for _ in range(50):
        gate.tell(HOST, failed)
    assert gate.closed() == {}


def test_a_bot_wall_is_left_alone_for_one_to_two_hours_and_a_rate_limit_for_what_it_asks() -> None:
    clock = FakeClock()
    gate = gates(clock)
    gate.tell(HOST, WALL)
    assert 3600 <= closed_for_s(gate, clock) <= 7200
    other = gates(clock)
    other.tell(HOST, LIMIT)
    assert closed_for_s(other, clock) == 7200
    third = gates(clock)
    third.tell(HOST, Failed(FailureClass.RATE_LIMIT, "", retry_after_s=5.0))
    assert closed_for_s(third, clock) == 3600


def test_a_host_that_asks_for_days_gets_them_but_not_for_ever() -> None:
    for asked_s, expected_s in ((3 * DAY_S, 3 * DAY_S), (1e12, 7 * DAY_S)):
        clock = FakeClock()
        gate = gates(clock)
        limit = Failed(FailureClass.RATE_LIMIT, "", retry_after_s=asked_s)
        gate.tell(HOST, limit)
        assert closed_for_s(gate, clock) == expected_s
        gate.tell(HOST, limit)
        assert closed_for_s(gate, clock) == expected_s, "also where the wall is known"


def test_walls_that_others_met_before_they_could_know_are_one_wall() -> None:
    clock = FakeClock()
    gate = gates(clock)
    for _ in range(8):
        gate.tell(HOST, Failed(FailureClass.RATE_LIMIT, ""))
    assert closed_for_s(gate, clock) == 3600


def test_each_wall_in_a_row_is_left_alone_twice_as_long_up_to_a_day() -> None:
    clock = FakeClock()
    gate = gates(clock)
    found = []
    for _ in range(7):
        gate.tell(HOST, Failed(FailureClass.RATE_LIMIT, ""))
        found.append(closed_for_s(gate, clock) / 3600)
        clock.now += timedelta(seconds=closed_for_s(gate, clock))
        assert gate.reserve(HOST) == 0.0
    assert found == [1, 2, 4, 8, 16, 24, 24]


def test_one_probe_goes_first_and_the_others_after_its_success() -> None:
    clock = FakeClock()
    gate = gates(clock)
    gate.tell(HOST, WALL)
    clock.now += timedelta(hours=3)
    assert gate.reserve(HOST) == 0.0
    later = gate.reserve(HOST)
    assert isinstance(later, Deferred)
    assert later.until == clock.now + timedelta(seconds=30)
    gate.tell(HOST, DEAD)  # a dead video is an answer as hosts give it
    assert gate.reserve(HOST) == 0.0
    assert gate.closed() == {}


def test_what_was_under_way_before_the_wall_opens_nothing() -> None:
    clock = FakeClock()
    gate = gates(clock)
    gate.reserve(HOST)
    gate.tell(HOST, WALL)
    gate.tell(HOST, None)
    assert isinstance(gate.reserve(HOST), Deferred)
    clock.now += timedelta(hours=3)
    gate.tell(HOST, None)
    assert gate.reserve(HOST) == 0.0, "the probe"
    assert isinstance(gate.reserve(HOST), Deferred)


def test_a_probe_that_gets_no_answer_leaves_its_place_to_the_next() -> None:
    clock = FakeClock()
    gate = gates(clock)
    gate.tell(HOST, WALL)
    clock.now += timedelta(hours=3)
    assert gate.reserve(HOST) == 0.0
    gate.tell(HOST, LOST)
    assert gate.reserve(HOST) == 0.0
    assert isinstance(gate.reserve(HOST), Deferred)
    clock.now += timedelta(seconds=RULES.probe_s)  # this one was killed
    assert gate.reserve(HOST) == 0.0


def test_a_host_that_stayed_open_is_forgiven_and_one_that_did_not_is_not() -> None:
    for open_h, expected in ((0.5, 2), (1.5, 1)):
        clock = FakeClock()
        gate = gates(clock)
        gate.tell(HOST, Failed(FailureClass.RATE_LIMIT, ""))
        clock.now += timedelta(hours=1)
        gate.reserve(HOST)
        gate.tell(HOST, None)
        clock.now += timedelta(hours=open_h)
        gate.tell(HOST, Failed(FailureClass.RATE_LIMIT, ""))
        assert closed_for_s(gate, clock) / 3600 == expected


def test_a_killed_run_does_not_forget_a_wall(tmp_path: Path) -> None:
    clock, path = FakeClock(), tmp_path / "sub" / "hosts.json"
    gates(clock, path).tell(HOST, WALL)
    again = gates(clock, path)
    found = again.reserve(HOST)
    assert isinstance(found, Deferred)
    assert found.reason == "botwall: not a bot?"
    clock.now = found.until
    assert again.reserve(HOST) == 0.0
    again.tell(HOST, None)
    third = gates(clock, path)
    assert third.reserve(HOST) == 0.0
    third.tell(HOST, Failed(FailureClass.RATE_LIMIT, ""))
    assert closed_for_s(third, clock) == 7200, "the second in a row, in another process"


def test_a_damaged_state_is_said_and_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text("{")
    with pytest.raises(StorageError, match=r"state of hosts as JSON.*Remove the file"):
        gates(FakeClock(), path)


def test_turns_taken_before_a_wall_are_not_waited_for_after_it() -> None:
    clock = FakeClock()
    gate = gates(clock, rules=HostRules(other_rate=Rate(per_s=0.0001)))
    for _ in range(50):
        gate.reserve(HOST)
    gate.tell(HOST, WALL)
    clock.now += timedelta(hours=3)
    assert gate.reserve(HOST) == 0.0


def test_a_request_is_made_when_it_may_be_and_told() -> None:
    clock = FakeClock()
    gate = gates(clock)
    client = gate.client(sleep=clock.sleep)
    assert asked(client, HOST, lambda: "page") == "page"
    assert asked(client, HOST, lambda: DEAD) == DEAD
    found = asked(client, HOST, lambda: WALL)
    assert isinstance(found, Deferred), "it counts against no clip"
    made = []
    assert isinstance(asked(client, HOST, lambda: made.append(1)), Deferred)
    assert made == []


def test_many_threads_get_as_many_turns_as_the_rate_gives() -> None:
    clock = FakeClock()
    gate = gates(clock)
    found: list[float | Deferred] = []

    def take() -> None:
        found.extend(gate.reserve("example.org") for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [n * 0.5 for n in range(400)]
