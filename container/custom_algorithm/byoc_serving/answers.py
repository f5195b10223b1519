"""What the user's functions returned, as the response that goes back."""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from byoc_serving.algorithm import Context
from byoc_serving.calls import NO_HEADERS, Response
from byoc_serving.formats.codecs import ENCODERS, encode
from byoc_serving.formats.negotiation import JSON, media_type

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_HEADERS_OF_OURS = {"content-length", "content-type", "connection", "transfer-encoding"}


def answer_of(result: Any, accept: str, context: Context) -> Response:  # noqa: ANN401 - as output_fn
    """Take what output_fn or transform_fn returned: a body, a body and its type, or any value for JSON.

    Strings and bytes go out as they are, as from AWS's own containers; an iterator's go out one by one.

    Raises:
        UnencodableError: the value has no form in JSON.
        ValueError: a header would break the answer.
    """
    match result:
        case (body, str(content_type)) if isinstance(result, tuple):
            media = media_type(content_type).name
        case str() | bytes() | bytearray() | memoryview() | Iterator():
            body, content_type, media = result, accept, accept
        case body:
            content_type, media = JSON, JSON
    headers = headers_of(context)
    return Response(200, _body(body, media), _header_value("Content-Type", content_type), headers)


def headers_of(context: Context | None) -> Mapping[str, str]:
    """Return the headers that the user's code set (ValueError where one would break the answer)."""
    if context is None or not context.response_headers:
        return NO_HEADERS
    for name in context.response_headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HEADERS_OF_OURS:
            raise ValueError(
                f"context.response_headers has {name!r}. Use letters, digits and hyphens, and none of "
                f"{', '.join(sorted(_HEADERS_OF_OURS))}; output_fn returns a Content-Type beside its body."
            )
    return {name: _header_value(name, value) for name, value in context.response_headers.items()}


def _body(body: Any, media: str) -> bytes | Iterator[bytes]:  # noqa: ANN401 - as answer_of
    match body:
        case str() | bytes() | bytearray() | memoryview():
            return _bytes(body)
        case Iterator():
            return _begun(map(_bytes, body))
    return encode(body, media if media in ENCODERS else JSON)


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Return the same chunks with the first one made: what fails before it still gets a status."""
    for first in chunks:
        return chain([first], chunks)
    return iter(())


def _bytes(piece: Any) -> bytes:  # noqa: ANN401 - of an iterator of the user's
    match piece:
        case str():
            return piece.encode("utf-8", "replace")
        case bytes() | bytearray() | memoryview():
            return bytes(piece)
    raise TypeError(
        f"A streamed answer has a piece of type {type(piece).__name__}. Yield strings or bytes, such as a "
        "line of JSON each."
    )


def _header_value(name: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"The header {name} is {value!r}. Use visible ASCII characters only.")
    return value
