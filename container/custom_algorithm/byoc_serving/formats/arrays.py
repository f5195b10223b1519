"""Columns of cells as one array or DataFrame, and whether it is what the model takes."""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError

Column = Sequence[Any] | NDArray[np.float64]


def floats(numbers: Sequence[Any]) -> NDArray[np.float64]:
    """Return numbers, booleans and None (NaN), nested or not, as doubles.

    Raises:
        BadRequestError: one of them is an integer beyond the doubles.
    """
    try:
        return np.array(numbers, dtype=np.float64)
    except OverflowError:
        raise BadRequestError(
            "A number is too large for a 64-bit float. Send numbers below 1.8e308."
        ) from None


def assemble(
    columns: Sequence[Column], names: Sequence[Any] | None = None, index: Sequence[Any] | None = None
) -> Any:  # noqa: ANN401 - a DataFrame, where pandas is installed, has no type here
    """Return columns of equal length, doubles where they are arrays, as one piece of data.

    Returns:
        A DataFrame where there are names and pandas can be imported; else float64 [rows, columns] where
        all columns are numbers; else an object array of that shape.
    """
    if names is not None and (pandas := _pandas()):
        frame = pandas.DataFrame(dict(enumerate(columns)), index=index)
        frame.columns = list(names)
        return frame
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.column_stack(columns)
    data = np.empty((len(columns[0]), len(columns)), dtype=object)
    for place, column in enumerate(columns):
        data[:, place] = column
    return data


def check_table(data: Any, n_features: int | None, *, allow_nan: bool) -> None:  # noqa: ANN401 - as assemble
    """Hold a decoded table against what the model version's manifest promises; other data pass.

    Raises:
        BadRequestError: it has another number of columns, or a missing value that is not allowed.
    """
    if len(getattr(data, "shape", ())) != 2:
        return
    width = data.shape[1]
    if n_features is not None and width != n_features:
        raise BadRequestError(
            f"Each row has {width} columns. The model takes {n_features}.",
            row=1,
            columns=width,
            expected=n_features,
        )
    if not allow_nan:
        _refuse_missing(data)


def _refuse_missing(data: Any) -> None:  # noqa: ANN401 - as assemble
    missing = np.asarray(data != data)  # noqa: PLR0124 - only NaN differs from itself, among objects too
    if missing.any():
        row, column = (int(place) + 1 for place in np.argwhere(missing)[0])
        raise BadRequestError(
            f"Row {row}, column {column} (counted from 1) is missing or NaN. "
            "The model takes no missing values.",
            row=row,
            column=column,
        )


@functools.cache
def _pandas() -> ModuleType | None:
    """Import pandas when a table with names first needs it: that takes longer than most invocations."""
    try:
        import pandas
    except ImportError:
        return None
    return pandas
