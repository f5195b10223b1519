"""Predictions as JSON text: by orjson where it says what `plain` would have it say."""

import json
from typing import Any

import numpy as np
import orjson

from byoc_serving.formats.plain import is_frame, plain

_STRICT = (
    orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME  # plain knows these, or refuses them
)


def json_text(value: Any) -> bytes:  # noqa: ANN401 - predictions have every type
    """Return what `plain` makes of a value as JSON (UnencodableError as there), in UTF-8."""
    if (text := array_text(value)) is not None:
        return text
    try:
        return orjson.dumps(_records(value), _foreign, _STRICT)
    except TypeError:  # a key that is no string, an integer beyond 64 bits, or what has no form at all
        return json.dumps(plain(value), allow_nan=False, separators=(",", ":")).encode()


def array_text(value: object) -> bytes | None:
    """Return an array of numbers or booleans as JSON, or None where it is anything else.

    NaN and the infinities are null. float32 gets the digits of the same number as float64.
    """
    if type(value) is not np.ndarray or not value.ndim:
        return None
    match value.dtype.kind:
        case "f":
            array = np.ascontiguousarray(value, dtype=np.float64)
        case "i" | "u" | "b":
            array = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
        case _:
            return None
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)


def numbers_text(value: Any) -> tuple[bytes, int] | None:  # noqa: ANN401
    """Return an array or plain list of numbers as JSON and how deep its lists are.

    None where it is anything else, or has nothing in it.
    """
    if type(value) is list and value and set(map(type, value)) <= {int, float}:
        return json_text(value), 1
    if (text := array_text(value)) is not None and value.size and value.dtype.kind != "b":
        return text, value.ndim
    return None


def _records(value: Any) -> Any:  # noqa: ANN401
    return value.to_dict(orient="records") if is_frame(value) else value


def _foreign(value: Any) -> Any:  # noqa: ANN401
    """Return what orjson knows, for a value that it does not."""
    if isinstance(value, float):  # numpy's
        return float(value)
    text = array_text(value)
    return plain(value) if text is None else orjson.Fragment(text)
