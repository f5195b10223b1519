"""What comes to /invocations and what goes back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from byoc_serving.errors import RequestError

JSON = "application/json"


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


def refusal(error: RequestError) -> Response:
    """Return what the caller is told of their own mistake."""
    code = type(error).__name__.removesuffix("Error")
    return error_response(error.status, code, str(error), error.details)


def error_response(
    status: int, code: str, message: str, details: Mapping[str, object] | None = None
) -> Response:
    """Return an error in the shape of all our errors: {"error": {"code", "message", ...details}}."""
    error = {"code": code, "message": message, **(details or {})}
    return Response(status, json.dumps({"error": error}, default=str).encode() + b"\n", JSON)
