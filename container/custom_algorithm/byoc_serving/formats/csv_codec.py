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
from byoc_serving.formats.charsets import is_utf8, text_of
from byoc_serving.formats.json_text import numbers_text
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.plain import UnencodableError, is_frame, plain
from byoc_serving.formats.simd import csv_numbers
from byoc_serving.formats.tables import empty_table

# A column of Python objects takes some hundred bytes beside its cells.
_MOST_COLUMNS = 100_000

_BEGINS_A_NUMBER = b"0123456789-,"
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
    charset = content_type.parameters.get("charset")
    header = content_type.parameters.get("header")
    if is_utf8(charset) and (table := _numeric_table(body, header, n_features)) is not None:
        return table
    text = text_of(body, charset).rstrip("\r\n")
    if not text.strip():
        raise empty_table()
    has_header = _stated_header(header)
    reading = _rows(text)
    first = next(reading)
    check_width(len(first), n_features)
    _check_columns(len(first))
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
    match numbers_text(prediction):
        case (text, 1 | 2 as depth):
            return _as_lines(text, depth)
    value = plain(prediction.to_numpy(dtype=object) if is_frame(prediction) else prediction)
    items = value if isinstance(value, list) else [value]
    rows = [item if isinstance(item, list) else [item] for item in items]
    if any(isinstance(cell, list | dict) for row in rows for cell in row):
        raise UnencodableError(prediction, "text/csv", "values or rows of values")
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode("utf-8", "replace")


def _as_lines(text: bytes, depth: int) -> bytes:
    """Return JSON of a list of numbers and null, or of such lists, as CSV."""
    lines = text.strip(b"[]").replace(b"],[", b"\n")
    if depth == 1:
        lines = lines.replace(b",", b"\n")
    if b"null" in lines:  # alone on its line, an empty cell is quoted: the line would be empty
        lines = lines.replace(b"null", b"" if b"," in lines else b'""')
    return lines + b"\n"


def _numeric_table(body: bytes, header: str | None, n_features: int | None) -> object | None:
    """Return a table of numbers, with or without names, as the rules for any table have it, but fast.

    Returns:
        None where there may be anything else in it, or something wrong.
    """
    end = body.find(b"\n")
    width = body.count(b",", 0, end if end >= 0 else len(body)) + 1
    has_header = _HEADERS.get(header.lower(), ...) if header is not None else None
    if n_features not in (None, width) or has_header is ...:
        return None
    if not has_header and body[0] in _BEGINS_A_NUMBER:
        return csv_numbers(body)
    names = _names(body[:end], has_header) if has_header is not False and end > 0 else None
    if names is None or len(names) != width:
        return None
    numbers = csv_numbers(body, end + 1)
    return assemble(numbers, (), names) if numbers is not None and numbers.shape[1] == width else None


def _names(line: bytes, stated: bool | None) -> list[str] | None:
    """Return the cells of a first line if it is a header over nothing but numbers."""
    try:
        names = next(csv.reader([line.decode().rstrip("\r")], strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    is_header = stated or not any(map(_NUMBER.fullmatch, names))
    return names if is_header else None


def _stated_header(stated: str | None) -> bool | None:
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


def _check_columns(width: int) -> None:
    if width > _MOST_COLUMNS:
        raise BadRequestError(
            f"The table has {width} columns, and not only numbers in them. Send at most {_MOST_COLUMNS}.",
            columns=width,
        )


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
