"""scoreboard: what one process writes, another reads, though the writer be stopped or dead."""

import os
import signal

import pytest

from byoc_serving.supervision.scoreboard import Scoreboard


@pytest.fixture
def told(monkeypatch):
    """Count the signals that the supervisor (here: this process) gets."""
    signals = []
    before = signal.signal(signal.SIGUSR1, lambda number, _frame: signals.append(number))
    yield signals
    signal.signal(signal.SIGUSR1, before)


@pytest.fixture
def scoreboard(tmp_path):
    return Scoreboard(tmp_path, os.getpid())


def test_a_new_worker_is_loading_then_ready(scoreboard):
    slot = scoreboard.slot(42)
    assert [(score.pid, score.ready) for score in scoreboard.scores()] == [(42, False)]
    slot.ready()
    assert [(score.pid, score.ready) for score in scoreboard.scores()] == [(42, True)]


def test_requests_are_in_flight_until_they_end(scoreboard):
    slot = scoreboard.slot(42)
    first, second = slot.begin("one"), slot.begin("two")
    slot.end(first)
    assert [request.request_id for request in scoreboard.score(42).in_flight] == ["two"]
    slot.end(second)
    assert scoreboard.score(42).in_flight == []


def test_one_that_others_pass_by_comes_behind_them_as_long_as_they_may(scoreboard):
    slot = scoreboard.slot(42)
    first = slot.begin("first")
    slot.begin("second")
    since_s = scoreboard.score(42).in_flight[0].since_s
    slot.pass_by(first, passed=True)
    in_flight = scoreboard.score(42).in_flight
    assert [request.request_id for request in in_flight] == ["second", "first"]
    assert in_flight[1].since_s == since_s
    slot.pass_by(first, passed=False)
    assert [request.request_id for request in scoreboard.score(42).in_flight] == ["first", "second"]
    slot.pass_by(-1, passed=True)
    slot.end(first)
    assert [request.request_id for request in scoreboard.score(42).in_flight] == ["second"]


def test_more_requests_than_places_are_served_without_a_score(scoreboard):
    slot = scoreboard.slot(42)
    places = [slot.begin(str(number)) for number in range(600)]
    assert places[-1] == -1
    slot.end(places[-1])
    assert len(scoreboard.score(42).in_flight) == 512


def test_a_stream_is_in_flight_to_its_end_and_waits_for_no_turn(scoreboard):
    slot = scoreboard.slot(42)
    streamed, _ = slot.begin("streamed"), slot.begin("waiting")
    slot.answered(streamed)
    slot.pass_by(streamed, passed=True)
    score = scoreboard.score(42)
    assert [(one.request_id, one.is_answered) for one in score.in_flight] == [
        ("waiting", False),
        ("streamed", True),
    ]
    assert score.waiting == 1
    slot.work()
    assert scoreboard.score(42).waiting == 0
    slot.end(streamed)
    assert slot.begin("next") == streamed
    assert not any(one.is_answered for one in scoreboard.score(42).in_flight)


def test_a_worker_at_work_is_seen_by_the_others_until_it_rests_or_dies(scoreboard):
    slots = [scoreboard.slot(40 + number, number) for number in range(3)]
    slots[0].work()
    slots[2].work()
    assert [scoreboard.at_work(besides=number) for number in range(3)] == [1, 2, 1]
    assert scoreboard.score(40).works_since_s is not None
    slots[0].rest()
    scoreboard.clear(42, 2)
    assert scoreboard.at_work(besides=1) == 0
    assert scoreboard.score(40).works_since_s is None


def test_a_long_or_foreign_id_is_kept_as_far_as_there_is_room(scoreboard):
    scoreboard.slot(42).begin("é" * 100, "order-66")
    [request] = scoreboard.score(42).in_flight
    assert request.ids == {"request_id": "é" * 32, "inference_id": "order-66"}


def test_a_killed_worker_leaves_what_it_held(scoreboard):
    pid = os.fork()
    if pid == 0:
        scoreboard.slot(os.getpid()).begin("held")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [request.request_id for request in scoreboard.score(pid).in_flight] == ["held"]
    scoreboard.clear(pid)
    assert scoreboard.scores() == []


def test_the_first_failure_stays_and_the_supervisor_is_told(scoreboard, told):
    assert scoreboard.failure() is None
    scoreboard.fail("first")
    scoreboard.fail("second")
    assert scoreboard.failure() == "first"
    assert told == [signal.SIGUSR1, signal.SIGUSR1]
