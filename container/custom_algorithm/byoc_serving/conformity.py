"""Whether decoded data are what the schema of the model version tells of."""

import logging
import math
import sys
from collections.abc import Callable, Container, Sequence
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError, ModelVersionError
from byoc_serving.formats.arrays import check_width
from byoc_serving.settings import Settings
from byoc_serving.versions.schema import INTEGER, SCHEMA_NAME, STRING, Column, read_schema

log = logging.getLogger("schema")

Check = Callable[[Any, str], Any]

_MOST_SHOWN = 10
_LONGEST_SHOWN = 80
_LARGEST = sys.float_info.max
_LARGEST_PLAIN = 2**63


def schema_check(settings: Settings, model_dir: Path) -> Check | None:
    """Return what is to be done with decoded data and the id of their request, as MODEL_SERVER_SCHEMA says.

    It returns the data that predict_fn is to get.

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
        endless = [_LARGEST if column.type == INTEGER else math.inf for column in columns]
        bounds = list(zip(columns, endless, strict=True))
        self._low = np.array([_bound(column.minimum, -end) for column, end in bounds], dtype=float)
        self._high = np.array([_bound(column.maximum, end) for column, end in bounds], dtype=float)
        self._rounded: dict[np.dtype[Any], tuple[NDArray[Any], NDArray[Any]]] = {}
        self._nullable = np.array([column.nullable for column in columns])
        whole = [place for place, column in enumerate(columns) if column.type == INTEGER]
        self._whole = np.array(whole) if whole else None
        self._is_numeric = all(column.type != STRING for column in columns)
        self._known = [
            None if column.enum is None else set(map(_category, column.enum)) for column in columns
        ]

    @cached_property
    def _alone(self) -> list["Conformity"]:
        """Each column by itself, for tables that have text too."""
        return [Conformity([column]) for column in self._columns]

    def warn(self, data: Any, request_id: str) -> Any:  # noqa: ANN401 - as enforce
        """Log what `enforce` would raise; return what it would return, or the columns as they were sent."""
        try:
            data = self._in_order(data)
            self._check(data)
        except BadRequestError as error:
            log.warning(str(error), extra={"request_id": request_id})
        except Exception:  # whoever asks for warnings only shall lose no request to a fault of ours
            log.exception("the data cannot be held against the schema", extra={"request_id": request_id})
        return data

    def enforce(self, data: Any, _request_id: str = "") -> Any:  # noqa: ANN401 - whatever a body stands for
        """Refuse what is no array [rows, columns] or DataFrame, or has a value outside the schema.

        Returns:
            The data; columns with names are in the schema's order.

        Raises:
            BadRequestError: it is, or has; the error names the value's row and column, from 1.
        """
        data = self._in_order(data)
        self._check(data)
        return data

    def _in_order(self, data: Any) -> Any:  # noqa: ANN401 - as enforce
        if getattr(data, "ndim", 0) != 2:
            raise BadRequestError("The body is no table. Send rows of values, each with all columns.")
        names = getattr(data, "columns", None)
        if names is None or self._names[0] is None:
            return data
        given = [str(name) for name in names]
        if given == self._names:
            return data
        self._refuse_names(given)
        order = [given.index(str(name)) for name in self._names]
        return data.iloc[:, order] if hasattr(data, "iloc") else data[:, order]

    def _check(self, table: Any) -> None:  # noqa: ANN401 - an array or a DataFrame, in the schema's order
        check_width(table.shape[1], len(self._columns))
        data = _array(table)
        if self._is_numeric and data.dtype.kind in "biuf":
            if place := self._outside(data):
                self._refuse(*place, data[place])
            return
        self._check_cells(data)

    def _refuse_names(self, given: Sequence[str]) -> None:
        missing = [name for name in self._names if name not in given]
        unknown = [name for name in given if name not in self._names]
        if missing or unknown or len(given) != len(self._names) or len(set(given)) != len(given):
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
            if data.dtype not in self._rounded:
                self._rounded[data.dtype] = _rounded(low, data.dtype), _rounded(high, data.dtype)
            low, high = self._rounded[data.dtype]
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
            row = self._bad_text(cells, place) if column.type == STRING else self._bad_number(cells, place)
            if row is not None and (first is None or row < first[0]):
                first = row, place
        if first is not None:
            self._refuse(*first, data[first])

    def _bad_number(self, cells: NDArray[Any], place: int) -> int | None:
        if cells.dtype.kind not in "biuf":
            if (row := _first_no_number(cells.tolist())) is not None:
                return row
            cells = cells.astype(np.float64)
        found = self._alone[place]._outside(cells[:, np.newaxis])
        return found[0] if found else None

    def _bad_text(self, cells: NDArray[Any], place: int) -> int | None:
        texts, known, nullable = cells.tolist(), self._known[place], self._columns[place].nullable
        if all(
            _is_known(text, known, nullable) for _, text in set(zip(map(type, texts), texts, strict=True))
        ):
            return None
        return next(row for row, text in enumerate(texts) if not _is_known(text, known, nullable))

    def _refuse(self, row: int, place: int, value: Any) -> None:  # noqa: ANN401 - a cell
        column = self._columns[place]
        shown = float(value) if isinstance(value, np.floating) else getattr(value, "item", lambda: value)()
        details: dict[str, object] = {"row": row + 1, "column": place + 1}
        if column.name is not None:
            details["name"] = column.name
        if _is_missing(shown):
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
        return "Send text" if column.enum is None else f"The model knows {_some(column.enum)}"
    number = _number(value)
    if number is None or isinstance(value, str):
        how = (
            " as one, not as text"
            if number is not None
            else " below 1.8e308"
            if isinstance(value, int)
            else ""
        )
        return f"Send a number{how}"
    if column.type == INTEGER and not number.is_integer():
        return "Send a whole number"
    low, high = _bound(column.minimum, -math.inf), _bound(column.maximum, math.inf)
    return f"The model was trained with {low:g} to {high:g}"


def _array(table: Any) -> NDArray[Any]:  # noqa: ANN401 - an array or a DataFrame
    """Return a table's cells: as numbers where all are."""
    if not hasattr(table, "iloc"):
        return np.asarray(table)
    numeric = all(getattr(kind, "kind", "O") in "biuf" for kind in table.dtypes)
    cells: NDArray[Any] = table.to_numpy() if numeric else table.to_numpy(dtype=object)
    return cells


def _rounded(bounds: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return bounds rounded as the data were: they are still ones; what is finite stays so."""
    largest = float(np.finfo(dtype).max)
    return np.where(np.isinf(bounds), bounds, bounds.clip(-largest, largest)).astype(dtype)


def _first_no_number(cells: Sequence[object]) -> int | None:
    """Return the row of the first cell that is none, from 0.

    A CSV column in which one cell is text has its numbers as text too: text that is a number is named only
    where there is nothing worse.
    """
    if set(map(type, cells)) <= {float, bool, NoneType}:
        return None
    wrong = [row for row, cell in enumerate(cells) if isinstance(cell, str) or not _is_number(cell)]
    worst = (row for row in wrong if not _is_number(cells[row]))
    return next(worst, wrong[0] if wrong else None)


def _is_number(cell: object) -> bool:
    """Whether a cell is a number or missing, or is text that CSV would take for either among numbers."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or _number(cell) is not None


def _number(cell: object) -> float | None:
    """Return a number, or text that is one, as a float; None where it is neither or beyond float64."""
    if not isinstance(cell, str | int | float) or (isinstance(cell, str) and "_" in cell):
        return None  # 1_000 is a number in Python's eyes only
    try:
        return float(cell)
    except (ValueError, OverflowError):
        return None


def _category(cell: object) -> object:
    """Return that by which categories are compared: CSV makes numbers of texts that are some."""
    number = _number(cell)
    if isinstance(cell, bool):
        return str(cell)  # as the schema has those that stood among texts
    return cell if number is None or math.isnan(number) else number


def _is_known(cell: object, known: Container[object] | None, nullable: bool) -> bool:
    if _is_missing(cell):
        return nullable
    return isinstance(cell, str | int | float) and (known is None or _category(cell) in known)


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))


def _is_plain(value: object) -> bool:
    """Whether a value can stand in JSON as the number that it is."""
    return (isinstance(value, int) and abs(value) < _LARGEST_PLAIN) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _bound(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


def _some(names: Sequence[object]) -> str:
    shown = ", ".join(repr(name)[:_LONGEST_SHOWN] for name in names[:_MOST_SHOWN])
    return f"{shown} and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else shown
