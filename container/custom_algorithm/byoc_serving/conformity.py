"""Whether decoded data are what the schema of the model version tells of."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError, ModelVersionError
from byoc_serving.formats.arrays import check_width
from byoc_serving.settings import Settings
from byoc_serving.versions.schema import INTEGER, SCHEMA_NAME, STRING, Column, read_schema

log = logging.getLogger("schema")

Check = Callable[[Any, str], None]

_MOST_SHOWN = 10
_LONGEST_SHOWN = 80


def schema_check(settings: Settings, model_dir: Path) -> Check | None:
    """Return what is to be done with decoded data and the id of their request, as MODEL_SERVER_SCHEMA says.

    Raises:
        ModelVersionError: the schema is to be enforced and there is none, or it cannot be read.
    """
    if settings.schema == "off":
        return None
    columns = read_schema(model_dir)
    if columns is None:
        missing = f"{model_dir} has no {SCHEMA_NAME}, which MODEL_SERVER_SCHEMA={settings.schema} asks for."
        if settings.schema == "enforce":
            raise ModelVersionError(f"{missing} Let train of apps/main.py write it, by write_schema.")
        log.warning(missing)
        return None
    conformity = Conformity(columns)
    return conformity.enforce if settings.schema == "enforce" else conformity.warn


class Conformity:
    """Holds data against the columns of a schema."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._names = [column.name for column in columns]
        self._low = np.array([_bound(column.minimum, -math.inf) for column in columns])
        self._high = np.array([_bound(column.maximum, math.inf) for column in columns])
        self._nullable = np.array([column.nullable for column in columns])
        whole = [place for place, column in enumerate(columns) if column.type == INTEGER]
        self._whole = np.array(whole) if whole else None
        self._is_numeric = all(column.type != STRING for column in columns)

    def warn(self, data: Any, request_id: str) -> None:  # noqa: ANN401 - as enforce
        """Log what `enforce` would raise."""
        try:
            self.enforce(data, request_id)
        except BadRequestError as error:
            log.warning(str(error), extra={"request_id": request_id})

    def enforce(self, data: Any, _request_id: str = "") -> None:  # noqa: ANN401 - whatever a body stands for
        """Refuse what is no array [rows, columns] or DataFrame, or has a value outside the schema.

        Raises:
            BadRequestError: it is, or has; the error names the value's row and column, from 1.
        """
        if getattr(data, "ndim", 0) != 2:
            raise BadRequestError("The body is no table. Send rows of values, each with all columns.")
        if hasattr(data, "iloc"):
            data = self._in_order(data)
        check_width(data.shape[1], len(self._columns))
        if self._is_numeric and isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
            if place := self._outside(data):
                self._refuse(*place, data[place])
            return
        self._check_cells(data)

    def _in_order(self, frame: Any) -> Any:  # noqa: ANN401 - a DataFrame
        """Return a DataFrame's columns in the schema's order; as an array where all are numbers."""
        given = [str(name) for name in frame.columns]
        if self._names[0] is not None and given != self._names:
            self._refuse_names(given)
            frame = frame.iloc[:, [given.index(str(name)) for name in self._names]]
        numeric = all(getattr(kind, "kind", "O") in "biuf" for kind in frame.dtypes)
        return frame.to_numpy() if numeric else frame.to_numpy(dtype=object)

    def _refuse_names(self, given: Sequence[str]) -> None:
        missing = [name for name in self._names if name not in given]
        unknown = [name for name in given if name not in self._names]
        if missing or unknown or len(given) != len(self._names):
            said = [f"{_some(missing)} missing"] if missing else []
            said += [f"{_some(unknown)} unknown"] if unknown else []
            raise BadRequestError(
                f"The columns are not those of the model: {' and '.join(said) or 'one is sent twice'}.",
                missing=missing[:_MOST_SHOWN],
                unknown=unknown[:_MOST_SHOWN],
            )

    def _outside(self, data: NDArray[Any]) -> tuple[int, int] | None:
        """Return the place, from 0, of the first number that is outside its column's range."""
        low, high = self._low, self._high
        if data.dtype.kind == "f" and data.dtype.itemsize < low.itemsize:
            # A bound that was rounded as the data were is still one.
            low, high = low.astype(data.dtype), high.astype(data.dtype)
        inside = (data >= low) & (data <= high)
        if self._whole is not None and data.dtype.kind == "f":
            inside[:, self._whole] &= (whole := data[:, self._whole]) == np.rint(whole)
        if inside.all():
            return None
        inside |= np.isnan(data) & self._nullable
        row, column = divmod(int(inside.argmin()), data.shape[1])
        return None if inside[row, column] else (row, column)

    def _check_cells(self, data: NDArray[Any]) -> None:
        """Check a table with text column by column: numbers at once, each different text once."""
        first: tuple[int, int] | None = None
        for place, column in enumerate(self._columns):
            cells = data[:, place]
            row = self._bad_text(cells, column) if column.type == STRING else self._bad_number(cells, place)
            if row is not None and (first is None or row < first[0]):
                first = row, place
        if first is not None:
            self._refuse(*first, data[first])

    def _bad_number(self, cells: NDArray[Any], place: int) -> int | None:
        try:
            numbers = cells.astype(np.float64)
        except (TypeError, ValueError):
            return next(row for row, cell in enumerate(cells.tolist()) if not _is_number(cell))
        alone = Conformity([self._columns[place]])
        found = alone._outside(numbers[:, np.newaxis])
        return found[0] if found else None

    @staticmethod
    def _bad_text(cells: NDArray[Any], column: Column) -> int | None:
        texts = cells.tolist()
        if all(_is_known(text, column) for text in set(texts)):
            return None
        return next(row for row, text in enumerate(texts) if not _is_known(text, column))

    def _refuse(self, row: int, place: int, value: Any) -> None:  # noqa: ANN401 - a cell
        column = self._columns[place]
        shown = value.item() if hasattr(value, "item") else value
        details: dict[str, object] = {"row": row + 1, "column": place + 1}
        if column.name is not None:
            details["name"] = column.name
        if shown != shown or shown is None:  # noqa: PLR0124 - NaN
            said, wanted = "missing or NaN", "The model was trained with a value in each row"
        else:
            said, wanted = f"{shown!r:.{_LONGEST_SHOWN}}", _wanted(column, shown)
            details["value"] = shown if _is_plain(shown) else str(shown)[:_LONGEST_SHOWN]
        details |= {
            key: bound for key in ("minimum", "maximum") if (bound := getattr(column, key)) is not None
        }
        where = f"Row {row + 1}, column {place + 1}" + (f" ({column.name})" if column.name else "")
        raise BadRequestError(f"{where} is {said}. {wanted}.", **details)


def _wanted(column: Column, value: object) -> str:
    if column.type == STRING:
        return f"The model knows {_some(column.enum or ())}"
    if not _is_number(value):
        return "Send a number"
    if column.type == INTEGER and float(value) != round(float(value)):  # type: ignore[arg-type]  # is a number
        return "Send a whole number"
    low, high = _bound(column.minimum, -math.inf), _bound(column.maximum, math.inf)
    return f"The model was trained with {low:g} to {high:g}"


def _is_known(text: object, column: Column) -> bool:
    if text is None or text != text:  # noqa: PLR0124 - NaN
        return column.nullable
    known = column.enum
    # A column of text that looks like numbers is read from CSV as numbers.
    return known is None or (text if isinstance(text, str) else f"{text:.12g}") in known


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) or cell is None


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))


def _bound(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _some(names: Sequence[object]) -> str:
    shown = ", ".join(repr(name)[:_LONGEST_SHOWN] for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown
