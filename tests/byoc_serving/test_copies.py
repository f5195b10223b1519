"""Models in memory: each is loaded once, the least recently used leave, and one that does not fit is 507."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from byoc_serving.copies import Copies, Wanted
from byoc_serving.errors import AlgorithmError, InsufficientMemoryError
from byoc_serving.memory import Memory
from byoc_serving.settings import MEGABYTE
from processes import eventually


class Room:
    """A process whose memory is what its models say."""

    def __init__(self, bound_mb):
        self.loaded = []
        self.sizes = {}
        self.copies = Copies(Memory(bound_mb, taken=self.taken))

    def taken(self):
        return 100 + sum(self.sizes.get(id(copy.value), 0) for copy in self.copies._copies.values())

    def wanted(self, name, mb=1, told_mb=0, group=None, stamp=None):
        def load():
            self.loaded.append(name)
            value = [name]
            self.sizes[id(value)] = mb * MEGABYTE
            self.kept = [*getattr(self, "kept", []), value]  # so that no id comes twice
            self.copies._copies[name].value = value
            return value

        return Wanted(name, name, load, lambda: told_mb * MEGABYTE, stamp, group or name)

    def use(self, name, **said):
        with self.copies.held(self.wanted(name, **said)):
            pass

    @property
    def here(self):
        return self.copies.labels


def test_the_least_recently_used_leave_when_memory_runs_short():
    room = Room(bound_mb=4)
    for name in ("a", "b", "c", "a"):
        room.use(name)
    room.use("d", mb=2)
    assert room.here == ["a", "c", "d"]
    assert room.loaded == ["a", "b", "c", "d"]


def test_one_that_left_comes_back_when_it_is_used_and_its_size_is_known_by_then():
    room = Room(bound_mb=2)
    room.use("a", mb=2)
    room.use("b", mb=2)
    room.use("a", mb=2)
    assert room.here == ["a"]
    assert room.loaded == ["a", "b", "a"]


def test_what_is_used_stays_and_what_does_not_fit_beside_it_is_refused():
    room = Room(bound_mb=3)
    with room.copies.held(room.wanted("a", mb=2)):
        with pytest.raises(InsufficientMemoryError, match="of 3 MB"):
            room.use("b", mb=2)
        assert room.here == ["a"]
    room.use("b", mb=2)
    assert room.here == ["b"]


def test_one_whose_files_are_larger_than_all_the_memory_is_refused_unread_and_the_others_stay():
    room = Room(bound_mb=3)
    room.use("a")
    with pytest.raises(InsufficientMemoryError, match="about 4 MB"):
        room.use("b", told_mb=4)
    assert (room.loaded, room.here) == (["a"], ["a"])


def test_a_memory_error_while_loading_is_a_want_of_memory():
    def load():
        raise AlgorithmError("model_fn failed") from MemoryError()

    with pytest.raises(InsufficientMemoryError, match="load the model big"):
        Room(1).copies.take(Wanted("big", "big", load, lambda: 0))


def test_those_who_want_one_at_once_share_its_load():
    room = Room(bound_mb=4)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: room.use("a"), range(50)))
    assert room.loaded == ["a"]


def test_a_load_that_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next():
    copies, begun, go = Copies(Memory(1, taken=lambda: 0)), threading.Event(), threading.Event()
    tries = []

    def load():
        tries.append(1)
        begun.set()
        assert go.wait(10)
        raise AlgorithmError("upside down")

    def take():
        with pytest.raises(AlgorithmError, match="upside down"):
            copies.take(Wanted("a", "a", load, lambda: 0))

    with ThreadPoolExecutor(3) as threads:
        taken = [threads.submit(take) for _ in range(3)]
        assert begun.wait(10)
        assert eventually(lambda: copies._copies["a"].holds == 3)
        go.set()
        for each in taken:
            each.result()
    assert len(tries) == 1
    take()
    assert len(tries) == 2


def test_another_stamp_is_another_model():
    room = Room(bound_mb=4)
    room.use("a", stamp=1)
    assert room.copies.take_if_here("a", 2) is None
    room.use("a", stamp=2)
    assert room.loaded == ["a", "a"]


def test_a_drop_takes_the_whole_group_and_waits_until_nobody_uses_it():
    room = Room(bound_mb=4)
    room.use("child", group="family")
    room.use("other")
    parent = room.copies.take(room.wanted("parent", group="family"))
    assert not room.copies.drop(lambda wanted: wanted.key == "parent", patience_s=0.01)
    assert room.here == ["other"]
    room.copies.release(parent)
    assert room.copies.drop(lambda _: False, patience_s=0)


def test_one_that_uses_others_leaves_after_them():
    room = Room(bound_mb=4)
    with room.copies.held(room.wanted("parent", group="family")):
        room.use("child", group="family")
    room.use("other")
    room.use("big", mb=2)
    assert room.here == ["parent", "other", "big"]


def test_a_part_is_loaded_beside_another_model_and_neither_is_measured():
    room, begun, go = Room(bound_mb=4), threading.Event(), threading.Event()
    slow = room.wanted("slow", mb=1)

    def load():
        begun.set()
        assert go.wait(10)
        return slow.load()

    with ThreadPoolExecutor(2) as threads:
        taken = threads.submit(room.copies.take, replace(slow, load=load))
        assert begun.wait(10)
        part = threads.submit(room.copies.take, replace(room.wanted("part"), is_part=True))
        try:
            assert part.result(10).value == ["part"]
        finally:
            go.set()
        taken.result(10)
    assert room.copies._sizes == {}


def test_what_is_dropped_is_forgotten_though_it_had_left_or_came_meanwhile():
    room = Room(bound_mb=3)
    room.use("gone", mb=3, group="family")
    room.use("parent", group="family")
    parent = room.copies.take(room.wanted("parent", group="family"))
    with ThreadPoolExecutor(1) as threads:
        dropped = threads.submit(room.copies.drop, lambda wanted: wanted.key == "gone", 10)
        assert eventually(lambda: room.here == [])
        room.use("child", group="family")
        room.copies.release(parent)
        assert dropped.result(10)
    assert (room.here, room.copies._sizes) == ([], {})
