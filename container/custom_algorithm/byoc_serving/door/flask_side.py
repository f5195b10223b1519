"""Hands a request to a WSGI application (PEP 3333), and takes its answer as a response."""

import io
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Any
from urllib.parse import unquote_to_bytes

from byoc_serving.calls import Response
from byoc_serving.door.head import Head
from byoc_serving.streams import Stream, close

Application = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]

_NOT_HTTP = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
# Ours to say: they are of the connection, not of the answer.
_OF_THE_CONNECTION = {"content-type", "content-length", "connection", "transfer-encoding"}


def response_of(application: Application, environ: dict[str, Any]) -> Response:
    """Return what an application answers; it has failed where this raises.

    Args:
        application: of WSGI.
        environ: of the request, as environ_of has it.
    """
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        started[:] = [int(status.partition(" ")[0]), headers]

    pieces = application(environ, start_response)
    chunks = Stream(pieces, partial(close, pieces))
    first = next(chunks, b"")  # an application may start its response as late as here
    status, headers = started
    named = {name.lower(): value for name, value in headers}
    is_asked_for_head = environ["REQUEST_METHOD"] == "HEAD"  # then the length is that of what would be sent
    ours = _OF_THE_CONNECTION - {"content-length"} if is_asked_for_head else _OF_THE_CONNECTION
    others = [(name, value) for name, value in headers if name.lower() not in ours]
    is_whole = "content-length" in named and not is_asked_for_head
    content = first + b"".join(chunks) if is_whole else Stream(chain([first], chunks), chunks.close)
    once = dict(reversed(others))
    repeated = [pair for pair in others if once[pair[0]] != pair[1]]
    return Response(status, content, named.get("content-type", "application/octet-stream"), once, repeated)


def environ_of(head: Head, body: bytes, address: tuple[str, int], multithread: bool) -> dict[str, Any]:
    """Return a request as PEP 3333 has it.

    Args:
        head: of the request.
        body: of the request, whole.
        address: where we listen.
        multithread: whether the application may be asked by another thread meanwhile.
    """
    path, _, query = head.target.decode("latin-1").partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": head.method.decode("latin-1"),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": head.target.decode("latin-1"),
        "SERVER_NAME": address[0],
        "SERVER_PORT": str(address[1]),
        "SERVER_PROTOCOL": "HTTP/1.0" if head.is_1_0 else "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in head.items():
        environ[_NOT_HTTP.get(name) or f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ
