"""threads: a large prediction gets the cores that nobody else uses, a small one its usual share."""

import os
import subprocess
import sys
from pathlib import Path

from byoc_serving.threads import MANY_ROWS, LibraryThreads

IMAGE = Path(__file__).parents[2] / "container" / "custom_algorithm"
ASKED = """
import lightgbm, numpy, sys
from threadpoolctl import threadpool_info
from byoc_serving.threads import LibraryThreads

def openmp():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp"}

threads = LibraryThreads(1, lambda: 3)
threads.find()
threads.fit(10)
before = openmp()
threads.fit(100_000)
during = openmp()
threads.fit(10)
print(before, during, openmp())
"""


class Pools:
    """Numeric libraries that remember what they were told."""

    def __init__(self):
        self.told = []
        self.lib_controllers = [self]

    def set_num_threads(self, number):
        self.told.append(number)


def told(free, *rows):
    threads, pools = LibraryThreads(2, lambda: free), Pools()
    threads._pools = pools
    for number in rows:
        threads.fit(number)
    return pools.told


def test_a_large_prediction_gets_the_free_cores_and_the_next_small_one_the_usual():
    assert told(8, 1, MANY_ROWS, MANY_ROWS + 1, 1) == [8, 2]


def test_where_others_work_a_large_prediction_keeps_to_its_share():
    assert told(1, MANY_ROWS, 1) == []


def test_libraries_that_nobody_looked_for_are_left_alone():
    LibraryThreads(1, lambda: 8).fit(MANY_ROWS)


def test_openmp_really_does_as_it_is_told():
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(IMAGE)}
    said = subprocess.run(
        [sys.executable, "-c", ASKED], env=environ, capture_output=True, text=True, check=True
    )
    assert said.stdout == "{1} {3} {1}\n"
