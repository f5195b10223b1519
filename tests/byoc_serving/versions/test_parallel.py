import threading
import time

import pytest

from byoc_serving.stopping import StoppedError
from byoc_serving.versions.parallel import run_all


def test_every_job_is_done_once_by_no_more_threads_than_asked_for():
    done, threads = [], set()

    def work(job, _alive):
        threads.add(threading.get_ident())
        done.append(job)

    run_all(work, range(100), threads=3)
    assert sorted(done) == list(range(100))
    assert len(threads) <= 3


def test_no_jobs_are_done_at_once():
    run_all(pytest.fail, [], threads=3)


def test_the_first_failure_ends_the_rest_and_is_raised():
    begun = []

    def work(job, alive):
        begun.append(job)
        if job == 0:
            raise ValueError("the first")
        while True:
            alive()
            time.sleep(0.01)

    before = threading.active_count()
    with pytest.raises(ValueError, match="the first"):
        run_all(work, range(100), threads=2)
    assert len(begun) <= 3
    assert threading.active_count() == before


def test_a_stop_is_heard_while_every_thread_hangs():
    hang = threading.Event()
    began = time.monotonic()

    def check():
        if time.monotonic() - began > 0.2:
            raise StoppedError(15)

    with pytest.raises(StoppedError):
        run_all(lambda *_: hang.wait(30), range(4), threads=2, check=check, grace_s=0.1)
    assert time.monotonic() - began < 1
    hang.set()
