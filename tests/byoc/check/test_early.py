"""Calls right after the first 200 tell a server that said too early that it is ready from one that is bad."""

import itertools
import time

import pytest
from faulty import SAMPLE

from byoc.check import early
from byoc.check.early import FirstCalls, first_calls
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.serving import Server


@pytest.fixture
def called(monkeypatch):
    """What is found of a server, by what its n-th call is answered, so many seconds after the first."""
    monkeypatch.setattr(early, "_PAUSE_S", 0.01)
    monkeypatch.setattr(early, "_LATER_S", 0.5)
    monkeypatch.setattr(early, "_NONE_S", 0.2)

    def called(status):
        began, numbers = time.monotonic(), itertools.count()

        def invoke(_server, _sample):
            said = status(next(numbers), time.monotonic() - began)
            if isinstance(said, Exception):
                raise BrokenCallError("POST /invocations: no answer") from said
            return Answer(said, {}, b"", 0.0)

        monkeypatch.setattr(Server, "invoke", invoke)
        return first_calls(Server(lambda: None), SAMPLE, patience_s=20.0)

    return called


def test_a_server_whose_calls_are_all_answered_is_left_alone_at_once(called):
    assert called(lambda _number, _at_s: 200) == FirstCalls(settled=True)


def test_a_worker_that_loads_longer_than_another_is_seen(called):
    found = called(lambda number, at_s: 500 if number % 2 and at_s < 0.2 else 200)
    assert found.are_early
    assert 0.1 < found.bad_s < 0.4
    assert "calls failed: 500. Later all were answered" in str(found)


def test_all_of_a_server_may_load_longer(called):
    assert called(lambda _number, at_s: ConnectionRefusedError() if at_s < 0.1 else 200).are_early


@pytest.mark.parametrize(
    "status",
    [
        lambda _number, _at_s: 500,
        lambda number, _at_s: 500 if number % 2 else 200,
        lambda number, _at_s: 500 if number == 7 else 200,
        lambda _number, _at_s: 415,
        lambda _number, _at_s: TimeoutError(),
    ],
    ids=["always wrong", "every other wrong", "one wrong", "refused as wrong", "slow"],
)
def test_what_does_not_go_away_or_happens_once_is_not_said_to_be_loading(called, status):
    assert not called(status).are_early


def test_slow_calls_are_not_made_at_once(called, monkeypatch):
    monkeypatch.setattr(early, "_BURST_S", 0.001)
    numbers = []
    called(lambda number, _at_s: numbers.append(number) or time.sleep(0.01) or 200)
    assert len(numbers) <= 2
