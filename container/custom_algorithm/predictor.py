"""The Flask app: receives a request, asks the algorithm, answers. Complete under any WSGI server."""

import atexit
import contextlib
import functools
import logging
import os
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path

import flask
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from byoc_serving.call_log import log_call
from byoc_serving.calls import Call, Request, Response, error_response, refusal, request_id_of
from byoc_serving.errors import MethodNotAllowedError, NotFoundError, PayloadTooLargeError
from byoc_serving.invocation import Invocations
from byoc_serving.logs import log_to_stdout
from byoc_serving.messages import too_large_message
from byoc_serving.metrics.emf import Reports
from byoc_serving.metrics.families import Family, Standing, families
from byoc_serving.metrics.page import CONTENT_TYPE, page
from byoc_serving.settings import MEGABYTE, Settings, environment, settings_from
from byoc_serving.supervision.standing import families_of, memory_of
from byoc_serving.warming import warm_up

_UNREAD_AT_MOST = 256 * MEGABYTE


class JsonByDefault(flask.Response):
    """Also where Flask makes the response, as for OPTIONS."""

    default_mimetype = "application/json"


def create_app(settings: Settings | None = None, model_dir: Path | None = None) -> flask.Flask:
    """Return the app; nothing is loaded before the first request, or `invocations.load()`.

    Args:
        settings: those of the environment, if not given; then logging is set up too, where nobody has.
        model_dir: where the model is; the settings' own if not given.
    """
    if settings is None:
        settings = settings_from(environment())
        if not logging.getLogger().handlers:  # a plain WSGI server; `serve` has its own
            log_to_stdout(settings.log_level)
    note = functools.partial(log_call, bodies=settings.log_bodies)
    # Under `serve` each worker warms its model up after the fork.
    finish = (lambda model: model) if settings.run_dir else warm_up
    invocations = Invocations(settings, model_dir, note=note, finish=finish)
    app = flask.Flask(__name__, static_folder=None)
    app.response_class = JsonByDefault
    app.config["MAX_CONTENT_LENGTH"] = settings.max_payload_bytes
    app.extensions["invocations"] = invocations
    if settings.metrics == "emf" and not settings.run_dir:
        report_calls(invocations, lambda: _families(settings, invocations), settings.metrics_namespace)

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> flask.Response:
        invocations.loading.start()
        state, reason = invocations.loading.state, invocations.loading.reason
        if state == "ready":
            return flask.jsonify(status=state)
        answer = flask.jsonify(status=state, reason=reason)
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @app.post("/invocations")
    def invoke() -> flask.Response:
        return _sent(invocations.respond(_received(flask.request)))

    @app.get("/metrics")
    def metrics() -> flask.Response:
        return app.response_class(page(_families(settings, invocations)), content_type=CONTENT_TYPE)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> flask.Response:
        answer = _sent(_refusal(error, settings))
        answer.headers.extend({k: v for k, v in error.get_headers() if k not in answer.headers})
        return answer

    app.extensions["invoke"] = invoke  # by which byoc_serving.door sees that it is still this one
    return app


def report_calls(invocations: Invocations, gather: Callable[[], Sequence[Family]], namespace: str) -> Reports:
    """Report from this process alone: with a call where a minute has passed, and at the end."""
    reports = Reports(gather, namespace, lambda line: os.write(1, line))
    note = invocations.note

    def note_and_report(call: Call) -> None:
        note(call)
        reports.tick()

    invocations.note = note_and_report
    atexit.register(reports.report)
    return reports


def _families(settings: Settings, invocations: Invocations) -> list[Family]:
    """Return every metric: of all workers under `serve`, else of this process."""
    if settings.run_dir:
        return families_of(settings.run_dir)
    is_ready = invocations.loading.state == "ready"
    if is_ready:
        model = invocations.loading.load()
        invocations.meter.table.serve(model.name, model.version)
    standing = Standing(int(is_ready), invocations.in_flight, waiting=0, memory={0: memory_of()})
    return families([invocations.meter.table], standing)


def _received(request: flask.Request) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(
        body=_body(request),
        content_type=headers.get("content-type"),
        accept=headers.get("accept"),
        headers=headers,
        request_id=request_id_of(headers.get("x-request-id")),
    )


def _body(request: flask.Request) -> bytes:
    """Return the whole body or refuse: werkzeug alone cuts a stream off at the limit and says nothing."""
    body = request.get_data(cache=False)
    if request.content_length is None and len(body) == request.max_content_length:
        if request.environ["wsgi.input"].read(1):
            raise RequestEntityTooLarge
    elif len(body) < (request.content_length or 0):
        raise ClientDisconnected
    return body


def _sent(response: Response) -> flask.Response:
    answer = JsonByDefault(response.body, response.status, content_type=response.content_type)
    answer.headers.update(response.headers)
    return answer


def _refusal(error: HTTPException, settings: Settings) -> Response:
    """Say in JSON what Flask found wrong with a request."""
    match error.code:
        case HTTPStatus.NOT_FOUND:
            path = flask.request.path
            return refusal(
                NotFoundError(f"There is no {path} here. POST to /invocations, GET /ping or /metrics.")
            )
        case HTTPStatus.METHOD_NOT_ALLOWED:
            method = flask.request.method
            return refusal(MethodNotAllowedError(f"{flask.request.path} does not take {method}."))
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            _read_the_rest(flask.request)
            message = too_large_message(settings.max_payload_mb)
            return refusal(PayloadTooLargeError(message, limit_bytes=settings.max_payload_bytes))
    return error_response(error.code or 500, type(error).__name__, error.description or error.name)


def _read_the_rest(request: flask.Request) -> None:
    """Take in a refused body, within bounds: a client that is still sending would not see the answer."""
    unread = min(request.content_length or _UNREAD_AT_MOST, _UNREAD_AT_MOST)
    stream = request.environ["wsgi.input"]
    with contextlib.suppress(OSError):  # the client is gone
        while unread > 0 and (piece := stream.read(min(unread, 65_536))):
            unread -= len(piece)
