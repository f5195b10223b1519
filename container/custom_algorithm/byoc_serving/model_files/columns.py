"""A request's table as a model takes it: with the columns that it was trained with, in their order."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import assemble, check_width
from byoc_serving.formats.plain import is_frame

_MOST_NAMED = 5
# What LightGBM, and pandas, call columns without a name.
_AUTOMATIC = ("Column_{}", "{}")


@dataclass(frozen=True)
class Columns:
    """The columns of a model.

    Attributes:
        width: how many, None where the model does not say.
        names: theirs, None where the order alone counts.
    """

    width: int | None = None
    names: Sequence[str] | None = None

    def ordered(self, data: Any) -> Any:  # noqa: ANN401 - as arrays.assemble
        """Return a table with its columns in the model's order, under the model's names where it has names.

        Args:
            data: an array [rows, columns], taken as it is, or a DataFrame, whose names must be the model's.

        Raises:
            BadRequestError: it is no table, or its columns are not those of the model.
        """
        if is_frame(data):
            check_width(len(data.columns), self.width)
            return data if self.names is None else _by_name(data, self.names)
        if not isinstance(data, np.ndarray) or data.ndim != 2:
            raise BadRequestError(
                "The model takes a table of rows and columns. Send one, such as [[1, 2], [3, 4]]."
            )
        check_width(data.shape[1], self.width)
        return data

    def numbers(self, data: Any) -> NDArray[Any]:  # noqa: ANN401
        """Return a table as float64, or float32 where it is, [rows, columns], in the model's order.

        Raises:
            BadRequestError: as `ordered`, or a cell is no number.
        """
        table = self.ordered(data)
        cells = table.to_numpy() if is_frame(table) else table
        return cells if cells.dtype in (np.float64, np.float32) else floats_in(cells)

    def frame(self, data: Any) -> Any:  # noqa: ANN401
        """Return a table under the model's names, where pandas can be imported; else as `ordered`.

        Raises:
            BadRequestError: as `ordered`.
        """
        table = self.ordered(data)
        if self.names is None or is_frame(table):
            return table
        if table.dtype.kind in "fiub":
            return assemble(table, (), self.names)
        cells = table.astype(object)  # a copy: assemble puts its numbers into what it is given
        texts = [place for place, column in enumerate(cells.T) if str in set(map(type, column))]
        return assemble(cells, texts, self.names)


def columns_named(names: Sequence[str] | None, width: int | None) -> Columns:
    """Return the columns of a model from what its library says, which may be names that mean nothing."""
    means_nothing = names is None or any(
        list(names) == [form.format(place) for place in range(len(names))] for form in _AUTOMATIC
    )
    return Columns(width, None if means_nothing else list(names or ()))


def floats_in(cells: NDArray[Any]) -> NDArray[np.float64]:
    """Return cells as numbers (BadRequestError: one is none; its place is named)."""
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError):
        row, column = next(place for place, cell in np.ndenumerate(cells) if not _is_number(cell))
    raise BadRequestError(
        f"Row {row + 1}, column {column + 1} (counted from 1) is {cells[row, column]!r:.80}. The model takes "
        "numbers.",
        row=row + 1,
        column=column + 1,
    )


def _by_name(frame: Any, names: Sequence[str]) -> Any:  # noqa: ANN401 - a DataFrame
    if list(frame.columns) == names:
        return frame
    places = {_spelled(name): place for place, name in enumerate(frame.columns)}
    if len(places) != len(frame.columns):
        raise BadRequestError("The name of a column repeats. Send each column once.")
    if missing := [name for name in names if _spelled(name) not in places]:
        others = sorted(set(places) - set(map(_spelled, names)))
        raise BadRequestError(
            f"The model's columns {_some(missing)} are missing{f': {_some(others)} came' if others else ''}. "
            "Send each under the name that it was trained with, or send rows without names."
        )
    return frame.iloc[:, [places[_spelled(name)] for name in names]].set_axis(names, axis=1)


def _spelled(name: object) -> str:
    """Return a name as LightGBM keeps it: it makes an underscore of each space."""
    return re.sub(r"\s", "_", str(name))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(f"{name!r:.80}" for name in names[:_MOST_NAMED]) + more


def _is_number(cell: Any) -> bool:  # noqa: ANN401
    try:
        float(cell)
    except (TypeError, ValueError):
        return False
    return True
