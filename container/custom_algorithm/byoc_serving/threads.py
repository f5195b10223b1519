"""How many threads the numeric libraries of this worker may use, from one prediction to the next."""

from collections.abc import Callable
from typing import Any

MANY_ROWS = 1_000  # so that starting threads pays


class LibraryThreads:
    """Gives a large prediction the cores that no other worker uses.

    The libraries were told their usual number by OMP_NUM_THREADS before they loaded (supervision.cores).

    Args:
        usual: that number.
        free: returns how many cores no other worker is using now.
    """

    def __init__(self, usual: int, free: Callable[[], int]) -> None:
        self._usual = usual
        self._free = free
        self._pools: Any = None
        self._now = usual

    def find(self) -> None:
        """Look for the libraries that this process has loaded: those of OpenMP and BLAS."""
        from threadpoolctl import ThreadpoolController

        self._pools = ThreadpoolController()

    def fit(self, rows: int) -> None:
        """Set the number of threads for a prediction of so many rows."""
        wanted = max(self._usual, self._free()) if rows >= MANY_ROWS else self._usual
        if wanted == self._now or self._pools is None:
            return
        for pool in self._pools.lib_controllers:
            pool.set_num_threads(wanted)
        self._now = wanted
