"""Columns of categories: a model knows each by number, its place among those that it was trained with."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.model_files.columns import floats_in

Codes = Mapping[object, float]


def codes_of(categories: Sequence[object]) -> Codes:
    """Return the number of each category."""
    return {category: float(place) for place, category in enumerate(categories)}


def coded(table: Any, columns: Mapping[int, Codes], *, refuses_others: bool) -> NDArray[np.float64]:  # noqa: ANN401
    """Return a table [rows, columns] as numbers, with NaN for a missing category.

    Args:
        table: an array or a DataFrame.
        columns: the codes of each column of categories, by its place.
        refuses_others: whether a category that the model was not trained with is an error, or missing too.

    Raises:
        BadRequestError: it is one, or another column has a cell that is no number.
    """
    cells = np.array(table, dtype=object)
    for place, codes in columns.items():
        for row, cell in enumerate(cells[:, place]):
            code = math.nan if _is_missing(cell) else codes.get(cell)
            if code is None and refuses_others:
                raise BadRequestError(
                    f"Row {row + 1}, column {place + 1} (counted from 1) is {cell!r:.80}. The "
                    f"categories that the model knows are {', '.join(map(str, codes)):.200}.",
                    row=row + 1,
                    column=place + 1,
                )
            cells[row, place] = math.nan if code is None else code
    return floats_in(cells)


def _is_missing(cell: Any) -> bool:  # noqa: ANN401
    return cell is None or cell != cell  # noqa: PLR0124 - only NaN differs from itself
