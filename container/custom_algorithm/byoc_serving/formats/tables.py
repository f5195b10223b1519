"""Which parsed values are tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import NoneType
from typing import Any

import numpy as np

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import MOST_DIMENSIONS, assemble, check_width, floats

_NUMBERS = frozenset({int, float, bool, NoneType})
_SCALARS = _NUMBERS | {str}

# Records that leave out more than this would cost far more memory and time than their body suggests.
_MOST_CELLS_PER_VALUE = 10


@dataclass(frozen=True)
class Table:
    """Rows of cells as they were parsed, and the names of columns and rows where they were sent."""

    rows: Sequence[Sequence[Any]]
    names: Sequence[Any] | None = None
    index: Sequence[Any] | None = None


def model_input(value: Any, n_features: int | None) -> Any:  # noqa: ANN401 - a parsed JSON value in, whatever it stands for out
    """Return what predict_fn gets for a parsed value.

    Returns:
        What `arrays.assemble` makes of a table; a float64 array of numbers nested evenly, three lists deep
        or deeper (images); else the value itself.

    Raises:
        BadRequestError: the value is a table that is empty, ragged, almost empty or not n_features wide, or
            has a number beyond float64; or it is a string or a single value where n_features is known.
    """
    if (table := table_in(value)) is not None:
        return _data(table, n_features)
    items = _listed(value)
    if n_features is not None and type(value) in _SCALARS:  # a library may take a string for a file to open
        kind = "a string" if isinstance(value, str) else "a single value"
        raise BadRequestError(
            f"The body is {kind}. The model takes rows of {n_features} columns: send at least one.",
            expected=n_features,
        )
    if items is None or not _are_nested_numbers(items):
        return value
    array = floats(items)
    check_width(array.shape[-1], n_features)
    return array


def table_in(value: Any) -> Table | None:  # noqa: ANN401 - a parsed JSON value
    """Return the table that a parsed value holds, or None.

    The forms are those of TensorFlow Serving and of SageMaker's samples (instances, inputs), pandas'
    to_json (split, records) and MLflow's scoring server (dataframe_split, dataframe_records).
    """
    if (items := _listed(value)) is not None:
        return _table_of_items(items)
    match value:
        case {"dataframe_records": list(records)} if len(value) == 1 and _are_records(records):
            return _table_of_records(records)
        case {"dataframe_split": {"columns": list(), "data": list()} as split} if len(value) == 1:
            return _table_of_split(split)
        case {"columns": list(), "data": list()}:
            return _table_of_split(value)
    return None


def empty_table() -> BadRequestError:
    """Return the error of a table without rows or columns."""
    return BadRequestError("The table is empty. Send at least one row with at least one value.")


def _listed(value: Any) -> list[Any] | None:  # noqa: ANN401 - a parsed JSON value
    """Return a bare list, or the one that is all that `instances` or `inputs` holds."""
    match value:
        case list(items):
            return items
        case {"instances": list(items)} | {"inputs": list(items)} if len(value) == 1:
            return items
    return None


def _table_of_items(items: list[Any]) -> Table | None:
    if not items:
        raise empty_table()
    kinds = set(map(type, items))
    if kinds <= _NUMBERS:
        return Table([items])
    if kinds == {list} and _are_scalars(items):
        return Table(items)
    return _table_of_records(items) if _are_records(items) else None


def _table_of_records(records: Sequence[Mapping[str, object]]) -> Table:
    """Take columns in the order in which their names first appear; what a record leaves out is null."""
    names = list(dict.fromkeys(chain.from_iterable(records)))
    sent = sum(map(len, records))
    if len(records) * len(names) > _MOST_CELLS_PER_VALUE * sent:
        raise BadRequestError(
            f"The {len(records)} records name {len(names)} columns and have {sent} values, less than one for "
            f"every {_MOST_CELLS_PER_VALUE} cells. Name all columns in each record, or send fewer at once.",
            columns=len(names),
            values=sent,
        )
    return Table([[record.get(name) for name in names] for record in records], names)


def _table_of_split(split: Mapping[str, Any]) -> Table | None:
    names, rows, index = split["columns"], split["data"], split.get("index")
    is_plain = (
        split.keys() <= {"columns", "data", "index"}
        and set(map(type, names)) <= {str, int}
        and set(map(type, rows)) <= {list}
        and _are_scalars(rows)
        and (index is None or (isinstance(index, list) and _are_scalars([index])))
    )
    if not is_plain:
        return None
    if rows and len(rows[0]) != len(names):
        raise BadRequestError(f"There are {len(names)} columns, and row 1 has {len(rows[0])} values.", row=1)
    if index is not None and len(index) != len(rows):
        raise BadRequestError(f"The index has {len(index)} entries for {len(rows)} rows. Send as many.")
    return Table(rows, names, index)


def _data(table: Table, n_features: int | None) -> Any:  # noqa: ANN401 - as assemble
    """Numbers, booleans and null are float64; a column with text keeps its cells. Null is NaN in both."""
    rows = table.rows
    if not rows or not rows[0]:
        raise empty_table()
    check_width(len(rows[0]), n_features)
    _refuse_ragged(rows)
    if set(map(type, chain.from_iterable(rows))) <= _NUMBERS:
        return assemble(floats(rows), (), table.names, table.index)
    cells = np.empty((len(rows), len(rows[0])), dtype=object)
    cells[:] = rows
    cells[cells == None] = np.nan  # noqa: E711 - compares each cell
    texts = [place for place, column in enumerate(zip(*rows, strict=True)) if str in map(type, column)]
    return assemble(cells, texts, table.names, table.index)


def _refuse_ragged(rows: Sequence[Sequence[Any]]) -> None:
    width = len(rows[0])
    for place, cells in enumerate(rows, start=1):
        if len(cells) != width:
            raise BadRequestError(
                f"Row {place} has {len(cells)} values, row 1 has {width}. Send rows of one length.",
                row=place,
                columns=len(cells),
                expected=width,
            )


def _are_records(items: Sequence[Any]) -> bool:
    return set(map(type, items)) <= {dict} and _are_scalars(item.values() for item in items)


def _are_scalars(rows: Iterable[Iterable[object]]) -> bool:
    return set(map(type, chain.from_iterable(rows))) <= _SCALARS


def _are_nested_numbers(items: list[Any]) -> bool:
    """Whether numbers lie three lists deep or deeper, and every list of a level is as long as the others."""
    level, depth = items, 1
    while level and set(map(type, level)) == {list} and depth < MOST_DIMENSIONS:
        if len(set(map(len, level))) != 1:
            return False
        level, depth = list(chain.from_iterable(level)), depth + 1
    return depth >= 3 and bool(level) and set(map(type, level)) <= _NUMBERS
