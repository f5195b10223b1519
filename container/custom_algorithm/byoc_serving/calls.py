"""A request, its response, and all that becomes of one between the two."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, NamedTuple

from byoc_serving.errors import RequestError
from byoc_serving.formats.negotiation import JSON
from byoc_serving.messages import error_body

INFERENCE_ID = "x-amzn-sagemaker-inference-id"
CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"

_LONGEST_ID = 128
_ID = re.compile(rf"[\w.:-]{{1,{_LONGEST_ID}}}", re.ASCII)

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Headers(Mapping[str, str]):
    """The headers of a request, found by any spelling of their names (RFC 9110, 5.1), told in lower case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._named = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._named[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __len__(self) -> int:
        return len(self._named)


class Request(NamedTuple):
    """One POST to /invocations; its headers are found by any spelling of their names.

    A named tuple, as is Response, because a frozen dataclass takes three times as long to make.
    """

    body: bytes
    content_type: str | None
    accept: str | None
    headers: Mapping[str, str]
    request_id: str
    received_s: float | None = None  # of the clock of Invocations: whoever received it before it was its turn


class Response(NamedTuple):
    """What goes back, with any headers beside the Content-Type; a body of unknown length comes in chunks.

    Attributes:
        repeated: further headers, of names that are among `headers`, such as a second Set-Cookie.
    """

    status: int
    body: bytes | Iterator[bytes]
    content_type: str
    headers: Mapping[str, str] = NO_HEADERS
    repeated: Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Stages:
    """How far a prediction has come, of one call or of several together: seconds, of one clock.

    Attributes:
        began_s: when the bodies of all calls that were taken together began to be decoded.
        decoded_s: when they were; those of other predictions among them.
        predicting_s: when the prediction began.
        predicted_s: when it ended; 0 where nothing was predicted.
        encoded_s: when its answers were encoded.
        ended_s: when the answers of all calls that were taken together were there, to be sent.
        together: how many calls were predicted at once.
    """

    began_s: float
    decoded_s: float = 0.0
    predicting_s: float = 0.0
    predicted_s: float = 0.0
    encoded_s: float = 0.0
    ended_s: float = 0.0
    together: int = 1

    def waited_s(self, arrived_s: float) -> float:
        """Return how long a call that was predicted, and arrived then, was in none of the stages."""
        before_s = self.began_s - arrived_s + self.predicting_s - self.decoded_s
        return before_s + self.ended_s - self.encoded_s


@dataclass(slots=True)
class Call:
    """A request on its way to its response.

    Attributes:
        stages: which calls that are predicted together have in common.
        is_first: of those.
        model: the name by which it was called, where a container has several.
        model_version: that answers it; None where there is none, or it has no name.
        data: what predict_fn gets, once decoded.
        accept: the media type settled for the answer.
    """

    request: Request
    stages: Stages
    is_first: bool = True
    model: str | None = None
    model_version: str | None = None
    data: Any = None
    accept: str = JSON
    context: Any = None
    response: Response | None = None

    @property
    def answer(self) -> Response:
        """The response, which is there by now."""
        if self.response is None:
            raise RuntimeError("a call ended without a response")
        return self.response


def rows_of(data: Any) -> int | None:  # noqa: ANN401 - what predict_fn gets has every type
    """Return how many rows there are in an array, a frame or whatever else has the shape of one, or None."""
    shape = getattr(data, "shape", None)
    return shape[0] if isinstance(shape, tuple) and shape and isinstance(shape[0], int) else None


def answered_at_once(request: Request, response: Response, now_s: float, model: str | None = None) -> Call:
    """Return the call of a request that is answered without asking a model."""
    return Call(request, Stages(now_s, ended_s=now_s), model=model, response=response)


def request_id_of(given: str | None) -> str:
    """Return the id that a request came with, or a new one where it has none that can be shown."""
    if given and (
        (given.isalnum() and given.isascii() and len(given) <= _LONGEST_ID) or _ID.fullmatch(given)
    ):
        return given
    return uuid.uuid4().hex


def error_response(
    status: int, code: str, message: str, details: Mapping[str, object] | None = None
) -> Response:
    """Return an error as the response that says so in JSON."""
    return Response(status, error_body(code, message, details), JSON)


def refusal(error: RequestError) -> Response:
    """Return what the caller is told of their own mistake."""
    code = type(error).__name__.removesuffix("Error")
    response = error_response(error.status, code, str(error), error.details)
    return response._replace(headers=error.headers) if error.headers else response


def not_ready(reason: str, state: str) -> Response:
    """Return what is told while there is no model, or there never will be."""
    return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "NotReady", reason, {"state": state})
