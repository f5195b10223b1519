"""What is served, as an OpenAPI 3.1 document: from the model version and the tables that serving goes by."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from byoc_serving import errors
from byoc_serving.algorithm import Algorithm
from byoc_serving.body_schema import Json, ref, table_schemas
from byoc_serving.formats.codecs import DECODERS, ENCODERS, encode, usable
from byoc_serving.formats.negotiation import JSON
from byoc_serving.formats.plain import UnencodableError
from byoc_serving.versions.manifest import Manifest
from byoc_serving.versions.schema import Column

_OF_TEXT = ("text/", "application/jsonl", "application/x-jsonl", "application/x-ndjson")
# Those that it does not answer, and what they all are.
_NOT_OF_INVOCATIONS = (
    errors.NotFoundError,
    errors.MethodNotAllowedError,
    errors.ConflictError,
    errors.RequestError,
)
_REFUSED = 400
# What the API for many models answers, beside its calls.
_OF_MODELS = {
    ("/models", "get"): {200: "The loaded models, 100 at most.", 400: "The page's token is none of ours."},
    ("/models", "post"): {
        200: "The model is loaded.",
        400: "The body names no folder.",
        409: "It was loaded already.",
        500: "It cannot be used: the reason.",
        507: "There is no memory for it.",
    },
    ("/models/{name}", "get"): {200: "Where the model is.", 404: "It is not loaded."},
    ("/models/{name}", "delete"): {200: "Its memory is free.", 404: "It is not loaded."},
}
# What any request to it may be answered.
_OF_ALL_MODELS = {413: "The body is over the limit.", 503: "Too many requests wait."}
_BY_NGINX = {
    408: "The rest of the request did not arrive in time.",
    414: "The path is too long.",
    501: "A version or encoding of HTTP that is not served.",
    502: "The worker ended before it answered.",
    504: "No worker answered in time.",
}
_NEXT_PAGE: Json = {
    "name": "next_page_token",
    "in": "query",
    "description": "The nextPageToken of the answer before.",
    "schema": {"type": "string"},
}
_ERROR: Json = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}
_HEALTH: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string"}, "reason": {"type": "string"}},
}
_MODEL: Json = {
    "type": "object",
    "required": ["model_name", "url"],
    "properties": {"model_name": {"type": "string", "minLength": 1}, "url": {"type": "string"}},
}
_PARAMETERS: Json = {
    "type": "object",
    "required": ["MaxConcurrentTransforms", "BatchStrategy", "MaxPayloadInMB"],
    "properties": {
        "MaxConcurrentTransforms": {"type": "integer", "minimum": 1},
        "BatchStrategy": {"enum": ["MULTI_RECORD", "SINGLE_RECORD"]},
        "MaxPayloadInMB": {"type": "integer", "minimum": 0, "maximum": 100},
    },
}


@dataclass(frozen=True)
class Route:
    """A path that is served, its methods, and one sentence on it."""

    path: str
    methods: Sequence[str]
    summary: str
    parameters: Sequence[str] = ()


@dataclass(frozen=True)
class Served:
    """What is known of the model behind the paths; None and False where it is not known, or not so."""

    manifest: Manifest | None = None
    columns: Sequence[Column] | None = None
    is_enforced: bool = False
    algorithm: Algorithm | None = None


def document(routes: Iterable[Route], served: Served) -> Json:
    """Return the document of some routes; those that have no words of their own here, by their summaries."""
    manifest = served.manifest
    paths: dict[str, Json] = {}
    for route in routes:
        operations = paths.setdefault(route.path, {})
        for method in map(str.lower, route.methods):
            operations[method] = {"summary": route.summary, **_operation(route, method, served)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name if manifest else "model",
            "version": manifest.version if manifest else "unversioned",
        },
        "paths": paths,
        "components": {
            "schemas": {
                "Error": _ERROR,
                "ExecutionParameters": _PARAMETERS,
                "Health": _HEALTH,
                "Model": _MODEL,
                **_tables(served),
            }
        },
    }


def _operation(route: Route, method: str, served: Served) -> Json:
    named: list[Json] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in route.parameters
    ]
    if (route.path, method) == ("/models", "get"):
        named.append(_NEXT_PAGE)
    exchange = _exchange(route.path, method, served)
    return {**exchange, "parameters": named} if named else exchange


def _exchange(path: str, method: str, served: Served) -> Json:
    """Return what a path takes and answers."""
    match path:
        case "/invocations":
            return {"requestBody": _request_body(served), "responses": _responses(served)}
        case "/models/{name}/invoke":
            unknown = _answers({404: "The model is not loaded."})
            return {"requestBody": _request_body(served), "responses": {**_responses(served), **unknown}}
        case "/ping":
            health = _content("Health")
            return {
                "responses": {
                    "200": {"description": "Requests are answered.", "content": health},
                    "503": {"description": "They are not yet, or no more: the reason.", "content": health},
                }
            }
        case "/execution-parameters":
            content = _content("ExecutionParameters")
            return {"responses": {"200": {"description": "For batch transform.", "content": content}}}
    if (path, method) in _OF_MODELS:
        takes = {"requestBody": {"required": True, "content": _content("Model")}} if method == "post" else {}
        told = {**_OF_MODELS[path, method], **_OF_ALL_MODELS, **_BY_NGINX}
        return {**takes, "responses": _answers({status: told[status] for status in sorted(told)})}
    return {"responses": {"default": {"description": "As its section of docs/serving.md says."}}}


def _request_body(served: Served) -> Json:
    algorithm = served.algorithm
    if algorithm and (algorithm.input_fn or algorithm.transform_fn):
        return {"description": f"What {algorithm.name} takes.", "required": True, "content": {"*/*": {}}}
    return {"required": True, "content": {name: _body(name, served) for name in usable(DECODERS)}}


def _body(media_type: str, served: Served) -> Json:
    rows = list(served.manifest.sample_rows) if served.manifest else []
    if media_type == JSON:
        unknown = {"description": "A table, as docs/serving.md has it, or any other value."}
        return {"schema": ref("Body") if _tables(served) else unknown, **_example(rows or None)}
    if media_type.startswith(_OF_TEXT):
        return {"schema": {"type": "string"}, **_example(_text(rows, media_type))}
    return {}


def _text(rows: Sequence[object], media_type: str) -> str | None:
    try:
        return encode(rows, media_type).decode() if rows and media_type in ENCODERS else None
    except UnencodableError:
        return None


def _example(value: object) -> Json:
    return {} if value is None else {"examples": {"sample rows": {"value": value}}}


def _tables(served: Served) -> dict[str, Json]:
    """Return the schemas of the tables that a model takes; none where their columns are not known."""
    manifest, columns = served.manifest, served.columns
    width = len(columns) if columns else manifest.n_features if manifest else None
    if width is None:
        return {}
    return table_schemas(columns, width, served.is_enforced, manifest.allow_nan if manifest else True)


def _responses(served: Served) -> Json:
    algorithm = served.algorithm
    anything = algorithm and (algorithm.output_fn or algorithm.transform_fn)
    good: Json = {"*/*": {}} if anything else {name: {} for name in usable(ENCODERS)}
    refused: dict[int, list[str]] = {500: ["The algorithm failed; its traceback is in the log."]}
    for kind in vars(errors).values():
        if (
            inspect.isclass(kind)
            and issubclass(kind, errors.RequestError)
            and kind not in _NOT_OF_INVOCATIONS
        ):
            said = (kind.__doc__ or "").splitlines()[0].rpartition(":")[0]
            refused.setdefault(int(kind.status), []).append(f"{said}.")
    refused[503] = ["The model is not loaded, or too many requests wait."]
    refused.update({status: [said] for status, said in _BY_NGINX.items()})
    told = _answers({status: " ".join(refused[status]) for status in sorted(refused)})
    return {str(int(HTTPStatus.OK)): {"description": "The predictions.", "content": good}, **told}


def _answers(said: Mapping[int, str]) -> Json:
    """Return answers by their status: those from 400 on are our errors."""
    return {
        str(status): {"description": words, **({"content": _content("Error")} if status >= _REFUSED else {})}
        for status, words in said.items()
    }


def _content(name: str) -> Mapping[str, object]:
    return {JSON: {"schema": ref(name)}}
