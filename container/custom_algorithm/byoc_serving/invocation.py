"""Request -> response: the whole of /invocations, without any web framework."""

import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from byoc_serving.algorithm import Algorithm, Context, is_meant_for_the_process
from byoc_serving.errors import NotReadyError, RequestError, ServingError, UnsupportedMediaTypeError
from byoc_serving.formats.arrays import refuse_missing
from byoc_serving.formats.charsets import text_of
from byoc_serving.formats.codecs import ENCODERS, decode, encode
from byoc_serving.formats.negotiation import JSON, MediaType, media_type, negotiate, preferred
from byoc_serving.loading import LoadedModel, Loading
from byoc_serving.messages import error_body
from byoc_serving.settings import Settings

log = logging.getLogger("invocation")

_INFERENCE_ID = "x-amzn-sagemaker-inference-id"
_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

# What AWS's inference toolkit hands over as text (aws/sagemaker-inference-toolkit, content_types.py).
_TEXT_TYPES = (JSON, "text/csv")

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_HEADERS_OF_OURS = {"content-length", "content-type", "connection", "transfer-encoding"}


@dataclass(frozen=True)
class Request:
    """One POST to /invocations; the names of its headers are in lower case."""

    body: bytes
    content_type: str | None
    accept: str | None
    headers: Mapping[str, str]
    request_id: str


@dataclass(frozen=True)
class Response:
    """What goes back, with any headers beside the Content-Type."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


def error_response(
    status: int, code: str, message: str, details: Mapping[str, object] | None = None
) -> Response:
    """Return an error as the response that says so in JSON."""
    return Response(status, error_body(code, message, details), JSON)


def refusal(error: RequestError) -> Response:
    """Return what the caller is told of their own mistake."""
    code = type(error).__name__.removesuffix("Error")
    return error_response(error.status, code, str(error), error.details)


class Invocations:
    """The invocations of one process: threads may share it, a fork before the first load is safe.

    Args:
        settings: of the process.
        model_dir: where the model is; the settings' own unless told otherwise.
        clock: seconds that only grow.

    Attributes:
        loading: how far the model is.
    """

    def __init__(
        self,
        settings: Settings,
        model_dir: Path | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.loading = Loading(settings, model_dir or settings.model_dir)
        self._default_accept = settings.default_accept
        self._clock = clock

    def load(self) -> None:
        """Load the algorithm and the model, once (ServingError: it failed, now or before)."""
        self.loading.load()

    def respond(self, request: Request) -> Response:
        """Answer a request, loading first where nobody did; failures are answers too, not exceptions."""
        started = self._clock()
        response = self._answer(request)
        ms = round((self._clock() - started) * 1000, 3)
        log.info(
            f"answered {response.status} in {ms:.1f} ms",
            extra={
                "request_id": request.request_id,
                "inference_id": request.headers.get(_INFERENCE_ID),
                "custom_attributes": request.headers.get(_CUSTOM_ATTRIBUTES),
                "status": response.status,
                "bytes_in": len(request.body),
                "bytes_out": len(response.body),
                "ms": ms,
            },
        )
        return response

    def _answer(self, request: Request) -> Response:
        try:
            loaded = self.loading.load()
        except NotReadyError as error:
            return self._not_ready(error)
        except ServingError as error:
            log.exception("the model cannot be served", extra={"request_id": request.request_id})
            return self._not_ready(error)
        try:
            return _predicted_or_refused(loaded, request, self._default_accept)
        except BaseException as error:
            if is_meant_for_the_process(error):
                raise
            return _failed(request)

    def _not_ready(self, error: ServingError) -> Response:
        details = {"state": self.loading.state}
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "NotReady", str(error), details)


def _failed(request: Request) -> Response:
    """Log the exception at hand, with its traceback, under the request's id; tell the caller the id only."""
    log.exception("the algorithm failed", extra={"request_id": request.request_id})
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "The algorithm failed; its traceback is in the log under this id.",
        {"id": request.request_id},
    )


def _predicted_or_refused(loaded: LoadedModel, request: Request, default_accept: str) -> Response:
    try:
        return _predicted(loaded, request, default_accept)
    except RequestError as error:  # the user's code may raise its own, with details that cannot be sent
        return refusal(error)


def _predicted(loaded: LoadedModel, request: Request, default_accept: str) -> Response:
    """Send a request through the user's functions, and through our codecs where there is no function.

    Raises:
        RequestError: the caller did something wrong.
        BaseException: whatever the user's functions raise.
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
        inference_id=request.headers.get(_INFERENCE_ID),
        custom_attributes=request.headers.get(_CUSTOM_ATTRIBUTES),
        content_type=request.content_type,
        accept=request.accept,
        headers=request.headers,
    )


def _accepted(algorithm: Algorithm, accept: str | None, default: str) -> str:
    """Settle the answer's media type before anything is computed; a function of the user's may know more."""
    choose = preferred if algorithm.output_fn or algorithm.transform_fn else negotiate
    return choose(accept, tuple(ENCODERS), default)


def _data(loaded: LoadedModel, body: bytes, content_type: MediaType, context: Context) -> Any:  # noqa: ANN401 - whatever input_fn returns
    if loaded.algorithm.input_fn:
        return loaded.algorithm.input_fn(_user_body(body, content_type), content_type.name, context)
    data = decode(body, content_type, loaded.n_features)
    if not loaded.allow_nan:
        refuse_missing(data)
    return data


def _user_body(body: bytes, content_type: MediaType) -> str | bytes:
    """Return what the user's own function gets: text for the types that are text, else bytes."""
    is_text = content_type.name in _TEXT_TYPES
    return text_of(body, content_type.parameters.get("charset")) if is_text else body


def _response(result: Any, accept: str, context: Context) -> Response:  # noqa: ANN401 - as output_fn
    """Take what output_fn or transform_fn returned: a body, a body and its type, or any value for JSON.

    Strings and bytes go out as they are, as from AWS's own containers.
    """
    match result:
        case (body, str(content_type)) if isinstance(result, tuple):
            media = media_type(content_type).name
        case str() | bytes() | bytearray() | memoryview():
            body, content_type, media = result, accept, accept
        case body:
            content_type, media = JSON, JSON
    match body:
        case str():
            encoded = body.encode("utf-8", "replace")
        case bytes() | bytearray() | memoryview():
            encoded = bytes(body)
        case _:
            encoded = encode(body, media if media in ENCODERS else JSON)
    return Response(200, encoded, _header_value("Content-Type", content_type), _checked_headers(context))


def _checked_headers(context: Context) -> dict[str, str]:
    """Return the headers that the user's code set (ValueError where one would break the answer)."""
    for name in context.response_headers:
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _HEADERS_OF_OURS:
            raise ValueError(
                f"context.response_headers has {name!r}. Use letters, digits and hyphens, and none of "
                f"{', '.join(sorted(_HEADERS_OF_OURS))}; output_fn returns a Content-Type beside its body."
            )
    return {name: _header_value(name, value) for name, value in context.response_headers.items()}


def _header_value(name: str, value: str) -> str:
    if not _HEADER_VALUE.fullmatch(value):
        raise ValueError(f"The header {name} is {value!r}. Use visible ASCII characters only.")
    return value
