import asyncio

import pytest

from byoc.local.asgi import asgi_app
from byoc.local.wire import Response


class Pieces:
    """A body in pieces, which knows whether it was closed."""

    def __init__(self, *pieces):
        self.left = list(pieces)
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        return self.left.pop(0)

    async def aclose(self):
        self.closed = True


def answered(plane, *messages, method="GET", headers=()):
    """Run the application on one request; return the messages that it sends."""
    scope = {
        "type": "http",
        "method": method,
        "path": "/decoded",
        "raw_path": b"/a%20b/../c",
        "query_string": b"q=%C3%BC",
        "headers": list(headers),
    }
    sent, left = [], list(messages or [{"type": "http.request", "body": b"", "more_body": False}])

    async def receive():
        if left:
            return left.pop(0)
        return await asyncio.Future()

    async def send(message):
        sent.append(message)

    asyncio.run(asgi_app(plane)(scope, receive, send))
    return sent


def test_a_plane_sees_the_request_as_it_came():
    seen = []

    async def plane(request):
        seen.append((request, await request.read()))
        return Response(200)

    answered(
        plane,
        {"type": "http.request", "body": b"one ", "more_body": True},
        {"type": "http.request", "body": b"two"},
        method="PUT",
        headers=[(b"X-Amz-Meta", b"caf\xe9")],
    )
    ((request, body),) = seen
    assert (request.method, request.path, request.query) == ("PUT", "/a%20b/../c", "q=%C3%BC")
    assert (request.headers, body) == ({"x-amz-meta": "café"}, b"one two")


def test_an_answer_of_bytes_has_its_length():
    async def plane(_request):
        return Response(404, b"none", {"Content-Type": "text/plain"})

    start, body = answered(plane)
    assert start["status"] == 404
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"4")]
    assert body["body"] == b"none"


def test_the_length_that_the_plane_gives_stands():
    async def plane(_request):
        return Response(200, headers={"Content-Length": "1000"})

    assert answered(plane, method="HEAD")[0]["headers"] == [(b"content-length", b"1000")]


def test_an_answer_without_content_has_no_length():
    async def plane(_request):
        return Response(204)

    assert answered(plane)[0]["headers"] == []


def test_pieces_are_sent_as_they_come_and_closed_at_the_end():
    body = Pieces(b"one", b"two")

    async def plane(request):
        await request.read()
        return Response(200, body)

    sent = answered(plane)
    assert [(one["body"], one["more_body"]) for one in sent[1:-1]] == [(b"one", True), (b"two", True)]
    assert not sent[-1].get("more_body")
    assert body.closed


def test_nothing_more_is_read_for_a_client_that_is_gone():
    body = Pieces(*[b"piece"] * 100)

    async def plane(request):
        await request.read()
        return Response(200, body)

    sent = answered(plane, {"type": "http.request", "body": b""}, {"type": "http.disconnect"})
    assert len(sent) < 10
    assert body.closed
    assert body.left


def test_a_client_that_hangs_up_while_it_sends_gets_no_answer():
    async def plane(request):
        await request.read()
        return Response(200)

    cut_off = {"type": "http.request", "body": b"hal", "more_body": True}
    assert answered(plane, cut_off, {"type": "http.disconnect"}) == []


def test_a_connection_ends_where_an_announced_body_was_not_awaited():
    async def plane(_request):
        return Response(400)

    (start, _) = answered(plane, headers=[(b"expect", b"100-continue")])
    assert (b"connection", b"close") in start["headers"]


def test_other_protocols_are_refused():
    with pytest.raises(ValueError, match="lifespan='off'"):
        asyncio.run(asgi_app(None)({"type": "lifespan"}, None, None))
