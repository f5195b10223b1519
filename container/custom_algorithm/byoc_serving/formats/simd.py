"""Nothing but numbers, as float64 arrays: simdjson reads them without making a Python object of each."""

import math
import operator
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import simdjson
from numpy.typing import NDArray

from byoc_serving.formats.arrays import MOST_DIMENSIONS

_WRAPPERS = ("instances", "inputs")
_CONTAINERS = (simdjson.Array, simdjson.Object)

# What a parser has needed for a body it keeps for the next one: larger ones get a parser of their own.
_MOST_BYTES_KEPT = 8 << 20

# Lines are read in blocks. Fresh memory costs as much as reading what is put into it; what is smaller than
# this, malloc gives out again.
_BLOCK_BYTES = 1 << 17

# bytes.count is faster for short texts, numpy for long ones.
_SHORT = 4096

# Stands in for null, NaN and an empty cell, for which a buffer of numbers has no place. Its sign breaks
# whatever number it would be appended to.
_BLANK = b"-7.039872368516943e-301"
_BLANK_NUMBER = float(_BLANK)

# An integer in JSON, where it has no sign, and a float in CSV.
_MINUS_ZERO = re.compile(rb"-0(?![.\d])")

_Reader = Callable[[bytes], NDArray[np.float64] | None]

_kept = threading.local()


class UnreadableError(ValueError):
    """simdjson does not take the text: another parser may, or says why it is no JSON."""


def json_value(text: bytes) -> Any:  # noqa: ANN401 - a JSON value has every type
    """Return what a JSON text says.

    Returns:
        Numbers, null and NaN in the forms that `tables.model_input` makes an array of: that array. Anything
        else: the value as json.loads gives it.

    Raises:
        UnreadableError: it is not JSON, or has Infinity, an integer beyond 64 bits, or text beside NaN.
    """
    try:
        document = _parser(text).parse(text)
        if not isinstance(document, _CONTAINERS):
            return document
        numbers = _numbers(document, text)
        if numbers is None:
            numbers = _numbers_with_blanks(text)
        if numbers is not None:
            return numbers
        return document.as_list() if isinstance(document, simdjson.Array) else document.as_dict()
    except (ValueError, RuntimeError) as error:  # what simdjson raises; RecursionError is a RuntimeError
        numbers = _numbers_with_blanks(text)
        if numbers is None:
            raise UnreadableError(str(error)) from None
        return numbers


def csv_numbers(text: bytes, start: int = 0) -> NDArray[np.float64] | None:
    r"""Return a CSV text of numbers and empty cells, which are NaN, as float64 [rows, columns].

    Args:
        text: lines that end in \n or \r\n, the last one in any number of them.
        start: where the first line begins.

    Returns:
        None where a cell is no JSON number, though it may be one in other eyes (.5, +1, nan, "1"); where
        rows differ in length; where a line is empty, or ends in a bare \r.
    """
    return _by_blocks(_csv_block, text, start)


def json_line_numbers(text: bytes) -> NDArray[np.float64] | None:
    """Return JSON Lines of lists of numbers, each as long as the first, as float64 [rows, columns].

    Returns:
        None where a line is anything else.
    """
    return _by_blocks(_json_lines_block, text, 0)


def _by_blocks(read: _Reader, text: bytes, start: int) -> NDArray[np.float64] | None:
    """Read a text in blocks of whole lines, each without the end of its last; None where one is None.

    Also None where a block is not as wide as the others.
    """
    if len(text) - start <= _BLOCK_BYTES:
        last = text[start:].rstrip(b"\r\n")
        return read(last) if last else None
    tables: list[NDArray[np.float64]] = []
    for block in _blocks(text, start):
        table = read(block)
        if table is None or (tables and table.shape[1] != tables[0].shape[1]):
            return None
        tables.append(table)
    return np.concatenate(tables)


def _blocks(text: bytes, start: int) -> Iterator[bytes]:
    while start < len(text):
        end = text.rfind(b"\n", start, start + _BLOCK_BYTES)
        if end < 0:
            end = text.find(b"\n", start)
        if end < 0:
            end = len(text)
        yield text[start:end].removesuffix(b"\r")
        start = end + 1


def _csv_block(text: bytes) -> NDArray[np.float64] | None:
    if b"[" in text:
        return None
    if b"\r" in text:
        if text.count(b"\r") != text.count(b"\r\n"):
            return None
        text = text.replace(b"\r\n", b"\n")
    numbers = _rows(_as_json(text))
    if numbers is None:
        numbers = _csv_with_blanks(text)
    if numbers is None or (np.count_nonzero(numbers) != numbers.size and _MINUS_ZERO.search(text)):
        return None
    return numbers


def _json_lines_block(text: bytes) -> NDArray[np.float64] | None:
    ends = 0
    if b"\n" in text:
        text = text.replace(b"\r\n", b"\n") if b"\r" in text else text
        codes = np.frombuffer(text, np.uint8)
        places = np.flatnonzero(codes == ord("\n"))
        ends = len(places)
        if places[-1] == len(text) - 1:
            return None
        if (codes[places - 1] != ord("]")).any() or (codes[places + 1] != ord("[")).any():
            return None
    numbers = _rows(b"".join((b"[", text.replace(b"\n", b","), b"]")))
    return numbers if numbers is not None and len(numbers) == ends + 1 else None


def _rows(text: bytes) -> NDArray[np.float64] | None:
    """Return a JSON text as numbers where it is a list of lists of them."""
    numbers = _numbers_of(text)
    return numbers if numbers is not None and numbers.ndim == 2 and text.startswith(b"[[") else None


def _numbers_of(text: bytes) -> NDArray[np.float64] | None:
    """Return a JSON text as numbers where it is nothing else, and blanks are none."""
    try:
        return _numbers(_parser(text).parse(text), text)
    except (ValueError, RuntimeError):
        return None


def _numbers_with_blanks(text: bytes) -> NDArray[np.float64] | None:
    """Return a JSON text as numbers, in which null and NaN are NaN, where it is nothing else."""
    blanks = text.count(b"null") + text.count(b"NaN")
    if not blanks:
        return None
    return _blanked(_numbers_of(text.replace(b"null", _BLANK).replace(b"NaN", _BLANK)), blanks)


def _csv_with_blanks(text: bytes) -> NDArray[np.float64] | None:
    """Return CSV as numbers and, for empty cells, NaN; if the first line has only those, it may be names."""
    lines = b"".join((b"\n", text, b"\n"))
    codes = np.frombuffer(lines, np.uint8)
    ends = (codes == ord(",")) | (codes == ord("\n"))
    blanks = (np.flatnonzero(ends[:-1] & ends[1:]) + 1).tolist()
    if not blanks:
        return None
    pieces = [lines[begin:end] for begin, end in pairwise([1, *blanks, len(lines) - 1])]
    numbers = _blanked(_rows(_as_json(_BLANK.join(pieces))), len(blanks))
    return None if numbers is None or np.isnan(numbers[0]).all() else numbers


def _blanked(numbers: NDArray[np.float64] | None, blanks: int) -> NDArray[np.float64] | None:
    """Return numbers with NaN for each of the blanks; None where one of them was sent as a number."""
    if numbers is None:
        return None
    where = numbers == _BLANK_NUMBER
    if np.count_nonzero(where) != blanks:
        return None
    numbers[where] = np.nan
    return numbers


def _numbers(document: object, text: bytes) -> NDArray[np.float64] | None:
    """Return a parsed document as an array where it is a list, or such lists, of numbers only."""
    if isinstance(document, simdjson.Object) and len(document) == 1:
        first, second = _WRAPPERS
        document = document.get(first, None) or document.get(second, None)
    if not isinstance(document, simdjson.Array) or not len(document):
        return None
    try:
        flat = np.frombuffer(document.as_buffer(of_type="d"))
        return _shaped(flat, document, _count(text, b"["))
    except TypeError:  # there is something else in it, or a number beside a list
        return None


def _shaped(flat: NDArray[np.float64], array: simdjson.Array, lists: int) -> NDArray[np.float64] | None:
    """Return what is left of an array's lists when it is made one, in its old shape; None where it has none.

    Args:
        flat: all its numbers.
        array: it, of one item or more.
        lists: the number of lists, it included.
    """
    if not flat.size:
        return None
    if lists == 1 or (lists == 2 and len(array) == 1):
        return flat[np.newaxis]
    if len(array) == lists - 1:
        lengths = _lengths(array)
        shape = [lists - 1, lengths.pop()] if len(lengths) == 1 else [0]
    else:
        shape = _shape(array)
        if sum(accumulate(shape[:-1], operator.mul, initial=1)) != lists:
            return None
    return flat.reshape(shape) if math.prod(shape) == flat.size else None


def _shape(array: simdjson.Array) -> list[int]:
    """Return how long the lists of each level are, or [0] where those of one level differ.

    A number among the last lists of lists is not seen; nor is a length beyond 2^24, which simdjson does
    not count. Both show in the number of lists and of numbers.
    """
    shape: list[int] = []
    level: Sequence[Any] = [array]
    while len(shape) < MOST_DIMENSIONS:
        lengths = _lengths(level)
        if len(lengths) != 1 or 0 in lengths:
            return [0]
        shape.append(lengths.pop())
        if not isinstance(level[0][0], simdjson.Array):
            return shape
        level = list(chain.from_iterable(level))
    return [0]


def _lengths(lists: Iterable[Any]) -> set[int]:
    return set(map(len, lists))


def _as_json(text: bytes) -> bytes:
    return b"".join((b"[[", text.replace(b"\n", b"],["), b"]]"))


def _count(text: bytes, byte: bytes) -> int:
    if len(text) < _SHORT:
        return text.count(byte)
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == byte[0]))


def _parser(text: bytes) -> simdjson.Parser:
    """Return a parser that nobody else uses: the thread's own, or a new one."""
    if len(text) > _MOST_BYTES_KEPT:
        return simdjson.Parser()
    try:
        return _kept.parser  # type: ignore[no-any-return]
    except AttributeError:
        _kept.parser = simdjson.Parser()
        return _kept.parser  # type: ignore[no-any-return]
