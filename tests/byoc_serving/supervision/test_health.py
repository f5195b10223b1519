"""health: what /ping answers, for every state of the workers."""

from byoc_serving.supervision.health import Health, State, health
from byoc_serving.supervision.scoreboard import InFlight, Score

TIMEOUT_S = 60
STARTED_S = 1.0


def idle(pid=1):
    return Score(pid, ready=True, since_s=0.0)


def busy(pid, since_s):
    requests = [InFlight(f"request-{pid}-{place}", None, since_s - 10 * place) for place in (1, 0)]
    return Score(pid, ready=True, since_s=0.0, works_since_s=since_s, in_flight=requests)


def test_before_any_worker_has_started_the_model_is_being_verified():
    now = health([], 5.0, STARTED_S, TIMEOUT_S)
    assert (now.state, now.status) == (State.STARTING, 503)
    assert now.reason == "The model is being verified, for 4.0 s so far."


def test_while_every_worker_loads_it_says_for_how_long():
    loading = [Score(1, ready=False, since_s=8.0), Score(2, ready=False, since_s=9.0)]
    assert health(loading, 10.0, STARTED_S, TIMEOUT_S) == Health(
        State.STARTING, "The model is loading, for 2.0 s so far."
    )


def test_one_worker_that_is_ready_is_enough():
    now = health([Score(1, ready=False, since_s=0.0), idle(2)], 10.0, STARTED_S, TIMEOUT_S)
    assert (now.state, now.status) == (State.READY, 200)


def test_workers_that_are_busy_within_the_timeout_are_ready():
    assert health([busy(1, 50.0), busy(2, 51.0)], 100.0, STARTED_S, TIMEOUT_S).state is State.READY


def test_all_workers_busy_beyond_the_timeout_are_stuck_and_the_one_at_work_is_named():
    now = health([busy(1, 100.0), busy(2, 90.0)], 200.0, STARTED_S, TIMEOUT_S)
    assert (now.state, now.status) == (State.STUCK, 503)
    assert "All workers (2)" in now.reason
    assert "request-2-1, for 110.0 s" in now.reason


def test_requests_that_wait_for_long_do_not_make_a_worker_stuck_that_works_on():
    waiting = [InFlight("request-1", None, 0.0)]
    busy_now = Score(1, ready=True, since_s=0.0, works_since_s=199.0, in_flight=waiting)
    assert health([busy_now], 200.0, STARTED_S, TIMEOUT_S).state is State.READY


def test_one_worker_that_is_not_stuck_keeps_it_ready():
    assert health([busy(1, 0.0), idle(2)], 200.0, STARTED_S, TIMEOUT_S).state is State.READY


def test_a_worker_that_loads_does_not_make_a_stuck_one_ready():
    assert (
        health([busy(1, 0.0), Score(2, ready=False, since_s=0.0)], 200.0, STARTED_S, TIMEOUT_S).state
        is State.STUCK
    )
