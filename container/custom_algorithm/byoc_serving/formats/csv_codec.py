"""CSV bodies and answers (RFC 4180)."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import assemble, check_width
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.plain import UnencodableError, is_frame, plain
from byoc_serving.formats.tables import empty_table

_HEADERS = {"present": True, "absent": False}

# What float() takes, but for underscores. Nothing is tried twice (++, *+, ?+): a cell may be long.
_NUMBER = re.compile(
    r"\s*+[+-]?+(?:(?:\d++(?:\.\d*+)?+|\.\d++)(?:[eE][+-]?+\d++)?+"
    r"|[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?+)\s*+"
)


def decode_csv(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return a CSV body as the data that `arrays.assemble` describes.

    The Content-Type's parameters charset and header (present or absent, RFC 4180) are honoured. Where it
    does not say, the first line is a header if none of its cells is a number and there is a column with
    nothing but numbers (one at least) and empty cells below it.

    Raises:
        BadRequestError: the body is undecodable, empty, ragged or not n_features wide; it names the line.
    """
    text = text_of(body, content_type.parameters.get("charset")).rstrip("\r\n")
    if not text.strip():
        raise empty_table()
    has_header = _stated_header(content_type)
    reading = _rows(text)
    first = next(reading)
    check_width(len(first), n_features)
    if not has_header and (numbers := _only_numbers(text)) is not None:
        return numbers
    rows = [first, *reading]
    if has_header is None:
        has_header = _has_header(rows)
    if not has_header:
        return _table(rows)
    if len(rows) == 1:
        raise BadRequestError("The table has a header and no rows. Send at least one row.")
    return _table(rows[1:], rows[0])


def encode_csv(prediction: Any) -> bytes:  # noqa: ANN401 - predictions have every type
    """Return a prediction as CSV without a header: one line for each value, or for each row of values.

    Raises:
        UnencodableError: it is not a scalar, a list of scalars or a list of such lists.
    """
    value = plain(prediction.to_numpy(dtype=object) if is_frame(prediction) else prediction)
    items = value if isinstance(value, list) else [value]
    rows = [item if isinstance(item, list) else [item] for item in items]
    if any(isinstance(cell, list | dict) for row in rows for cell in row):
        raise UnencodableError(prediction, "text/csv", "values or rows of values")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "replace")


def _stated_header(content_type: MediaType) -> bool | None:
    stated = content_type.parameters.get("header")
    if stated is None:
        return None
    if stated.lower() not in _HEADERS:
        raise BadRequestError(f"The Content-Type says header={stated}. Say header=present or header=absent.")
    return _HEADERS[stated.lower()]


def _only_numbers(text: str) -> NDArray[np.float64] | None:
    """Return a table of nothing but numbers the fast way, or None where it is anything else."""
    if "\n\n" in text or "\n\r\n" in text or text[0] in "\r\n":
        return None  # numpy would skip the empty line
    try:
        return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2, comments=None)
    except ValueError:
        return None


def _rows(text: str) -> Iterator[list[str]]:
    """Parse rows that are all as long as the first; an empty line is a row of one empty cell."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    width = 0
    line = 1
    try:
        for cells in reader:
            row = cells or [""]
            width = width or len(row)
            if len(row) != width:
                raise BadRequestError(
                    f"Line {line} has {len(row)} columns, line 1 has {width}. Send rows of one length.",
                    line=line,
                    columns=len(row),
                    expected=width,
                )
            yield row
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadRequestError(f"The CSV cannot be parsed: line {line}: {error}.", line=line) from None


def _table(rows: Sequence[Sequence[str]], names: Sequence[str] | None = None) -> object:
    columns: list[Sequence[object]] = []
    texts = []
    for place, column in enumerate(zip(*rows, strict=True)):
        numbers = _floats(column)
        columns.append(column if numbers is None else numbers)
        if numbers is None:
            texts.append(place)
    cells = np.empty((len(columns), len(rows)), dtype=object)
    cells[:] = columns
    cells[cells == ""] = np.nan
    return assemble(cells.T, texts, names)


def _floats(column: Sequence[str]) -> list[float] | None:
    """Return a column as floats where every cell is a number or empty (NaN), else None."""
    if column[0].strip() and not _NUMBER.fullmatch(column[0]):
        return None  # so that most columns of text do not cost an exception each
    if any("_" in cell for cell in column):
        return None  # 1_000 is a number in Python's eyes only
    try:
        return [math.nan if not cell or cell.isspace() else float(cell) for cell in column]
    except ValueError:
        return None


def _has_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row has no number, and stands over a column of only numbers and empty cells."""
    if len(rows) == 1 or any(map(_NUMBER.fullmatch, rows[0])):
        return False
    columns = (_floats(column) for column in zip(*rows[1:], strict=True))
    return any(column is not None and not all(map(math.isnan, column)) for column in columns)
