"""The models that one process holds in memory: each is loaded once, and the least recently used leave."""

import itertools
import logging
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from byoc_serving.errors import InsufficientMemoryError
from byoc_serving.memory import Memory
from byoc_serving.settings import MEGABYTE

log = logging.getLogger("models")

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Wanted(Generic[Loaded]):
    """A model that somebody wants to use.

    Attributes:
        key: of this model and no other.
        label: as its user knows it, for the log.
        load: returns it; called once, by one of those who want it.
        size: returns how many bytes of memory it may need, where it has not been measured yet.
        stamp: another one means that it is another model, though the key is the same.
        group: models of one group are dropped together.
        is_part: it is used and loaded on behalf of another of its group, which is in use then.
    """

    key: Hashable
    label: str
    load: Callable[[], Loaded]
    size: Callable[[], int]
    stamp: object = None
    group: Hashable = None
    is_part: bool = False

    @property
    def place(self) -> tuple[Hashable, str]:
        """Names it also where it comes back under another key."""
        return self.group, self.label


@dataclass(eq=False)
class Copy(Generic[Loaded]):
    """A model in memory, or on its way there.

    Attributes:
        used: grows with the begin and the end of each use: one that uses others leaves after them.
        is_alone: nothing else was loaded meanwhile, so that by what the process grew is its own.
        holds: by how many it is used now; while there is one, it stays.
        value: the model; None only where nobody holds it.
    """

    wanted: Wanted[Loaded]
    used: int = 0
    is_alone: bool = True
    holds: int = 0
    value: Loaded = None  # type: ignore[assignment]  # nobody has it before it is there
    error: BaseException | None = None
    ready: threading.Event = field(default_factory=threading.Event)


class Copies:
    """The models of this process. Any thread may ask; models are loaded one at a time, to measure each.

    A part is loaded beside another model, so that who uses a model in memory does not wait for one that is
    not. Nothing is learnt then of how much memory either takes.

    Args:
        memory: of this process.
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._copies: dict[Hashable, Copy[Any]] = {}
        self._changed = threading.Condition()
        self._loading = threading.Lock()
        self._part_loading = threading.Lock()  # after the other: a parent's warm-up loads its children
        self._under_way: dict[Copy[Any], int] = {}
        self._uses = itertools.count(1)
        self._sizes: dict[Hashable, tuple[Wanted[Any], int]] = {}

    def begin(self, workers: int) -> None:
        """Be those of one of so many processes that share the memory."""
        self.memory.workers = workers

    @property
    def labels(self) -> list[str]:
        """Which models are in memory or on their way there."""
        with self._changed:
            return [copy.wanted.label for copy in self._copies.values()]

    def take(self, wanted: Wanted[Loaded]) -> Copy[Loaded]:
        """Return a model for use, loading it first where it is not there; give it back by `release`.

        Raises:
            InsufficientMemoryError: it does not fit, though everything left that nobody uses.
            Exception: what its `load` raised, for all who wait for it.
        """
        with self._changed:
            copy = self._copies.get(wanted.key)
            is_new = copy is None or copy.wanted.stamp != wanted.stamp
            if copy is None or is_new:
                copy = self._copies[wanted.key] = Copy(wanted)
            self._hold(copy)
        try:
            if is_new:
                self._load(copy)
            _wait_for(copy)
        except BaseException:
            self.release(copy)
            raise
        return copy

    def take_if_here(self, key: Hashable, stamp: object = None) -> Copy[Any] | None:
        """Return a model for use if it is in memory; give it back by `release`."""
        with self._changed:
            copy = self._copies.get(key)
            if copy is None or copy.wanted.stamp != stamp or not copy.ready.is_set():
                return None
            return self._hold(copy)

    def keep(self, copy: Copy[Any]) -> None:
        """Take once more a model that is in use; give it back by `release` once more."""
        with self._changed:
            self._hold(copy)

    def release(self, copy: Copy[Any]) -> None:
        """Give a model back."""
        with self._changed:
            copy.holds -= 1
            copy.used = next(self._uses)
            self._changed.notify_all()

    @contextmanager
    def held(self, wanted: Wanted[Loaded]) -> Iterator[Loaded]:
        """Give a model for use within a block; raises as `take`."""
        copy = self.take(wanted)
        try:
            yield copy.value
        finally:
            self.release(copy)

    def drop(self, is_stale: Callable[[Wanted[Any]], bool], patience_s: float) -> bool:
        """Drop all models of the groups that have a stale one; return whether that ended in time.

        Those in use are waited for, so that their memory is free when this returns.
        """
        with self._changed:
            known = [copy.wanted for copy in self._copies.values()]
            known += [wanted for wanted, _ in self._sizes.values()]  # also of those that have left
            groups = {wanted.group for wanted in known if is_stale(wanted)}
            gone: list[Copy[Any]] = []

            def are_free() -> bool:  # looks again: one in use may load its parts all the while
                here = [copy for copy in self._copies.values() if copy.wanted.group in groups]
                gone.extend(self._copies.pop(copy.wanted.key) for copy in here)
                return not any(copy.holds for copy in gone)

            in_time = self._changed.wait_for(are_free, patience_s)
            self._sizes = {place: size for place, size in self._sizes.items() if size[0].group not in groups}
        if gone:
            for copy in gone:
                copy.value = None
            self.memory.give_back()
        return in_time

    def _hold(self, copy: Copy[Loaded]) -> Copy[Loaded]:
        copy.holds += 1
        copy.used = next(self._uses)
        return copy

    def _load(self, copy: Copy[Any]) -> None:
        wanted = copy.wanted
        try:
            size = self._size_of(wanted)
            needed = size or wanted.size()
            with self._part_loading if wanted.is_part else self._loading, self._noted(copy):
                self.memory.begin()
                self._make_room(needed, wanted.label)
                before = self.memory.used
                copy.value = wanted.load()
                if copy.is_alone:
                    with self._changed:
                        self._sizes[wanted.place] = wanted, max(self.memory.used - before, size)
                self._make_room(0, wanted.label)
        except BaseException as error:  # noqa: BLE001 - it is raised below, for all who wait
            copy.value, copy.error = None, _told(error, wanted.label)
            self._forget(copy)
            raise copy.error from error.__cause__
        finally:
            copy.ready.set()

    @contextmanager
    def _noted(self, copy: Copy[Any]) -> Iterator[None]:
        """Note that a model is being loaded; of two threads that do so at once neither can be measured."""
        thread = threading.get_ident()
        with self._changed:
            for other, its_thread in self._under_way.items():
                if its_thread != thread:
                    other.is_alone = copy.is_alone = False
            self._under_way[copy] = thread
        try:
            yield
        finally:
            with self._changed:
                del self._under_way[copy]

    def _size_of(self, wanted: Wanted[Any]) -> int:
        """Return how many bytes a model took when it was here before, 0 where that is not known."""
        with self._changed:
            _, size = self._sizes.get(wanted.place, (wanted, 0))
        return size

    def _make_room(self, needed: int, label: str) -> None:
        """Let models leave until so many bytes are free (InsufficientMemoryError: too few ever are)."""
        memory = self.memory
        if needed <= memory.bound:
            if memory.used + needed <= memory.bound:
                return
            memory.give_back()
            while memory.used + needed > memory.bound and self._let_one_leave():
                memory.give_back()
        if memory.used + needed > memory.bound:
            raise InsufficientMemoryError(
                f"There is no memory for the model {label}: it takes about {_mb(needed)} MB, and of "
                f"{_mb(memory.bound)} MB for the models of a worker, {_mb(memory.used)} MB are in use. "
                "Take a larger instance or fewer workers, or raise MODEL_SERVER_MODELS_MB."
            )

    def _let_one_leave(self) -> bool:
        with self._changed:
            leaving = least_recently_used(self._copies.values())
            if leaving is None:
                return False
            del self._copies[leaving.wanted.key]
        log.info(f"the model {leaving.wanted.label} leaves memory, the least recently used")
        leaving.value = None
        return True

    def _forget(self, copy: Copy[Any]) -> None:
        with self._changed:
            if self._copies.get(copy.wanted.key) is copy:
                del self._copies[copy.wanted.key]


def least_recently_used(copies: Iterable[Copy[Any]]) -> Copy[Any] | None:
    """Return which of the copies that nobody uses is to leave first, None where each is used."""
    idle = [copy for copy in copies if not copy.holds]
    return min(idle, key=lambda copy: copy.used, default=None)


def size_of(folder: Path) -> int:
    """Return the bytes of the files in a folder: about what a model takes in memory, before it was there."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _wait_for(copy: Copy[Any]) -> None:
    copy.ready.wait()
    if copy.error:
        raise copy.error


def _told(error: BaseException, label: str) -> BaseException:
    """Return an error as it is, or the one that says that memory was short while a model was loaded."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return InsufficientMemoryError(f"Memory did not suffice to load the model {label}.")
        cause = cause.__cause__
    return error


def _mb(size: int) -> int:
    return -(-size // MEGABYTE)
