"""Requests that wait for one model: which of them are predicted together, and whether they may be."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.calls import Call

FEWEST_SAMPLES = 8  # fewer different rows could agree by chance

# Two compositions of the same rows may add their numbers up in another order.
RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-5, 1e-8
_COMPOSITIONS = 6


@dataclass(slots=True)
class Joined:
    """Calls whose rows are predicted at once.

    Attributes:
        data: their rows, [sum of lengths, columns]; None where there is only one call.
        lengths: how many rows each of them has.
    """

    calls: Sequence[Call]
    data: NDArray[Any] | None = None
    lengths: Sequence[int] = ()

    def parts(self, prediction: Any) -> list[Any]:  # noqa: ANN401 - predictions have every type
        """Return what of a prediction belongs to each call.

        Raises:
            ValueError: the prediction has no part for each row.
        """
        rows = sum(self.lengths)
        if not _has_rows(prediction, rows):
            raise ValueError(f"The prediction of {rows} rows is no array or list of as many.")
        ends = list(accumulate(self.lengths))
        return [prediction[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]

    def halves(self) -> list["Joined"]:
        """Return the first half of the calls, and the others, each half to be predicted at once."""
        middle = len(self.calls) // 2
        rows = sum(self.lengths[:middle])
        data = (None, None) if self.data is None else (self.data[:rows], self.data[rows:])
        return [
            Joined(self.calls[:middle], data[0], self.lengths[:middle]),
            Joined(self.calls[middle:], data[1], self.lengths[middle:]),
        ]


def joined(calls: Sequence[Call], most_rows: int) -> list[Joined]:
    """Return the calls that have no response yet, those together whose rows fit into one array.

    Args:
        calls: with their data decoded.
        most_rows: of one array; 0 where no two may be joined. A call with more is predicted alone, and last.
    """
    waiting = [call for call in calls if call.response is None]
    if len(waiting) < 2 or not most_rows:
        return [Joined([call]) for call in waiting]
    groups: dict[object, list[Call]] = {}
    alone = []
    for call in waiting:
        data = call.data
        if _is_table(data) and len(data) <= most_rows:
            groups.setdefault((data.shape[1], data.dtype), []).append(call)
        else:
            alone.append(call)
    found = [one for group in groups.values() for one in _filled(group, most_rows)]
    return found + [Joined([call]) for call in alone]


def rows_are_independent(predict: Callable[[NDArray[Any]], Any], rows: NDArray[Any], seed: int = 0) -> bool:
    """Whether a row is predicted alike alone and in any company, as far as samples can tell.

    Each row is predicted by itself, then in several random orders and sizes, with the tolerances above.

    Args:
        predict: returns as many predictions as it gets rows.
        rows: at least FEWEST_SAMPLES different ones, [n, columns].
        seed: of the orders.
    """
    alone = [_first(predict(rows[at : at + 1])) for at in range(len(rows))]
    orders = random.Random(seed)  # noqa: S311 - no secret
    for _ in range(_COMPOSITIONS):
        order = [orders.randrange(len(rows)) for _ in range(orders.randint(2, 2 * len(rows)))]
        together = predict(rows[order])
        if not _has_rows(together, len(order)):
            return False
        if not all(_alike(alone[at], together[place]) for place, at in enumerate(order)):
            return False
    return True


def _filled(group: Sequence[Call], most_rows: int) -> Iterator[Joined]:
    taken: list[Call] = []
    lengths: list[int] = []
    rows = 0
    for call in group:
        length = len(call.data)
        if taken and rows + length > most_rows:
            yield _joined(taken, lengths)
            taken, lengths, rows = [], [], 0
        taken.append(call)
        lengths.append(length)
        rows += length
    yield _joined(taken, lengths)


def _joined(calls: Sequence[Call], lengths: Sequence[int]) -> Joined:
    data = np.concatenate([call.data for call in calls]) if len(calls) > 1 else None
    return Joined(calls, data, lengths)


def _is_table(data: object) -> bool:
    return type(data) is np.ndarray and data.ndim == 2 and data.dtype.kind in "fiub"


def _has_rows(prediction: Any, rows: int) -> bool:  # noqa: ANN401
    is_array = isinstance(prediction, np.ndarray) and prediction.ndim > 0
    return (is_array or type(prediction) is list) and len(prediction) == rows


def _first(prediction: Any) -> Any:  # noqa: ANN401
    return prediction[0] if _has_rows(prediction, 1) else _NO_ROW


_NO_ROW = object()


def _alike(one: Any, other: Any) -> bool:  # noqa: ANN401
    """Whether two predictions are the same, but for the last digits of broken numbers: a label has none."""
    try:
        close = np.isclose(one, other, RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE, equal_nan=True)
        whole = np.equal(np.floor(one), one) & np.equal(np.floor(other), other)
    except (TypeError, ValueError):  # not numbers
        return bool(np.array_equal(one, other))
    return np.shape(one) == np.shape(other) and bool(np.all(np.where(whole, np.equal(one, other), close)))
