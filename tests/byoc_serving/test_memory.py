"""The memory of models is a share of the container's, or what was asked for, divided among the workers."""

from byoc_serving.memory import Memory
from byoc_serving.settings import MEGABYTE
from byoc_serving.supervision.memory import anonymous_memory


def test_by_default_workers_share_four_fifths_of_the_container_less_what_each_needs_itself():
    taken = [100]
    memory = Memory(None, available=lambda: 2000, taken=lambda: taken[0])
    memory.begin()
    memory.workers = 2
    assert (memory.bound, memory.used) == (700, 0)
    taken[0] = 150
    memory.begin()
    assert (memory.bound, memory.used) == (700, 50)


def test_what_is_asked_for_is_divided_among_the_workers():
    memory = Memory(300, taken=lambda: 0)
    memory.workers = 3
    assert memory.bound == 100 * MEGABYTE


def test_what_nothing_refers_to_any_more_is_given_back():
    memory = Memory(None)
    memory.begin()
    pieces = [b"x" * 50_000 for _ in range(1_000)]
    assert memory.used > 40_000_000
    del pieces
    memory.give_back()
    assert memory.used < 10_000_000


def test_anonymous_memory_is_in_bytes_and_0_where_nothing_tells_it(tmp_path):
    status = tmp_path / "status"
    assert anonymous_memory(status) == 0
    status.write_text("Name:\tx\nVmRSS:\t   300 kB\n")
    assert anonymous_memory(status) == 300 * 1024
    status.write_text("VmRSS:\t   300 kB\nRssAnon:\t   200 kB\n")
    assert anonymous_memory(status) == 200 * 1024
