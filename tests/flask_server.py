"""Runs the Flask app on loopback, behind either of the doors, for the tests."""

import asyncio
import contextlib
import dataclasses
import http.client
import json
import sys
import textwrap
import threading
from dataclasses import dataclass

import uvloop
from werkzeug.serving import make_server

from byoc_serving.door.behind import Door
from byoc_serving.door.turns import Turns
from byoc_serving.door.worker import aside_of
from byoc_serving.versions.manifest import Manifest, manifest_bytes, version_of

ECHO = """
def model_fn(model_dir):
    return {}

def predict_fn(data, model):
    return data
"""


def apps_with(folder, script):
    """Write apps/inference.py and return apps/."""
    apps = folder / "apps"
    apps.mkdir(parents=True, exist_ok=True)
    (apps / "inference.py").write_text(textwrap.dedent(script))
    return apps


def write_manifest(model_dir, **fields):
    """Write the manifest of a model version without files."""
    manifest = Manifest(
        name="model",
        version="",
        created="2026-11-20T23:15:44Z",
        git_commit=None,
        python="3.11.7",
        libraries={},
        metrics={},
        content_types=("text/csv",),
        **{"n_features": 2, "allow_nan": True, "sample_rows": (), "files": ()} | fields,
    )
    model_dir.mkdir(parents=True, exist_ok=True)
    named = dataclasses.replace(manifest, version=version_of(manifest))
    (model_dir / "manifest.json").write_bytes(manifest_bytes(named))


@contextlib.contextmanager
def own_imports():
    """Undo what binding an apps/ does to this interpreter's imports."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        sys.modules.pop("inference", None)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        assert self.headers["Content-Type"] == "application/json"
        return self.json["error"]


class Caller:
    """Sends requests to a port of loopback, each on a connection of its own."""

    def __init__(self, port, fast=None):
        self.port = port
        self.fast = fast

    def request(self, method, path, body=None, chunked=False, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        given = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        with contextlib.closing(connection):
            connection.request(method, path, body, given, encode_chunked=chunked)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def invoke(self, body, content_type=None, accept=None, **headers):
        encoded = body.encode() if isinstance(body, str) else body
        return self.request(
            "POST", "/invocations", encoded, Content_Type=content_type, Accept=accept, **headers
        )

    def stream(self, pieces):
        return self.request("POST", "/invocations", pieces, chunked=True, Transfer_Encoding="chunked")


@dataclass(frozen=True)
class Fast:
    """What runs a fast door: its loop, in a thread, and the turns of its requests."""

    loop: asyncio.AbstractEventLoop
    turns: Turns

    def call(self, act):
        """Do something in the loop, a coroutine too, and return what comes of it."""

        async def acting():
            done = act()
            return await done if asyncio.iscoroutine(done) else done

        return asyncio.run_coroutine_threadsafe(acting(), self.loop).result(20)


class UnwatchedSlot:
    """A worker's slot that nobody looks at."""

    def begin(self, _request_id, _inference_id=None):
        return 0

    def end(self, _place):
        pass

    def pass_by(self, _place, passed):
        pass

    def work(self):
        pass

    def work_on(self, _many):
        pass

    def rest(self):
        pass

    def answered(self, _place):
        pass


@contextlib.contextmanager
def fast_serving(app, **settings):
    """Serve our app through the fast door, in a thread; yield its Caller."""
    loop = uvloop.new_event_loop()
    served = app.extensions.get("models") or app.extensions["invocations"]
    door = Door(
        application=app,
        models=app.extensions.get("models"),
        **{
            "invocations": app.extensions["invocations"],
            "slot": UnwatchedSlot(),
            "meter": served.meter,
            "note": served.note,
            "after": lambda: None,
            "lives": lambda: None,
            "most_waiting": 1000,
            "most_bytes": app.config["MAX_CONTENT_LENGTH"],
            "wait_s": 0.0,
            "address": ("127.0.0.1", 8080),
        }
        | settings,
    )
    turns = Turns(door, loop.call_soon, loop.call_later, aside_of(loop))
    server = loop.run_until_complete(loop.create_server(turns.connection, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield Caller(server.sockets[0].getsockname()[1], Fast(loop, turns))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        turns.close_quiet_connections(0)
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()


@contextlib.contextmanager
def serving(app):
    """Serve a WSGI app in a thread; yield its Caller."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Caller(server.server_port)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DOORS = {"flask": serving, "fast": fast_serving}
