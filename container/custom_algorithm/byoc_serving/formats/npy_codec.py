"""NPY bodies and answers: numpy's own format, without pickle."""

import ast
import functools
import io
import math
import re
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import MOST_DIMENSIONS, check_width
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.plain import UnencodableError
from byoc_serving.formats.tables import empty_table

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
_MOST_HEADER_BYTES = 10_000
# Booleans, integers, floats and fixed-length strings: no objects (pickle), no records, no sub-arrays.
_DTYPE = re.compile(r"[<>|=]?([biufcSU])(\d{1,9})")


def decode_npy(body: bytes, _content_type: MediaType, n_features: int | None) -> NDArray[Any]:
    """Return the array of an NPY body (numpy.lib.format, versions 1 to 3): read-only, over the body's bytes.

    A number, or numbers of one dimension, are one row, as in JSON. The length that the header
    claims is compared with the body's before anything is allocated.

    Raises:
        BadRequestError: it is not NPY, needs pickle or is empty; its shape does not fit its length, or its
            last axis does not fit n_features.
    """
    array = npy_array(body)
    if array.dtype.kind not in "SU" and array.ndim < 2:
        array = np.atleast_2d(array)
    if array.ndim >= 2:
        check_width(array.shape[-1], n_features)
    return array


def npy_array(body: bytes) -> NDArray[Any]:
    """Return the array of an NPY body as it was saved, read-only, over the body's bytes where it can be.

    Raises:
        BadRequestError: as decode_npy, but for n_features.
    """
    begin, end = _place_of_header(body)
    dtype, order, shape = _header(body[begin:end])
    claimed = math.prod(shape) * dtype.itemsize
    if claimed != len(body) - end:
        raise BadRequestError(
            f"The NPY header says shape {shape} of {dtype.str}, which is {claimed} bytes; "
            f"{len(body) - end} bytes follow it.",
            claimed_bytes=claimed,
            sent_bytes=len(body) - end,
        )
    if not claimed:
        raise empty_table()
    flat = np.frombuffer(body, dtype=dtype, offset=end)
    if dtype.kind == "U":
        _check_code_points(flat)
    array = flat.reshape(shape, order=order)
    native = array.dtype.newbyteorder("=")
    return array if array.flags.aligned and array.dtype == native else array.astype(native)


def encode_npy(prediction: object) -> bytes:
    """Return an array, or what numpy makes an array of, as NPY.

    Raises:
        UnencodableError: it would need pickle, or is a string or bytes.
    """
    if isinstance(prediction, str | bytes | bytearray | memoryview):
        raise UnencodableError(prediction, "application/x-npy", "an array of numbers")
    try:
        array = np.asarray(prediction)
    except ValueError:  # ragged
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biufcSU":
        raise UnencodableError(prediction, "application/x-npy", "an array of numbers")
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    header = _header_saying(array.dtype.str, is_fortran, array.shape)
    return header + array.tobytes("F" if is_fortran else "C")


@functools.lru_cache(maxsize=256)
def _header_saying(descr: str, is_fortran: bool, shape: tuple[int, ...]) -> bytes:
    """Return all that numpy.save writes before the numbers."""
    out = io.BytesIO()
    entries = {"descr": descr, "fortran_order": is_fortran, "shape": shape}
    np.lib.format.write_array_header_1_0(out, entries)
    return out.getvalue()


def _place_of_header(body: bytes) -> tuple[int, int]:
    version = body[6] if len(body) > 7 else 0
    if not body.startswith(_MAGIC) or version not in _LENGTH_BYTES:
        raise BadRequestError("The body is not NPY: it does not begin as numpy.save writes it.")
    begin = 8 + _LENGTH_BYTES[version]
    length = int.from_bytes(body[8:begin], "little")
    if length > _MOST_HEADER_BYTES or begin + length > len(body):
        raise BadRequestError(
            f"The NPY header claims {length} bytes, and the body ends before it does, or that is over "
            f"{_MOST_HEADER_BYTES}. Send all that numpy.save writes."
        )
    return begin, begin + length


@functools.lru_cache(maxsize=64)  # most bodies for one model have the same
def _header(text: bytes) -> tuple[np.dtype[Any], Literal["C", "F"], tuple[int, ...]]:
    try:
        header = ast.literal_eval(text.decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise BadRequestError(
            "The NPY header is not the dict of descr, fortran_order and shape that numpy writes."
        )
    order: Literal["C", "F"] = "F" if header["fortran_order"] else "C"
    return _dtype(header["descr"]), order, _shape(header["shape"])


def _dtype(descr: object) -> np.dtype[Any]:
    found = _DTYPE.fullmatch(descr) if isinstance(descr, str) else None
    try:
        dtype = np.dtype(found[0]) if found else None
    except TypeError:
        dtype = None
    if dtype is None or not dtype.itemsize:
        raise BadRequestError(
            f"The NPY dtype is {str(descr)[:100]!r}. Send numbers, booleans or strings of fixed length: "
            "objects need pickle, which is never decoded, and records are not taken.",
        )
    return dtype


def _shape(shape: object) -> tuple[int, ...]:
    if (
        not isinstance(shape, tuple)
        or len(shape) > MOST_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**63 for size in shape)
    ):
        raise BadRequestError(f"The NPY shape is {str(shape)[:100]}. Send a tuple of sizes.")
    return shape


def _check_code_points(texts: NDArray[Any]) -> None:
    code_points = texts.view(f"{texts.dtype.str[0]}u4")
    if code_points.max() > 0x10FFFF:
        raise BadRequestError("The NPY has a string with a code point beyond Unicode.")
