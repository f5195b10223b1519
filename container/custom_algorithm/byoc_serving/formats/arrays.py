"""Cells as one array or DataFrame, and whether it is what the model takes."""

import functools
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError

MOST_DIMENSIONS = 32

# pandas takes some 50 microseconds for each column of text, in whatever way it is given them.
_MOST_TEXT_COLUMNS = 5_000


def floats(numbers: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers, booleans and None (NaN), nested or not, as float64.

    Raises:
        BadRequestError: one of them is an integer beyond float64.
    """
    try:
        return np.asarray(numbers, dtype=np.float64)
    except OverflowError:
        raise BadRequestError(
            "A number is too large for a 64-bit float. Send numbers below 1.8e308."
        ) from None


class NamedArray(np.ndarray[Any, Any]):
    """An array whose columns had names in the body, where there is no pandas to make a DataFrame of it.

    Attributes:
        columns: the names; None of what is made of such an array.
    """

    columns: Sequence[Any] | None = None


def without_names(data: Any) -> Any:  # noqa: ANN401 - as assemble
    """Return an array without its names, and any other data as they are."""
    return np.asarray(data) if isinstance(data, NamedArray) else data


def assemble(
    cells: NDArray[Any],
    texts: Sequence[int] = (),
    names: Sequence[Any] | None = None,
    index: Sequence[Any] | None = None,
) -> Any:  # noqa: ANN401 - a DataFrame, where pandas is installed, has no type here
    """Return a table of cells, of which there is at least one, as one piece of data.

    Args:
        cells: [rows, columns], float64 or object.
        texts: the columns (from 0) that keep their cells; the others become float64.
        names: of the columns.
        index: names of the rows.

    Returns:
        A DataFrame where there are names and pandas can be imported; else float64 [rows, columns] where
        no column keeps its cells; else an object array of that shape. A NamedArray where there are names.

    Raises:
        BadRequestError: a number is beyond float64, or a DataFrame would have too many columns of text, or
            text that is not Unicode.
    """
    has_text = np.zeros(cells.shape[1], dtype=bool)
    has_text[list(texts)] = True
    numbers = floats(cells[:, ~has_text] if texts else cells)
    if names is not None and (pandas := _pandas()):
        try:
            frame = _frame(pandas, cells, numbers, has_text, index)
            frame.columns = list(names)
        except UnicodeEncodeError:  # pandas keeps text as UTF-8 where pyarrow is installed
            raise BadRequestError(
                "A text has half of a surrogate pair, which is no character. Send both halves, or none."
            ) from None
        return frame
    if texts:
        cells[:, ~has_text] = numbers
    table = cells if texts else numbers
    if names is None:
        return table
    named = table.view(NamedArray)
    named.columns = list(names)
    return named


def check_width(width: int, n_features: int | None) -> None:
    """Hold the length of a table's rows, or of an array's last axis, against the manifest's n_features.

    Raises:
        BadRequestError: it is another number.
    """
    if n_features is not None and width != n_features:
        raise BadRequestError(
            f"The number of columns is {width}. The model takes {n_features}.",
            row=1,
            columns=width,
            expected=n_features,
        )


def refuse_missing(data: Any) -> None:  # noqa: ANN401 - as assemble
    """Refuse an array of any number of dimensions, or a DataFrame, in which a value is missing.

    Raises:
        BadRequestError: one is; it names the first.
    """
    if not hasattr(data, "shape"):
        return
    missing = np.asarray(data != data)  # noqa: PLR0124 - only NaN differs from itself, among objects too
    if not missing.any():
        return
    place = [int(at) + 1 for at in np.unravel_index(missing.argmax(), missing.shape)]
    where, details = f"The value at {place}", dict[str, object](position=place)
    if len(place) == 2:
        where, details = "Row {}, column {}".format(*place), {"row": place[0], "column": place[1]}
    raise BadRequestError(
        f"{where} (counted from 1) is missing or NaN. The model takes no missing values.", **details
    )


def _frame(
    pandas: ModuleType,
    cells: NDArray[Any],
    numbers: NDArray[np.float64],
    has_text: NDArray[np.bool_],
    index: Sequence[Any] | None,
) -> Any:  # noqa: ANN401 - as assemble
    """Return a DataFrame whose columns are numbered; all numbers are given to pandas at once."""
    frame = pandas.DataFrame(numbers, index=index, columns=np.flatnonzero(~has_text))
    places = np.flatnonzero(has_text).tolist()
    if not places:
        return frame
    if len(places) > _MOST_TEXT_COLUMNS:
        raise BadRequestError(
            f"The table has {len(places)} columns of text under names. Send at most {_MOST_TEXT_COLUMNS}, "
            "or send rows without names.",
            columns=len(places),
        )
    texts = pandas.DataFrame({place: list(cells[:, place]) for place in places}, index=index)
    return pandas.concat([frame, texts], axis=1)[list(range(len(has_text)))]


@functools.cache
def _pandas() -> ModuleType | None:
    """Import pandas when a table with names first needs it: that takes longer than most invocations."""
    try:
        import pandas
    except ImportError:
        return None
    return pandas
