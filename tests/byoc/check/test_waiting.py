"""A wait ends early where /ping will not be answered 200, and only there."""

import os
import socket
from pathlib import Path

import pytest

from byoc.check.waiting import NotServingError, Ping, Standstill, Work, work_of
from byoc.runtime.procfs import Running

IDLE = Work(frozenset({1}), 0.5, 1000)
UNSEEN = None


def first_of(pings, work):
    """Return when the wait ends, in seconds, for the status and words of a ping each second."""
    now = [0.0]
    standstill = Standstill(lambda: work(now[0]))
    for at_s, (status, said) in enumerate(pings):
        now[0] = float(at_s)
        if standstill.began_with(Ping(float(at_s), status, said, 0.01, connected=True)) is not None:
            return at_s
    return None


def always(status, said="no", seconds=100):
    return [(status, said)] * seconds


@pytest.mark.parametrize("status", [404, 405, 500, 204, 302, 401])
def test_a_wrong_answer_that_stays_the_same_is_enough_of_a_program_that_does_nothing(status):
    assert first_of(always(status), lambda _now: IDLE) == 25


def test_where_nothing_is_seen_of_a_program_it_is_waited_for_longer():
    assert first_of(always(404), lambda _now: UNSEEN) == 60


@pytest.mark.parametrize("status", [0, 503])
def test_who_does_not_listen_yet_or_says_that_it_loads_is_waited_for(status):
    assert first_of(always(status), lambda _now: IDLE) is None


def test_the_words_of_a_servers_error_may_tell_of_progress_and_those_of_404_do_not():
    assert first_of([(500, f"{part} % loaded") for part in range(100)], lambda _now: IDLE) is None
    assert first_of([(404, f"request {number}") for number in range(100)], lambda _now: IDLE) == 25


def test_another_answer_begins_the_wait_anew():
    assert first_of([*always(404, seconds=20), (503, ""), *always(404)], lambda _now: IDLE) == 21 + 25


@pytest.mark.parametrize(
    "work",
    [
        lambda now: Work(frozenset({1}), 0.3 * now, 0),
        lambda now: Work(frozenset({1}), 0.0, int(5e6 * now)),
        lambda now: Work(frozenset({int(now)}), 0.0, 0),
    ],
    ids=["computes", "reads", "begins processes"],
)
def test_who_still_does_something_is_waited_for(work):
    assert first_of(always(404), work) is None


def test_who_has_done_its_work_is_waited_for_no_longer():
    ends = first_of(always(500), lambda now: Work(frozenset({1}), min(now, 40.0), 0))
    assert 40 + 25 <= ends <= 40 + 25 + 6


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (NotServingError("", ended=True), True),
        (NotServingError("", log="OSError: [Errno 30] Read-only file system: '/opt/ml/model/x'"), True),
        (NotServingError("", log="GET /ping 404"), False),
    ],
)
def test_only_who_ended_or_was_denied_something_may_start_where_it_is_given_more(error, lacks):
    assert error.lacks_something is lacks


def received():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as ours,
        listener.accept()[0] as theirs,
    ):
        for _ in range(100):
            ours.sendall(bytes(30_000))
            theirs.recv(30_000, socket.MSG_WAITALL)


def written():
    with Path(os.devnull).open("wb", buffering=0) as file:
        file.write(bytes(3_000_000))


@pytest.mark.skipif(not Path("/proc/self/net/dev").exists(), reason="needs Linux")
@pytest.mark.parametrize("move", [received, written])
def test_what_comes_over_a_socket_or_is_written_is_work(move):
    this = [Running(os.getpid(), 0, "python", (), 0.0)]
    before = work_of(this)
    move()
    assert work_of(this).is_much_since(before, 1.0)
