"""A plane as an ASGI application: what a web server such as uvicorn runs. Bodies stream both ways."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from byoc.local.wire import Plane, Request, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_WITHOUT_LENGTH = (204, 304)


class ClientGoneError(ConnectionError):
    """The client hung up before its request was complete; nobody reads an answer."""


def asgi_app(plane: Plane) -> AsgiApp:
    """Return the application that answers every HTTP request by the plane (no lifespan, no websockets).

    A plane that raises ClientGoneError, which reading a request's body does, is not answered at all; every
    other exception is the web server's to report. The iterator of a response's body is closed (`aclose`)
    in any case, at once when the client hangs up.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"got {scope['type']!r}. Run the web server with lifespan='off', ws='none'.")
        body = _Body(receive)
        try:
            response = await plane(_request(scope, body))
        except ClientGoneError:
            return
        await _answer(response, scope, body, send)

    return application


def _request(scope: Scope, body: "_Body") -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    path = scope.get("raw_path") or scope["path"].encode()
    return Request(
        scope["method"], path.decode("latin-1"), scope["query_string"].decode("latin-1"), headers, body
    )


async def _answer(response: Response, scope: Scope, request: "_Body", send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": _headers(response, scope, request),
        }
    )
    if isinstance(response.body, bytes):
        await send({"type": "http.response.body", "body": response.body})
        return
    gone = asyncio.ensure_future(request.hung_up()) if request.ended else None
    try:
        async for piece in response.body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if gone and gone.done():
                return
        await send({"type": "http.response.body"})
    finally:
        if gone:
            gone.cancel()
        if close := getattr(response.body, "aclose", None):
            await close()


def _headers(response: Response, scope: Scope, request: "_Body") -> list[tuple[bytes, bytes]]:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if isinstance(response.body, bytes) and response.status not in _WITHOUT_LENGTH:
        headers.setdefault("content-length", str(len(response.body)))
    if not request.begun and any(name.lower() == b"expect" for name, _ in scope["headers"]):
        # The client may still send the body, or may not: what comes next is not to be taken for a request.
        headers["connection"] = "close"
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


class _Body(AsyncIterator[bytes]):
    """The body of a request, as it arrives."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.begun = self.ended = False

    async def __anext__(self) -> bytes:
        while not self.ended:
            self.begun = True
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError("the client hung up while it sent its request")
            self.ended = not message.get("more_body", False)
            if piece := message.get("body", b""):
                return bytes(piece)
        raise StopAsyncIteration

    async def hung_up(self) -> None:
        """Return when the client is gone; only once the body has ended."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
