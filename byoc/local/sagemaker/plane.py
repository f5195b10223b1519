"""SageMaker's control plane on the wire: JSON 1.1, one operation per POST, named by X-Amz-Target."""

import asyncio
import json
import logging
import uuid
from collections.abc import Mapping

from byoc.local.errors import AwsError, unknown_operation, validation
from byoc.local.sagemaker import shapes
from byoc.local.wire import Request, Response
from byoc.local.world import Operation, World

_TARGET = "SageMaker."
_LARGEST_BODY = 4 * 1024 * 1024  # the largest request that the model allows is a fraction of this
_log = logging.getLogger(__name__)


class SageMakerPlane:
    """Answers every operation that there is; any other is refused by its name, never with a 5xx."""

    def __init__(self, world: World, operations: Mapping[str, Operation]) -> None:
        self._world = world
        self._operations = operations

    async def __call__(self, request: Request) -> Response:
        """Answer one request; the operation runs in a worker thread."""
        try:
            name = _operation_in(request)
            body = await _body_of(request)
            answer = await asyncio.to_thread(self._answer, name, body)
        except AwsError as error:
            written = {"__type": error.code, "message": error.message, **error.members}
            return _respond(error.status, json.dumps(written).encode())
        return _respond(200, answer)

    def _answer(self, name: str, body: bytes) -> bytes:
        model = shapes.operation(name)
        if name not in self._operations:
            raise unknown_operation(name)
        asked = shapes.validate(name, _parse(body))
        try:
            answer = self._operations[name](self._world, asked)
        except AwsError:
            raise
        except Exception as error:
            _log.exception("%s failed", name)
            words = f"The local SageMaker could not carry out {name}: {error!r}. Its own log has more."
            raise AwsError("InternalFailure", f"{words} Please report it.") from error
        return json.dumps(shapes.serialise(name, answer)).encode() if model.output_shape else b""


def _operation_in(request: Request) -> str:
    target = request.headers.get("x-amz-target", "")
    if request.method != "POST" or not target.startswith(_TARGET):
        raise unknown_operation(target or f"{request.method} {request.path}")
    return target.removeprefix(_TARGET)


async def _body_of(request: Request) -> bytes:
    pieces, size = [], 0
    async for piece in request.body:
        size += len(piece)
        if size > _LARGEST_BODY:
            raise validation(f"The request is larger than {_LARGEST_BODY} bytes.")
        pieces.append(piece)
    return b"".join(pieces)


def _parse(body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise AwsError("SerializationException", f"The request is not JSON: {error}") from None


def _respond(status: int, body: bytes) -> Response:
    headers = {"content-type": "application/x-amz-json-1.1", "x-amzn-requestid": str(uuid.uuid4())}
    return Response(status, body, headers)
