"""What every request comes to first: the fence, then the plane whose service it is signed for."""

import logging
import time
from dataclasses import dataclass

from byoc.local.asgi import ClientGoneError
from byoc.local.errors import AwsError, unknown_operation
from byoc.local.fence import Fence
from byoc.local.protocols import protocol_of, refusal
from byoc.local.wire import Plane, Request, Response

_log = logging.getLogger(__name__)
_RUNTIME = "/endpoints/"
_METRICS = "/BatchPutMetrics"


@dataclass(frozen=True)
class Planes:
    """Who answers what."""

    invoke: Plane
    sagemaker: Plane
    s3: Plane
    outside: Plane


class Application:
    """The one plane in front of all others."""

    def __init__(self, fence: Fence, planes: Planes) -> None:
        self._fence = fence
        self._planes = planes

    async def __call__(self, request: Request) -> Response:
        """Answer one request; what goes wrong in us is a 400 too, as clients repeat what is a 500."""
        service = ""
        began = time.monotonic()
        try:
            service = self._fence.admit(request)
            if service == "sagemaker" and request.path.startswith(_RUNTIME):
                return await self._planes.invoke(request)  # thousands in a second: not a line for each
            response = await self._plane_of(request, service)(request)
        except AwsError as error:
            response = refusal(error, protocol_of(request, service))
        except ClientGoneError:
            raise
        except Exception as error:  # noqa: BLE001 - the outermost boundary
            _log.exception("%s failed", _told(request, service))
            response = refusal(_internal(error), protocol_of(request, service))
        milliseconds = (time.monotonic() - began) * 1000
        _log.info("%s %d %.0f ms", _told(request, service), response.status, milliseconds)
        return response

    def _plane_of(self, request: Request, service: str) -> Plane:
        """Return the plane of a request, by the service of its signature, never by its host."""
        if service == "s3":
            return self._planes.s3
        if service != "sagemaker" or request.path == _METRICS:
            return self._planes.outside
        if request.headers.get("x-amz-target", "").startswith("SageMaker."):
            return self._planes.sagemaker
        raise unknown_operation(f"{request.method} {request.path}")


def _told(request: Request, service: str) -> str:
    """Return a request as the log has it: never its query or headers, where the keys are."""
    target = request.headers.get("x-amz-target")
    return f"{service or 'unsigned'} {target or f'{request.method} {request.path}'}"


def _internal(error: Exception) -> AwsError:
    return AwsError(
        "InternalFailure",
        f"This is a bug of the local SageMaker: {error!r}. Its traceback is in its log (byoc local logs).",
    )
