"""JSON and JSON Lines bodies and answers."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.arrays import check_width
from byoc_serving.formats.charsets import is_utf8, text_of
from byoc_serving.formats.json_text import json_text, numbers_text
from byoc_serving.formats.negotiation import MediaType
from byoc_serving.formats.plain import plain
from byoc_serving.formats.simd import UnreadableError, json_line_numbers, json_value
from byoc_serving.formats.tables import model_input


def decode_json(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return a JSON body as `tables.model_input` does; NaN and Infinity are taken, as Python writes them.

    Raises:
        BadRequestError: it is not JSON, nested too deeply, or a table with a fault.
    """
    charset = content_type.parameters.get("charset")
    try:
        value = json_value(body) if is_utf8(charset) else _parsed(text_of(body, charset))
    except UnreadableError:
        value = _parsed(text_of(body, charset))
    if isinstance(value, np.ndarray):
        check_width(value.shape[-1], n_features)
        return value
    return model_input(value, n_features)


def decode_json_lines(body: bytes, content_type: MediaType, n_features: int | None) -> object:
    """Return one value a line: a table where each is a list or a dict that makes a row, else their list.

    Raises:
        BadRequestError: a line is not JSON (it names the line), or the table has a fault.
    """
    charset = content_type.parameters.get("charset")
    if is_utf8(charset) and (numbers := json_line_numbers(body)) is not None:
        check_width(numbers.shape[1], n_features)
        return numbers
    lines = text_of(body, charset).split("\n")
    values = [_parsed(line, number) for number, line in enumerate(lines, start=1) if line.strip()]
    if not values:
        raise BadRequestError("The body has no line with a value. Send one JSON value on each line.")
    return model_input(values, n_features) if isinstance(values[0], list | dict) else values


def encode_json(prediction: object) -> bytes:
    """Return a prediction as JSON (UnencodableError as in plain)."""
    return json_text(prediction)


def encode_json_lines(prediction: Any) -> bytes:  # noqa: ANN401 - predictions have every type
    """Return one line for each item of a prediction, or one line (UnencodableError as in plain)."""
    match numbers_text(prediction):
        case (text, 1):
            return text[1:-1].replace(b",", b"\n") + b"\n"
        case (text, 2):
            return text[1:-1].replace(b"],[", b"]\n[") + b"\n"
    value = plain(prediction)
    items: Sequence[object] = value if isinstance(value, list) else [value]
    return b"".join(json_text(item) + b"\n" for item in items)


def _parsed(text: str, line: int | None = None) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = line or error.lineno
        raise BadRequestError(
            f"The body is not JSON: line {line}, column {error.colno}: {error.msg}.",
            line=line,
            column=error.colno,
        ) from None
    except RecursionError:
        raise BadRequestError(
            "The JSON is nested too deeply. Send a flatter value.", line=line or 1
        ) from None
    except ValueError:  # an integer of more digits than Python converts
        raise BadRequestError(
            "The JSON has a number of too many digits. Send numbers below 1.8e308.", line=line or 1
        ) from None
