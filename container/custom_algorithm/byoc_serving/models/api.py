"""The multi-model API over HTTP, without any web framework: paths, bodies and statuses.

https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html has what SageMaker sends and expects.
"""

import json
import logging
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from byoc_serving.calls import Request, Response, error_response, refusal
from byoc_serving.errors import (
    BadRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RequestError,
    ServingError,
)
from byoc_serving.formats.negotiation import JSON
from byoc_serving.models.models import Models
from byoc_serving.streams import until_sent

log = logging.getLogger("models")

_PATH = re.compile(r"/models(?:/([^/?]+)(/invoke)?)?(?:\?.*)?")

# Where the fast door tells the application, in WSGI's environ, why a model could not be brought into memory.
REFUSAL = "byoc_serving.refusal"

# The methods of a path, by whether it names a model and whether it calls it.
_TAKEN = {
    (False, False): ("GET", "HEAD", "POST"),
    (True, False): ("DELETE", "GET", "HEAD"),
    (True, True): ("POST",),
}


def is_of_models(target: bytes) -> bool:
    """Whether a request's target, as it was sent, is one of this API."""
    return target.startswith(b"/models") and _PATH.fullmatch(target.decode("latin-1")) is not None


def called_model(target: bytes) -> str | None:
    """Return the name of the model that a target calls, None where it calls none."""
    match = _PATH.fullmatch(target.decode("latin-1")) if target.startswith(b"/models/") else None
    return unquote(match[1]) if match and match[2] else None


def answered(models: Models, method: str, target: str, query: Mapping[str, str], body: bytes) -> Response:
    """Return the answer to a request that loads, unloads or lists models.

    Args:
        models: of this container.
        method: of HTTP.
        target: as it was sent, so that a name may have any character.
        query: the parameters behind it.
        body: of the request.
    """
    match = _PATH.fullmatch(target)
    try:
        if match is None:
            raise NotFoundError(f"There is no {target} here. A slash in a model's name is sent as %2F.")
        name = unquote(match[1]) if match[1] else None
        taken = _TAKEN[name is not None, match[2] is not None]
        match "GET" if method == "HEAD" else method, name:
            case wrong, _ if wrong not in taken:
                raise MethodNotAllowedError(f"{target} does not take {method}.", allow=taken)
            case "POST", None:
                return _told(models.load(*_asked(body)).document)
            case "DELETE", str():
                models.unload(name)
                return _told({})
            case _, str():
                return _told(models.describe(name).document)
        return _listed(models, query.get("next_page_token"))
    except ServingError as error:
        return refused(error)


def invoked(models: Models, name: str, request: Request, refusal: Response | None = None) -> Response:
    """Return the answer to a call of a model, which is brought into memory first where it is not.

    Args:
        models: of this container.
        name: of the one that is called.
        request: as it came.
        refusal: what is answered where that has failed already.
    """
    if refusal:
        models.note_unheld(name, request, refusal)
        return refusal
    try:
        held = models.hold(name)
    except ServingError as error:
        response = refused(error)
        models.note_unheld(name, request, response)
        return response
    try:
        response = held.invocations.respond(request)
    except BaseException:
        held.release()
        raise
    return until_sent(response, held.release)


def refused(error: ServingError) -> Response:
    """Return the answer to a request that a model could not be loaded or found for."""
    if isinstance(error, RequestError):
        return refusal(error)
    log.error("a model cannot be served", exc_info=error)
    return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, "ModelUnusable", str(error))


def _asked(body: bytes) -> tuple[str, str]:
    """Return the name and url of the model to load."""
    try:
        asked = json.loads(body)
        name, url = asked["model_name"], asked["url"]
        f"{name}{url}".encode()  # JSON may have half a surrogate pair, which is no text
    except (ValueError, LookupError, TypeError, RecursionError):
        name = url = None
    if not (isinstance(name, str) and name and isinstance(url, str)):
        raise BadRequestError('Send {"model_name": "NAME", "url": "/opt/ml/models/NAME/model"} as JSON.')
    return name, url


def _listed(models: Models, token: str | None) -> Response:
    entries, following = models.listed(token)
    more = {"nextPageToken": following} if following else {}
    return _told({"models": [entry.document for entry in entries], **more})


def _told(document: Mapping[str, Any]) -> Response:
    return Response(HTTPStatus.OK, json.dumps(document).encode() + b"\n", JSON)
