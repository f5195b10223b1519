"""CSV bodies and answers (RFC 4180)."""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import Column, assemble
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.plain import UnencodableError, is_frame, plain
from byoc_serving.formats.tables import empty_table

_HEADERS = {"present": True, "absent": False}


def decode_csv(body: bytes, content_type: MediaType) -> object:
    """Return a CSV body as the data that `arrays.assemble` describes.

    The Content-Type's parameters charset and header (present or absent, RFC 4180) are honoured. Where it
    does not say, the first line is a header if none of its cells is a number and there is a column with
    nothing but numbers (one at least) and empty cells below it.

    Raises:
        BadRequestError: the body is undecodable, empty or ragged; it names the line.
    """
    text = text_of(body, content_type.parameters.get("charset")).rstrip("\r\n")
    if not text.strip():
        raise empty_table()
    has_header = _stated_header(content_type)
    if not has_header and (numbers := _numbers(text)) is not None:
        return numbers
    rows = list(_rows(text))
    columns = [_column(cells) for cells in zip(*rows[1:], strict=True)]
    if has_header is None:
        has_header = _looks_like_header(rows[0], columns)
    if not has_header:
        return assemble([_column(cells) for cells in zip(*rows, strict=True)])
    if not columns:
        raise BadRequestError("The table has a header and no rows. Send at least one row.")
    return assemble(columns, rows[0])


def encode_csv(prediction: Any) -> bytes:  # noqa: ANN401 - predictions have every type
    """Return a prediction as CSV without a header: one line for each value, or for each row of values.

    Raises:
        UnencodableError: it is no scalar, no list of scalars and no list of such lists.
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


def _numbers(text: str) -> NDArray[np.float64] | None:
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


def _column(cells: Sequence[str]) -> Column:
    """Return doubles where every cell is a number or empty (NaN), else the texts, empty ones as NaN."""
    try:
        return np.array([_number(cell) for cell in cells], dtype=np.float64)
    except ValueError:
        return [cell or np.nan for cell in cells]


def _number(cell: str) -> float:
    if not cell or cell.isspace():
        return np.nan
    if "_" in cell:  # 1_000 is a number in Python's eyes only
        raise ValueError(cell)
    return float(cell)


def _looks_like_header(first: Sequence[str], columns: Sequence[Column]) -> bool:
    if any(isinstance(_column([cell]), np.ndarray) and cell.strip() for cell in first):
        return False
    return any(isinstance(column, np.ndarray) and not np.isnan(column).all() for column in columns)
