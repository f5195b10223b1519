"""The schema of a model's input: what the training data held, kept in the model version as schema.json."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import ModelVersionError
from byoc_serving.versions.manifest import readable

_FAMILY = "byoc-input-schema/"
FORMAT = f"{_FAMILY}1"
SCHEMA_NAME = "schema.json"
MOST_VALUES = 100  # that a column of text may have to be one of categories

NUMBER, INTEGER, STRING = "number", "integer", "string"
_ABSENT_TYPES = ("NAType", "NaTType")  # pandas' own


@dataclass(frozen=True)
class Column:
    """One column of the input; the words are those of JSON Schema.

    Attributes:
        name: None where the training data had none.
        type: number, integer or string.
        nullable: whether a value was missing.
        minimum: of numbers; None where there is no finite one.
        maximum: likewise.
        enum: what strings there were, sorted; None where they were over MOST_VALUES.
    """

    name: str | None
    type: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    enum: tuple[str, ...] | None = None


def write_schema(model_dir: Path, rows: Any, names: Iterable[str] | None = None, margin: float = 0.0) -> None:  # noqa: ANN401 - a DataFrame has no type here
    """Write schema.json into a model's folder, from the rows that it was trained with.

    It is a file of the model as any other: write it before the manifest. MODEL_SERVER_SCHEMA says what
    `serve` does with it.

    Args:
        model_dir: the folder.
        rows: an array or list [rows, columns], or a DataFrame; without the label.
        names: of the columns; a DataFrame has its own.
        margin: by how much of a column's range a number may lie outside it, at either end.

    Raises:
        ModelVersionError: they are no table, have another number of names, or an integer beyond float64.
    """
    columns = [asdict(column) for column in describe_columns(rows, names, margin)]
    said = [{key: value for key, value in column.items() if value is not None} for column in columns]
    text = json.dumps({"format": FORMAT, "columns": said}, indent=1, allow_nan=False)
    (model_dir / SCHEMA_NAME).write_text(text + "\n", encoding="utf-8")


def describe_columns(rows: Any, names: Iterable[str] | None = None, margin: float = 0.0) -> list[Column]:  # noqa: ANN401
    """Return the columns of training data (arguments and errors as write_schema)."""
    if hasattr(rows, "iloc"):
        names = [str(name) for name in rows.columns] if names is None else list(names)
        values = [rows.iloc[:, place].to_numpy() for place in range(rows.shape[1])]
    else:
        table = rows if isinstance(rows, np.ndarray) else np.array(rows, dtype=object)
        if table.ndim != 2:
            raise ModelVersionError(
                f"The schema's rows have the shape {list(table.shape)}. Give a table, [rows, columns]."
            )
        values = list(table.T)
    named = [None] * len(values) if names is None else [str(name) for name in names]
    if not values or not len(values[0]) or len(named) != len(values):
        raise ModelVersionError(
            f"The schema has {len(values)} columns and {len(named)} names. Give at least one row, and a name "
            "for each column or none."
        )
    return [_column(*told, margin) for told in zip(range(len(values)), named, values, strict=True)]


def read_schema(model_dir: Path) -> tuple[Column, ...] | None:
    """Return the columns that schema.json of a model's folder tells of; None where there is none of ours.

    Raises:
        ModelVersionError: it cannot be read, or is not what its format says.
    """
    path = model_dir / SCHEMA_NAME
    with readable(path):
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
    if _FAMILY.encode() not in content:
        return None
    try:
        return _columns_from(json.loads(content))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise ModelVersionError(
            f"Bad schema: {path}: {type(error).__name__}: {error}. Train again: write_schema writes it."
        ) from None


def names_of(columns: Sequence[Column] | None) -> list[str]:
    """Return the names of columns; none where they have none, or are not known."""
    return [column.name for column in columns or () if column.name is not None]


def _column(place: int, name: str | None, values: NDArray[Any], margin: float) -> Column:
    if values.dtype.kind in "biuf":
        return _of_numbers(name, values, INTEGER if values.dtype.kind != "f" else NUMBER, margin)
    present = [value for value in values.tolist() if not _is_missing(value)]
    nullable = len(present) < len(values)
    if present and all(isinstance(value, int | float) for value in present):
        kind = INTEGER if not nullable and all(isinstance(value, int) for value in present) else NUMBER
        try:
            floats = np.array([*present, math.nan] if nullable else present, dtype=float)
        except OverflowError:
            raise ModelVersionError(
                f"The schema's column {name or place} has an integer beyond the range of float64. Scale it, "
                "or give it as text."
            ) from None
        return _of_numbers(name, floats, kind, margin)
    texts = sorted({str(value) for value in present})
    return Column(name, STRING, nullable, enum=tuple(texts) if 0 < len(texts) <= MOST_VALUES else None)


def _of_numbers(name: str | None, values: NDArray[Any], kind: str, margin: float) -> Column:
    lowest, highest = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
    beyond = (highest - lowest) * margin if margin else 0.0
    low, high = lowest - beyond, highest + beyond
    if kind == INTEGER:
        low, high = math.floor(low), math.ceil(high)
    return Column(name, kind, bool(np.isnan(values).any()), _finite(low), _finite(high))


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _is_missing(value: Any) -> bool:  # noqa: ANN401 - a cell
    return value is None or type(value).__name__ in _ABSENT_TYPES or bool(value != value)  # noqa: PLR0124


def _columns_from(said: Mapping[str, Any]) -> tuple[Column, ...]:
    if said["format"] != FORMAT:
        raise ValueError(f"its format is {said['format']!r}, and {FORMAT!r} is read")
    listed = said["columns"]
    if not (isinstance(listed, list) and listed and all(isinstance(column, dict) for column in listed)):
        raise ValueError("columns is no list of objects, one for each column")
    columns = tuple(map(_column_from, listed))
    if len({column.name is None for column in columns}) > 1:
        raise ValueError("some columns have names and some have none")
    return columns


def _column_from(said: Mapping[str, Any]) -> Column:
    enum = said.get("enum")
    column = Column(**{"name": None, **said, "enum": tuple(enum) if isinstance(enum, list) else enum})
    if column.type not in (NUMBER, INTEGER, STRING):
        raise ValueError(f"{column.type!r} is no type of a column")
    if not isinstance(column.name, str | None) or not isinstance(column.nullable, bool):
        raise TypeError(f"the name of a column is {column.name!r}, and its nullable {column.nullable!r}")
    low, high = _bound(column, column.minimum, -math.inf), _bound(column, column.maximum, math.inf)
    if low > high:
        raise ValueError(f"the minimum of column {column.name!r} is {low}, its maximum {high}")
    if enum is not None and not (
        isinstance(enum, list) and enum and all(isinstance(one, str) for one in enum)
    ):
        raise ValueError(f"the enum of column {column.name!r} is {enum!r:.80}, not a list of strings")
    return column


def _bound(column: Column, bound: object, otherwise: float) -> float:
    if bound is None:
        return otherwise
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not math.isfinite(bound):
        raise ValueError(f"{bound!r:.80} is no bound of column {column.name!r}")
    return float(bound)
