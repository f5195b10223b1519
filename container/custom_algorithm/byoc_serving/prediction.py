"""One request through the user's functions, and through our codecs where there is no function."""

import re
from typing import Any

from byoc_serving.algorithm import Algorithm, Context
from byoc_serving.errors import UnsupportedMediaTypeError
from byoc_serving.formats.arrays import check_table
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.codecs import ENCODERS, decode, encode
from byoc_serving.formats.negotiation import MediaType, media_type, negotiate, preferred
from byoc_serving.loading import LoadedModel
from byoc_serving.messages import JSON, Request, Response

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

# What AWS's inference toolkit hands over as text (aws/sagemaker-inference-toolkit, content_types.py).
_TEXT_TYPES = (JSON, "text/csv")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")


def predicted(loaded: LoadedModel, request: Request, default_accept: str) -> Response:
    """Return the algorithm's answer to a request.

    Raises:
        RequestError: the caller did something wrong.
        Exception: whatever the user's functions raise.
    """
    _refuse_encoded(request)
    algorithm = loaded.algorithm
    context = _context(loaded, request)
    content_type = media_type(request.content_type or JSON)
    accept = _accepted(algorithm, request.accept, default_accept)
    if algorithm.transform_fn:
        body = _user_body(request.body, content_type)
        result = algorithm.transform_fn(loaded.model, body, content_type.name, accept, context)
        return _response(result, accept, context)
    data = _data(loaded, request.body, content_type, context)
    prediction = algorithm.predict_fn(data, loaded.model, context)
    if algorithm.output_fn:
        return _response(algorithm.output_fn(prediction, accept, context), accept, context)
    return Response(200, encode(prediction, accept), accept, _checked_headers(context))


def _refuse_encoded(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaTypeError(
            f"Content-Encoding is {encoding!r}, which is not decoded here. Send the body as it is.",
            sent=encoding,
            supported=["identity"],
        )


def _context(loaded: LoadedModel, request: Request) -> Context:
    return Context(
        model_dir=str(loaded.model_dir),
        request_id=request.request_id,
        inference_id=request.headers.get(INFERENCE_ID),
        custom_attributes=request.headers.get(CUSTOM_ATTRIBUTES),
        content_type=request.content_type,
        accept=request.accept,
        headers=request.headers,
    )


def _accepted(algorithm: Algorithm, accept: str | None, default: str) -> str:
    """Settle the answer's media type before anything is computed; a function of the user's may know more."""
    if algorithm.output_fn or algorithm.transform_fn:
        return preferred(accept, tuple(ENCODERS), default)
    return negotiate(accept, tuple(ENCODERS), default)


def _data(loaded: LoadedModel, body: bytes, content_type: MediaType, context: Context) -> Any:  # noqa: ANN401
    if loaded.algorithm.input_fn:
        return loaded.algorithm.input_fn(_user_body(body, content_type), content_type.name, context)
    data = decode(body, content_type)
    check_table(data, loaded.n_features, allow_nan=loaded.allow_nan)
    return data


def _user_body(body: bytes, content_type: MediaType) -> str | bytes:
    """Return what the user's own function gets: text for the types that are text, else bytes."""
    is_text = content_type.name in _TEXT_TYPES
    return text_of(body, content_type.parameters.get("charset")) if is_text else body


def _response(result: Any, accept: str, context: Context) -> Response:  # noqa: ANN401
    """Take what output_fn or transform_fn returned: a body, a body and its type, or any value for JSON."""
    match result:
        case (body, str(content_type)) if isinstance(result, tuple):
            media = media_type(content_type).name
        case str() | bytes() | bytearray() | memoryview():
            body, content_type, media = result, accept, accept
        case body:
            content_type, media = JSON, JSON
    encoded = encode(body, media if media in ENCODERS else JSON)
    return Response(200, encoded, _header_value("Content-Type", content_type), _checked_headers(context))


def _checked_headers(context: Context) -> dict[str, str]:
    return {name: _header_value(name, value) for name, value in context.response_headers.items()}


def _header_value(name: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"The header {name} is {value!r}. Use visible ASCII characters only.")
    return value
