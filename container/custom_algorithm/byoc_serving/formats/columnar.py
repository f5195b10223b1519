"""Arrow's tables as the data that predict_fn gets, and predictions as Arrow's tables."""

import re
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError, RequestError
from byoc_serving.formats.arrays import assemble, check_width
from byoc_serving.formats.bounds import refuse_expansion
from byoc_serving.formats.plain import UnencodableError, is_frame, plain
from byoc_serving.formats.tables import empty_table

# Where pandas keeps the names of rows that are not just counted.
_INDEX = re.compile(r"__index_level_\d+__")


def pyarrow_for(media_type: str, refusal: type[RequestError]) -> ModuleType:
    """Import pyarrow when a body or answer first needs it (refusal: it is not installed)."""
    try:
        import pyarrow as pa
    except ImportError:
        raise refusal(
            f"{media_type} needs pyarrow, which this image does not have. Name pyarrow in "
            "apps/requirements.txt, or take another type.",
            sent=media_type,
        ) from None
    module: ModuleType = pa
    return module


def faults(pa: ModuleType) -> tuple[type[Exception], ...]:
    """Return what is raised for what is none of Arrow's formats, breaks off, lies, or has no form in them."""
    return (pa.ArrowException, struct.error, OSError, ValueError, LookupError, OverflowError, MemoryError)


def columns_to_read(pa: ModuleType, schema: Any, rows: int, sent_bytes: int) -> list[str]:  # noqa: ANN401 - pyarrow has no types
    """Return which columns of a schema to read, before any of them takes memory.

    Raises:
        BadRequestError: one is neither of numbers nor booleans nor text, or there are too many cells.
    """
    names = [name for name in schema.names if not _INDEX.fullmatch(name)]
    if not rows or not names:
        raise empty_table()
    for place, (name, kind) in enumerate(zip(schema.names, schema.types, strict=True), start=1):
        if name in names and not (is_text(pa, kind) or _is_number(pa, kind)):
            raise BadRequestError(
                f"Column {name[:100]!r} is of type {str(kind)[:100]}. Send numbers, booleans and text.",
                column=place,
            )
    refuse_expansion(rows * len(names) * 8, sent_bytes, f"table of {rows} rows and {len(names)} columns")
    return names


def data_of(pa: ModuleType, table: Any, n_features: int | None, sent_bytes: int) -> object:  # noqa: ANN401
    """Return a table of the columns that `columns_to_read` lets through as `arrays.assemble` does.

    Raises:
        BadRequestError: it is not n_features wide, or its texts are far longer than the body.
        Exception: one of `faults`: the table is not what it says.
    """
    check_width(table.num_columns, n_features)
    names = table.column_names
    texts = [place for place, kind in enumerate(table.schema.types) if is_text(pa, kind)]
    table.validate()
    _check_texts(pa, table, texts, sent_bytes)
    table.validate(full=True)
    if not texts:
        numbers = np.empty((table.num_rows, table.num_columns))
        for place, column in enumerate(table.columns):
            numbers[:, place] = _numbers(pa, column)
        return assemble(numbers, (), names)
    cells = np.empty((table.num_rows, table.num_columns), dtype=object)
    for place, column in enumerate(table.columns):
        cells[:, place] = _texts(pa, column) if place in texts else _numbers(pa, column)
    return assemble(cells, texts, names)


def is_text(pa: ModuleType, kind: Any) -> bool:  # noqa: ANN401
    """Whether a column of this type holds text, or a dictionary of texts."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(
        holds(kind) for holds in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    )


def table_of(pa: ModuleType, prediction: Any, media_type: str) -> Any:  # noqa: ANN401
    """Return a prediction as a table; columns without names are called 0, 1, 2, ...

    Raises:
        UnencodableError: it is not a DataFrame, records, a dict of columns, a value, values or rows of
            values, or a column has values of different types.
    """
    try:
        if is_frame(prediction):
            return pa.Table.from_pandas(prediction, preserve_index=False)
        columns = _columns(prediction)
        if columns:
            arrays = [pa.array(column) for column in columns.values()]
            return pa.Table.from_arrays(arrays, names=list(columns))
    except faults(pa):
        pass
    raise UnencodableError(prediction, media_type, "values, rows of values or records")


def _columns(prediction: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
    if type(prediction) is np.ndarray and prediction.dtype.kind in "fiub" and prediction.ndim in (1, 2):
        kind = np.float64 if prediction.dtype.kind == "f" else prediction.dtype.newbyteorder("=")
        table = prediction.astype(kind, copy=False).reshape(len(prediction), -1)
        return {str(place): np.ascontiguousarray(table[:, place]) for place in range(table.shape[1])}
    value = plain(prediction)
    if isinstance(value, dict):
        return {str(name): column if isinstance(column, list) else [column] for name, column in value.items()}
    rows: list[Any] = value if isinstance(value, list) else [value]
    kinds = set(map(type, rows))
    if kinds == {dict}:
        names = dict.fromkeys(chain.from_iterable(rows))
        return {str(name): [row.get(name) for row in rows] for name in names}
    if kinds != {list}:
        rows = [[row] for row in rows]
    if any(isinstance(cell, list | dict) for row in rows for cell in row):
        return None
    return {str(place): column for place, column in enumerate(zip(*rows, strict=True))}


def _is_number(pa: ModuleType, kind: Any) -> bool:  # noqa: ANN401
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    types = pa.types
    holders: Sequence[Callable[[Any], bool]] = (
        types.is_floating,
        types.is_integer,
        types.is_boolean,
        types.is_null,
        types.is_decimal,
    )
    return any(holds(kind) for holds in holders)


def _numbers(pa: ModuleType, column: Any) -> NDArray[np.float64]:  # noqa: ANN401
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not pa.types.is_float64(column.type):
        column = column.cast(pa.float64(), safe=False)  # integers beyond 2^53 lose digits
    numbers: NDArray[np.float64] = column.to_numpy()
    return numbers


def _check_texts(pa: ModuleType, table: Any, texts: Iterable[int], sent_bytes: int) -> None:  # noqa: ANN401
    """Refuse texts that are far longer than the body: dictionaries and views may show one part many times."""
    total = 0
    for place in texts:
        for chunk in table.column(place).chunks:
            if pa.types.is_dictionary(chunk.type):
                indices = chunk.indices.fill_null(0).to_numpy(zero_copy_only=False)
                total += int(np.append(_lengths(pa, chunk.dictionary), 0)[indices].sum())
            else:
                total += int(_lengths(pa, chunk).sum())
    refuse_expansion(total, sent_bytes, "text of the table")


def _lengths(pa: ModuleType, words: Any) -> NDArray[np.int64]:  # noqa: ANN401
    """Return the lengths of texts in bytes, 0 for null; they may be any number, if nothing was validated."""
    import pyarrow.compute as pc

    if not pa.types.is_string_view(words.type):
        return np.asarray(pc.binary_length(words).fill_null(0), dtype=np.int64)
    if not len(words):
        return np.zeros(0, dtype=np.int64)
    # A view is four int32, the first of them its length (Columnar.rst, Variable-size Binary View Layout).
    views = np.frombuffer(words.buffers()[1], np.int32)[::4][words.offset : words.offset + len(words)]
    return np.where(words.is_valid().to_numpy(zero_copy_only=False), views.astype(np.int64), 0)


def _texts(pa: ModuleType, column: Any) -> list[object]:  # noqa: ANN401
    cells: list[object] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            cells += chunk.to_pylist()
            continue
        words = [*chunk.dictionary.to_pylist(), None]
        cells += (words[-1 if at is None else at] for at in chunk.indices.to_pylist())
    return [np.nan if cell is None else cell for cell in cells]
