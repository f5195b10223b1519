"""The numbers that one process counts, in memory that others map: it alone writes them, anybody sums them up.

No lock and no call: a number is eight aligned bytes, which are written at once. What a worker has counted
stays when it dies, and the next worker of its number goes on counting there.
"""

import mmap
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

# Where each number is. Requests have six: of no status, 1xx, 2xx, ... 5xx.
REQUESTS, STATUS_CLASSES = 0, 6
SERVER_ERRORS = REQUESTS + 5
ROWS, BYTES_IN, BYTES_OUT, REFUSED, LOST, RESTARTS, OVERRAN, OUTGREW = range(6, 14)
# A distribution is the sum of what was observed, then how often it was up to each bound, then above all.
_STRIDE = 24
TOTAL, DECODE, WAIT, PREDICT, ENCODE, TOGETHER = range(16, 16 + 6 * _STRIDE, _STRIDE)
_NUMBERS = 16 + 6 * _STRIDE

SECONDS_BOUNDS = (
    *(1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2),
    *(2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
TOGETHER_BOUNDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
# For numbers of which nothing is known: 0.0001 to 100 million.
OWN_BOUNDS = (*(float(f"{digits}e{power}") for power in range(-4, 8) for digits in (1, 2.5, 5)), 1e8)

MOST_OWN = 64
LONGEST_NAME = 64
_MODEL_AT = 8 * _NUMBERS  # the model's name and version
_OWN_AT = _MODEL_AT + 2 * LONGEST_NAME
_OWN_HEAD = struct.Struct(f"{LONGEST_NAME}s4xHH")  # name; kind (0: free); unit
_OWN_NUMBERS = 40
_OWN_SIZE = _OWN_HEAD.size + 8 * _OWN_NUMBERS
SIZE = _OWN_AT + MOST_OWN * _OWN_SIZE


class Kind(IntEnum):
    """What a metric of the user's is."""

    COUNTER = 1
    GAUGE = 2  # its value, and when it was set
    HISTOGRAM = 3


@dataclass(frozen=True)
class Own:
    """A metric of the user's.

    Attributes:
        unit: the number of one of `own.UNITS`.
        numbers: a counter's one; a gauge's value and time; a histogram's sum and counts.
    """

    name: str
    kind: Kind
    unit: int
    numbers: "memoryview[float]"


class Table:
    """The numbers of one process.

    Args:
        memory: of SIZE bytes, all zero where nothing has been counted.

    Attributes:
        numbers: by their places above, as floating-point numbers.
    """

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self._memory = memory
        self.numbers = memoryview(memory)[: 8 * _NUMBERS].cast("d")

    @staticmethod
    def private() -> "Table":
        """Return a table of this process alone."""
        return Table(bytearray(SIZE))

    @staticmethod
    def kept(path: Path) -> "Table":
        """Return the table in a file, which is made where it is not there (OSError: it cannot be)."""
        with path.open("a+b") as file:
            file.truncate(SIZE)
            return Table(mmap.mmap(file.fileno(), SIZE))

    @property
    def model(self) -> tuple[str, str]:
        """Name and version of the model that this process serves; empty where it has none."""
        return tuple(  # type: ignore[return-value]  # two of them
            self._memory[at : at + LONGEST_NAME].rstrip(b"\0").decode(errors="replace")
            for at in (_MODEL_AT, _MODEL_AT + LONGEST_NAME)
        )

    def serve(self, name: str | None, version: str | None) -> None:
        """Note which model this process serves."""
        for at, text in ((_MODEL_AT, name), (_MODEL_AT + LONGEST_NAME, version)):
            self._memory[at : at + LONGEST_NAME] = struct.pack(f"{LONGEST_NAME}s", (text or "").encode())

    def own(self) -> Iterator[Own]:
        """Yield the user's metrics."""
        for place in range(MOST_OWN):
            found = self._own(place)
            if found is None:
                return
            yield found

    def add(self, name: str, kind: Kind, unit: int) -> Own | None:
        """Make room for a metric of the user's, and return it; None where no room is left."""
        place = sum(1 for _ in self.own())
        if place == MOST_OWN:
            return None
        at = _OWN_AT + place * _OWN_SIZE
        _OWN_HEAD.pack_into(self._memory, at, name.encode(), kind, unit)
        return self._own(place)

    def _own(self, place: int) -> Own | None:
        at = _OWN_AT + place * _OWN_SIZE
        name, kind, unit = _OWN_HEAD.unpack_from(self._memory, at)
        if not kind:
            return None
        numbers = memoryview(self._memory)[at + _OWN_HEAD.size : at + _OWN_SIZE].cast("d")
        return Own(name.rstrip(b"\0").decode(errors="replace"), Kind(kind), unit, numbers)


def tables_in(folder: Path) -> list[Table]:
    """Return the tables that are kept in a folder, in the order of their files' names."""
    return [Table.kept(path) for path in sorted(folder.iterdir())]


def summed(tables: Sequence[Table]) -> list[float]:
    """Return the numbers of tables, by their places, each the sum over all."""
    return [sum(column) for column in zip(*(table.numbers for table in tables), strict=True)]
