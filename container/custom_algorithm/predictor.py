"""The Flask app: receives a request, asks the algorithm, answers. Complete under any WSGI server."""

import contextlib
import functools
import logging
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import flask
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from byoc_serving.call_log import log_call
from byoc_serving.calls import Headers, Request, Response, error_response, refusal, request_id_of
from byoc_serving.copies import Copies
from byoc_serving.description import description_of
from byoc_serving.errors import MethodNotAllowedError, NotFoundError, PayloadTooLargeError
from byoc_serving.invocation import Invocations
from byoc_serving.logs import log_to_stdout
from byoc_serving.memory import Memory
from byoc_serving.messages import too_large_message
from byoc_serving.metrics.page import CONTENT_TYPE, page
from byoc_serving.models.api import REFUSAL, answered, called_model, invoked
from byoc_serving.models.models import Models
from byoc_serving.process_metrics import metrics_of, report_calls
from byoc_serving.settings import MEGABYTE, Settings, environment, settings_from
from byoc_serving.supervision.cores import available_cores
from byoc_serving.supervision.memory import available_memory
from byoc_serving.transform_job import execution_parameters
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
    served: Invocations | Models = invocations
    if settings.multi_model:
        served = Models(settings, Copies(Memory(settings.models_mb)), note, finish)
        _serve_many(app, served)
    else:
        _serve_one(app, invocations, settings)
    _add_descriptions(app, settings, served)
    report_calls(served, settings)

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> flask.Response:
        answer = _sent(_refusal(error, settings))
        answer.headers.extend({k: v for k, v in error.get_headers() if k not in answer.headers})
        return answer

    return app


def _serve_one(app: flask.Flask, invocations: Invocations, settings: Settings) -> None:
    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> flask.Response:
        """Say whether requests are answered."""
        invocations.loading.start()
        state, reason = invocations.loading.state, invocations.loading.reason
        if state == "ready":
            return flask.jsonify(status=state)
        answer = flask.jsonify(status=state, reason=reason)
        answer.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @app.post("/invocations")
    def invoke() -> flask.Response:
        """Predict."""
        return _sent(invocations.respond(_received(flask.request)))

    @app.get("/execution-parameters")
    def tell_transform_job() -> flask.Response:
        """Say what batch transform may send."""
        return flask.jsonify(execution_parameters(settings, available_cores(), available_memory()))

    app.extensions["invoke"] = invoke  # by which byoc_serving.door sees that it is still this one


def _serve_many(app: flask.Flask, models: Models) -> None:
    """Add the API of SageMaker's multi-model endpoints, which have no /invocations."""
    app.extensions["models"] = models

    @app.route("/ping", methods=["GET", "POST"])
    def ping() -> flask.Response:
        """Say whether requests are answered."""
        return flask.jsonify(status="ready")

    @app.route("/models", methods=["GET", "POST"])
    @app.route("/models/<path:_name>", methods=["GET", "DELETE"], merge_slashes=False)
    def manage(_name: str = "") -> flask.Response:
        """Load, unload or list models."""
        request, target = flask.request, _target("/models", _name)
        return _sent(answered(models, request.method, target, request.args, _body(request)))

    @app.post("/models/<path:_name>/invoke", merge_slashes=False)
    def invoke(_name: str) -> flask.Response:
        """Predict by one of the models."""
        name = called_model(_target("/models", _name, "/invoke").encode("latin-1"))
        if name is None:
            flask.abort(HTTPStatus.NOT_FOUND)
        request = flask.request
        return _sent(invoked(models, name, _received(request), request.environ.get(REFUSAL)))

    app.extensions["invoke"] = invoke


def _add_descriptions(app: flask.Flask, settings: Settings, served: Invocations | Models) -> None:
    @app.get("/metrics")
    def metrics() -> flask.Response:
        """Say how it goes, as Prometheus has it."""
        return app.response_class(page(metrics_of(served, settings)), content_type=CONTENT_TYPE)

    @app.get("/openapi.json")
    def describe() -> flask.Response:
        """Say what is served, as OpenAPI has it."""
        return flask.jsonify(description_of(app, served, settings))


def _target(before: str, name: str, behind: str = "") -> str:
    """Return a request's path as it was sent, in which a name may hold a quoted slash.

    Where the server does not say how it was sent, it is put together anew.
    """
    environ = flask.request.environ
    sent = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    return str(sent) if sent else f"{before}/{quote(name, safe='')}{behind}" if name else before


def _received(request: flask.Request) -> Request:
    headers = Headers(request.headers)
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
            calls = "/models/NAME/invoke" if settings.multi_model else "/invocations"
            return refusal(NotFoundError(f"There is no {path} here. POST to {calls}, GET /ping or /metrics."))
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
