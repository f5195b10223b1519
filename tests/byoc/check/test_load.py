"""Calls at once are all made and waited for, but not by somebody who ends the check."""

import signal
import subprocess
import sys
import threading

import pytest

from byoc.check.exchange import Answer
from byoc.check.load import Load, at_once

# Calls that nobody answers, met by ^C when all are under way.
HANGS = """
import os, signal, threading, time
from byoc.check.load import Load, at_once
under_way = threading.Semaphore(0)
def hangs():
    under_way.release()
    threading.Event().wait()
def interrupt():
    for _ in range(4):
        under_way.acquire()
    while True:  # one that comes just before a lock is waited for is only seen with the next
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
threading.Thread(target=interrupt, daemon=True).start()
"""
BURST = "at_once(hangs, 4)"
WITHOUT_PAUSE = "with Load(hangs, 4): threading.Event().wait()"


def test_calls_are_made_at_the_same_time_and_all_are_waited_for():
    together = threading.Barrier(3)
    assert sorted(at_once(lambda: together.wait(10), 3)) == [0, 1, 2]


def test_what_a_call_raises_is_raised():
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        at_once(fails, 2)


def test_calls_under_way_are_waited_for_where_a_rule_gives_up():
    ended = []

    def call():
        threading.Event().wait(0.2)
        ended.append(True)
        return Answer(200, {}, b"", 0.0)

    with pytest.raises(ValueError, match="no"), Load(call, 1):
        raise ValueError("no")
    assert ended


@pytest.mark.parametrize("calls", [BURST, WITHOUT_PAUSE])
def test_who_ends_the_check_waits_for_no_call(calls):
    ended = subprocess.run(
        [sys.executable, "-c", HANGS + calls], capture_output=True, timeout=30, check=False
    )
    assert ended.returncode == -signal.SIGINT
