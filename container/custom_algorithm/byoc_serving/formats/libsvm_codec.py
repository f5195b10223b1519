"""LIBSVM bodies: a line for each row, of index:value pairs for what is not zero."""

from array import array
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.bounds import refuse_expansion
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.tables import empty_table

_MOST_DIGITS = 18


def decode_libsvm(body: bytes, content_type: MediaType, n_features: int | None) -> NDArray[np.float64]:
    """Return a LIBSVM body as float64 [rows, n_features], or as wide as its largest index, with its zeros.

    A line is a label, which may be left out and is not kept, perhaps qid:n, then pairs of index, counted
    from 1 as in LIBSVM, and value; what follows a # is a comment.

    Raises:
        BadRequestError: a line is anything else, or has an index beyond n_features (both name the line);
            the table is empty, or far larger than the body.
    """
    text = text_of(body, content_type.parameters.get("charset"))
    places, columns, values = array("q"), array("q"), array("d")
    rows = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not (words := line.partition("#")[0].split()):
            continue
        try:
            for index, value in _pairs(words, n_features):
                places.append(rows)
                columns.append(index - 1)
                values.append(value)
        except ValueError as error:
            raise BadRequestError(
                f"Line {number} is not LIBSVM: {error}. Send label index:value ..., the indices from 1.",
                line=number,
            ) from None
        rows += 1
    width = n_features or max(columns, default=-1) + 1
    if not rows or not width:
        raise empty_table()
    refuse_expansion(rows * width * 8, len(body), f"LIBSVM table of {rows} rows and {width} columns")
    table = np.zeros((rows, width))
    table[np.asarray(places), np.asarray(columns)] = values
    return table


def _pairs(words: list[str], n_features: int | None) -> Iterator[tuple[int, float]]:
    """Return the indices and values of a line (ValueError: it has something else)."""
    first = 0
    if ":" not in words[0]:
        _number(words[0])
        first = 1
    if words[first:] and words[first].startswith("qid:"):
        first += 1
    for word in words[first:]:
        index, separator, value = word.partition(":")
        if not (separator and index.isdecimal() and len(index) <= _MOST_DIGITS):
            raise ValueError(f"{word[:50]!r} is no pair of index and value")
        at = int(index)
        if not 1 <= at <= (n_features or at):
            most = f": the model takes 1 to {n_features}" if n_features else ""
            raise ValueError(f"the index of {word[:50]!r} is out of range{most}")
        yield at, _number(value)


def _number(text: str) -> float:
    if "_" in text:  # 1_000 is a number in Python's eyes only
        raise ValueError(f"{text[:50]!r} is no number")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text[:50]!r} is no number") from None
