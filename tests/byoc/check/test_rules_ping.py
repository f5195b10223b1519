"""What was seen of connections and of /ping is told, and no more is made of it than it shows."""

import math

import pytest

from byoc.check.exchange import Answer
from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules import ping
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.images import Folder


@pytest.fixture
def lab(monkeypatch, tmp_path):
    def nothing(_lab):
        raise CannotTestError("no sample.")

    monkeypatch.setattr(Lab, "server", lambda _lab: Server(lambda: None))
    monkeypatch.setattr(Lab, "good_answer", nothing)
    return Lab(Question(Folder(tmp_path)), tmp_path)


@pytest.mark.parametrize(
    ("refused", "outcome", "seen"),
    [
        (0, Outcome.PASS, "accepted after 1.0 ms (median). Under load"),
        (4, Outcome.WARN, "; 4 of 20 connections were not accepted within 250 ms, 4 not at all"),
        (5, Outcome.FAIL, "While nobody called, 5 of 20 connections were not accepted within 250 ms"),
    ],
)
def test_connections_that_are_refused_now_and_then_are_told(monkeypatch, lab, refused, outcome, seen):
    monkeypatch.setattr(
        ping, "_connect_times", lambda _server: [math.inf] * refused + [0.001] * (20 - refused)
    )
    found = ping.connects_in_time(lab)
    assert found.outcome is outcome
    assert seen in found.seen


def test_pings_that_were_not_answered_with_200_are_told_though_later_ones_are(monkeypatch, lab):
    statuses = iter([200, 503, 503, *[200] * 100])
    monkeypatch.setattr(Server, "ping", lambda _server: Answer(next(statuses), {}, b"", 0.001))
    found = ping.ping_warm(lab)
    assert found.outcome is Outcome.WARN
    assert found.seen.startswith("2 of 20 pings were not answered with 200 in 2 s: /ping was answered 503.")


@pytest.mark.parametrize(
    ("ping_s", "call_s", "outcome"),
    [
        (0.005, 0.8, Outcome.PASS),
        (1.5, 4.0, Outcome.PASS),
        (1.5, 1.6, Outcome.UNTESTED),  # it waits its turn
        (0.02, 0.03, Outcome.UNTESTED),
        (0.001, 0.03, Outcome.UNTESTED),
        (0.001, 0.0, Outcome.UNTESTED),
    ],
)
def test_a_ping_is_quick_only_if_it_overtook_calls_that_were_not(ping_s, call_s, outcome):
    assert ping.overtaking(32, ping_s, call_s).outcome is outcome
