"""How much memory the models of this process may take, and how much they take."""

import ctypes
import gc
from collections.abc import Callable

from byoc_serving.settings import MEGABYTE
from byoc_serving.supervision.memory import anonymous_memory, available_memory

# What is left for requests, nginx, the supervisor and the kernel, where no setting says more.
_SHARE_OF_MODELS = 0.8


class Memory:
    """The memory of one process, beyond what it had when it was begun.

    Args:
        models_mb: for the models of all workers together; by default what is left of the container's.
        available: returns the bytes that the container may use.
        taken: returns the bytes that this process uses.

    Attributes:
        workers: how many processes share the container's memory.
    """

    def __init__(
        self,
        models_mb: int | None,
        available: Callable[[], int] = available_memory,
        taken: Callable[[], int] = anonymous_memory,
    ) -> None:
        self.workers = 1
        self._models_mb = models_mb
        self._available = available
        self._taken = taken
        self._before: int | None = None

    def begin(self) -> None:
        """Count from now on; what was taken before is the program's. Only the first call counts."""
        if self._before is None:
            self.give_back()
            self._before = self._taken()

    @property
    def bound(self) -> int:
        """The bytes that the models of this process may take."""
        if self._models_mb is not None:
            return self._models_mb * MEGABYTE // self.workers
        return max(0, int(self._available() * _SHARE_OF_MODELS) // self.workers - (self._before or 0))

    @property
    def used(self) -> int:
        """The bytes that this process has taken since it was begun."""
        return max(0, self._taken() - (self._before or 0))

    def give_back(self) -> None:
        """Return to the system what nothing refers to any more."""
        gc.collect()
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc, which keeps freed memory otherwise
        if trim:
            trim(0)
