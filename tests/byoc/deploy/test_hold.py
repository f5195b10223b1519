"""Holding signals back: the first waits for the end of the block, the second does not; none is lost."""

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from byoc.deploy.hold import SignalHeldError, hold


def held(*acts):
    """Do acts while signals are held back; return what became of each."""
    done = []
    try:
        with hold():
            for act in acts:
                try:
                    act()
                    done.append("done")
                except KeyboardInterrupt:
                    done.append("interrupted")
    except KeyboardInterrupt:
        done.append("interrupted at the end")
    return done


def interrupt():
    signal.raise_signal(signal.SIGINT)


def fail():
    raise ValueError("no answer")


def test_a_signal_is_delivered_when_the_block_has_ended():
    assert held(interrupt, int) == ["done", "done", "interrupted at the end"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_goes_before_what_the_block_raises():
    assert held(interrupt, fail) == ["done", "interrupted at the end"]


def test_a_second_one_is_delivered_at_once_and_again_where_it_was_swallowed():
    assert held(interrupt, interrupt) == ["done", "interrupted", "interrupted at the end"]


def test_before_anything_is_done_a_signal_that_came_prevents_it():
    done = []

    def begin_after(act):
        with hold() as check:
            act()
            try:
                check()
                done.append("begun")
            except SignalHeldError:
                done.append("not begun")

    begin_after(int)
    with pytest.raises(KeyboardInterrupt):
        begin_after(interrupt)
    assert done == ["begun", "not begun"]


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with hold():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_it_is_nothing():
    def within():
        with hold():
            return True

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(within).result()
