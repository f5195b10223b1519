"""InvokeEndpoint: one request to one program of the endpoint, as the contract of the container has it."""

import re
import uuid
from collections.abc import Mapping
from typing import Protocol

from byoc.local.errors import AwsError, unknown_operation
from byoc.local.hosting import refusals
from byoc.local.hosting.connection import Answer, BrokenError, TooLargeError
from byoc.local.hosting.routes import Choice, Routes
from byoc.local.hosting.upstream import MOST_BYTES, UnreachableError, Upstream
from byoc.local.wire import Request, Response

PATIENCE_S = 60.0  # AWS, "Custom Inference Code with Hosting Services": how containers respond to requests

_PATH = re.compile(r"/endpoints/([^/]+)/(invocations|async-invocations|invocations-response-stream)")
_OPERATIONS = {
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
_SESSION = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*|NEW_SESSION")

# What reaches the container, of what InvokeEndpoint takes (AWS Marketplace, "Request headers"), with the
# longest value that the service's model allows.
_FORWARDED = {
    "content-type": ("Content-Type", "contentType", 1024),
    "accept": ("Accept", "accept", 1024),
    "x-amzn-sagemaker-custom-attributes": ("X-Amzn-SageMaker-Custom-Attributes", "customAttributes", 1024),
    "x-amzn-sagemaker-inference-id": ("X-Amzn-SageMaker-Inference-Id", "inferenceId", 64),
    "x-amzn-sagemaker-session-id": ("X-Amzn-SageMaker-Session-Id", "sessionId", 256),
}
_RETURNED = {
    "content-type": "Content-Type",
    "x-amzn-sagemaker-custom-attributes": "X-Amzn-SageMaker-Custom-Attributes",
    "x-amzn-sagemaker-new-session-id": "X-Amzn-SageMaker-New-Session-Id",
    "x-amzn-sagemaker-closed-session-id": "X-Amzn-SageMaker-Closed-Session-Id",
}
_REFUSED = ("x-amzn-sagemaker-target-container-hostname", "x-amzn-sagemaker-inference-component")
_SESSION_ID = "x-amzn-sagemaker-session-id"


class Endpoints(Protocol):
    """What InvokePlane asks of whoever keeps the endpoints."""

    @property
    def routes(self) -> Routes:
        """The programs that answer."""

    def status(self, endpoint: str) -> str | None:
        """Return an endpoint's EndpointStatus, None where there is none."""


class Place(Protocol):
    """The part of World that InvokePlane needs."""

    @property
    def account(self) -> str:
        """The account's number."""

    @property
    def region(self) -> str:
        """The region's name."""


class InvokePlane:
    """The data plane; `patience_s` is how long a program may take to answer.

    Every error comes back as a Response, as the runtime's protocol (REST JSON) has it.
    """

    def __init__(self, world: Place, endpoints: Endpoints, patience_s: float = PATIENCE_S) -> None:
        self._world = world
        self._endpoints = endpoints
        self._patience_s = patience_s

    async def __call__(self, request: Request) -> Response:
        """Answer one request of the runtime."""
        try:
            return await self._answer(request)
        except AwsError as error:
            headers = {
                "Content-Type": "application/json",
                "x-amzn-ErrorType": error.code,
                "x-amzn-RequestId": str(uuid.uuid4()),
            }
            return Response(error.status, refusals.encoded(error), headers)

    def _where(self, endpoint: str) -> refusals.Where:
        return refusals.Where(endpoint, self._world.region, self._world.account)

    async def _answer(self, request: Request) -> Response:
        found = _PATH.fullmatch(request.path)
        if found is None or request.method != "POST":
            raise unknown_operation(f"{request.method} {request.path}")
        endpoint, kind = found.groups()
        if kind in _OPERATIONS:
            raise unknown_operation(_OPERATIONS[kind])
        self._check(endpoint, request.headers)
        body = await _read(request)
        head = _head(request.headers, len(body))
        return await self._invoke(
            endpoint, request.headers.get("x-amzn-sagemaker-target-variant"), head, body
        )

    def _check(self, endpoint: str, headers: Mapping[str, str]) -> None:
        """Raise what is wrong with a request before its body is read."""
        if self._endpoints.routes.variants(endpoint) is None:
            status = self._endpoints.status(endpoint)
            raise refusals.no_such_endpoint(self._where(endpoint), status)
        if "x-amzn-sagemaker-target-model" in headers:
            raise refusals.no_multi_model(endpoint)
        for name in _REFUSED:
            if name in headers:
                raise refusals.no_such_feature(endpoint, name)
        for name, (_, member, longest) in _FORWARDED.items():
            if len(headers.get(name, "")) > longest:
                constraint = f"Member must have length less than or equal to {longest}"
                raise refusals.malformed(member, headers[name], constraint)
        session = headers.get(_SESSION_ID)
        if session is not None and not _SESSION.fullmatch(session):
            constraint = f"Member must satisfy regular expression pattern: {_SESSION.pattern}"
            raise refusals.malformed("sessionId", session, constraint)

    async def _invoke(self, endpoint: str, variant: str | None, head: bytes, body: bytes) -> Response:
        """Send the request to one program, and to another one where that takes no connection."""
        tried: list[Upstream] = []
        while choice := self._endpoints.routes.choose(endpoint, variant, tried):
            try:
                answer = await choice.upstream.exchange(head, body, self._patience_s)
            except UnreachableError:
                tried.append(choice.upstream)
                continue
            except (TimeoutError, BrokenError, TooLargeError) as error:
                raise self._failed(endpoint, error) from error
            finally:
                self._endpoints.routes.release(choice)
            return self._response(endpoint, choice, answer)
        raise self._nobody(endpoint, variant, tried)

    def _response(self, endpoint: str, choice: Choice, answer: Answer) -> Response:
        if not 200 <= answer.status < 300:
            text = answer.body[: refusals.MOST_TEXT * 4].decode(errors="replace")
            raise refusals.model_error(self._where(endpoint), answer.status, text)
        headers = {
            "x-amzn-RequestId": str(uuid.uuid4()),
            "x-Amzn-Invoked-Production-Variant": choice.variant,
        }
        for name, sent in _RETURNED.items():
            if name in answer.headers:
                headers[sent] = answer.headers[name]
        # The developer guide has the container answer a new session under this name, and the client read
        # it under the other.
        if _SESSION_ID in answer.headers:
            headers.setdefault("X-Amzn-SageMaker-New-Session-Id", answer.headers[_SESSION_ID])
        return Response(200, answer.body, headers)

    def _failed(self, endpoint: str, error: Exception) -> AwsError:
        where = self._where(endpoint)
        if isinstance(error, TimeoutError):
            return refusals.timed_out(where)
        if isinstance(error, BrokenError) and not error.begun:
            told = "An error occurred while handling request as the model process exited."
            return refusals.model_error(where, 0, told)
        return refusals.model_error(where, 0, f"{error}.")

    def _nobody(self, endpoint: str, variant: str | None, tried: list[Upstream]) -> AwsError:
        """Return the error where no program is left that could answer."""
        variants = self._endpoints.routes.variants(endpoint)
        if variants is None:
            status = self._endpoints.status(endpoint)
            return refusals.no_such_endpoint(self._where(endpoint), status)
        if variant is not None and variant not in variants:
            return refusals.no_such_variant(variant, self._where(endpoint), variants)
        names = ", ".join(upstream.name for upstream in tried) or "none"
        told = f"No instance takes a connection (tried: {names}). One that has ended is being replaced."
        return refusals.model_error(self._where(endpoint), 0, told)


async def _read(request: Request) -> bytes:
    """Return the whole body; raise AWS's refusal as soon as it is known to be too large."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MOST_BYTES:
        raise refusals.too_large()
    pieces = []
    size = 0
    async for piece in request.body:
        size += len(piece)
        if size > MOST_BYTES:
            raise refusals.too_large()
        pieces.append(piece)
    return b"".join(pieces)


def _head(headers: Mapping[str, str], length: int) -> bytes:
    """Return the head of the request that the container gets."""
    lines = ["POST /invocations HTTP/1.1", "Host: localhost:8080", f"Content-Length: {length}"]
    lines += [f"{sent}: {headers[name]}" for name, (sent, _, _) in _FORWARDED.items() if name in headers]
    return "\r\n".join([*lines, "\r\n"]).encode("latin-1")
