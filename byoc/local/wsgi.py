"""Calls a WSGI application (PEP 3333) in this process, without a web server."""

import io
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = Mapping[str, str]

# What our own web server writes itself; and moto would let any web page read its answers.
_DROPPED = {"date", "server", "connection", "content-length", "transfer-encoding"}
_DROPPED |= {"access-control-allow-origin", "access-control-allow-credentials"}


@dataclass(frozen=True)
class Call:
    """One request, whole."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What was answered to it."""

    status: int
    headers: Headers
    body: bytes


def through(app: WsgiApp, call: Call) -> Answer:
    """Return what an application answers to a call; what it raises comes through."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], None]:
        started.append((status, headers))
        return written.append

    pieces = app(_environ_of(call), start_response)
    try:
        written.extend(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    status, headers = started[-1]
    kept = {name: value for name, value in headers if name.lower() not in _DROPPED}
    return Answer(int(status.split()[0]), kept, b"".join(written))


def _environ_of(call: Call) -> dict[str, Any]:
    uri = f"{call.path}?{call.query}" if call.query else call.path
    host, _, port = call.headers.get("host", "127.0.0.1").partition(":")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": urllib.parse.unquote(call.path, "latin-1"),
        "QUERY_STRING": call.query,
        "REQUEST_URI": uri,
        "RAW_URI": uri,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": call.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(call.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers.items():
        if name not in ("content-type", "content-length", "transfer-encoding"):
            environ["HTTP_" + name.upper().replace("-", "_")] = value
    return environ
