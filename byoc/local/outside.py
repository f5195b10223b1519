"""Everything that lies outside SageMaker and S3 (IAM, STS, ECR, CloudWatch, Logs, ...), answered by moto.

moto's state is the process's: there is one Outside in a process, and it is empty again after a restart.
"""

import asyncio
import io
import logging
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import Any

from byoc.local.errors import AwsError, unknown_operation
from byoc.local.protocols import protocol_of, refusal
from byoc.local.wire import Request, Response
from byoc.local.wsgi import Answer, Call, Headers, WsgiApp, through

_log = logging.getLogger(__name__)
Ask = Callable[[Call], Answer]
Detour = Callable[[Call, Ask], Answer]
Seed = Callable[["Outside"], None]
Upkeep = Callable[[Call], None]
_LARGEST_BODY = 64 * 1024 * 1024  # more than any of these services takes, but for an image layer in one piece
_TYPE = "content-type"
_MOTOS_OWN = "/moto-api"  # pages to look at and to empty its state: none of AWS's


class Outside:
    """moto behind its own public wire: `__call__` for requests from the port, `client` for ourselves.

    Args:
        region: of the clients that `client` makes.
        access_key: the instance's own; moto knows the account by it.
        detours: by the service that a request is signed for, who answers instead of moto, or with its help.
        seeds: what there is from the start; run before anything is answered, by `warm` or the first request.
        upkeep: by service, what follows each of moto's answers, while nobody else asks it.
    """

    def __init__(
        self,
        region: str,
        access_key: str,
        detours: Mapping[str, Detour] | None = None,
        seeds: Sequence["Seed"] = (),
        upkeep: Mapping[str, Upkeep] | None = None,
    ) -> None:
        self._detours = dict(detours or {})
        self._seeds = list(seeds)
        self._upkeep = dict(upkeep or {})
        self._seeding = threading.RLock()  # the seeds themselves ask, too
        self._region = region
        self._access_key = access_key
        self._lock = threading.Lock()  # moto's backends have none
        self._making = threading.Lock()
        self._clients: dict[str, Any] = {}

    async def __call__(self, request: Request) -> Response:
        """Answer one request; an operation that moto lacks is a 400, not its own HTTP 500 in HTML."""
        headers = request.headers
        try:
            body = await _body_of(request)
            call = Call(request.method, request.path, request.query, headers, body)
            answer = await asyncio.to_thread(self.ask, call)
        except AwsError as error:
            return refusal(error, protocol_of(request, _service_in(headers)))
        return Response(answer.status, answer.body, answer.headers)

    def ask(self, call: Call) -> Answer:
        """Return the answer to a call.

        Raises:
            AwsError: moto has no such operation, or failed in it.
        """
        self.warm()
        detour = self._detours.get(_service_in(call.headers))
        return detour(call, self._ask_moto) if detour else self._ask_moto(call)

    def _ask_moto(self, call: Call) -> Answer:
        if call.path.startswith(_MOTOS_OWN):
            raise unknown_operation(operation_of(call))
        app = self._app
        try:
            with self._lock:
                answer = through(app, call)
                if follows := self._upkeep.get(_service_in(call.headers)):
                    follows(call)
        except NotImplementedError:
            raise unknown_operation(operation_of(call)) from None
        except Exception as error:
            _log.exception("moto failed in %s", operation_of(call))
            raise AwsError(
                "InternalFailure",
                f"moto, which answers {operation_of(call)} here, failed: {error!r}. The log says where.",
            ) from error
        if answer.status >= 500 or _is_page(answer):
            raise unknown_operation(operation_of(call))
        return answer

    def warm(self) -> None:
        """Load moto and run the seeds, which takes a second; others wait for it. Safe to repeat."""
        with self._seeding:
            while self._seeds:
                seed = self._seeds.pop(0)
                try:
                    seed(self)
                except Exception:  # noqa: BLE001 - the outermost boundary of a thread
                    _log.exception("moto could not be prepared")

    def client(self, service: str) -> Any:  # noqa: ANN401 - botocore makes its clients at run time
        """Return a botocore client of a service that asks moto here, past the port and its fence."""
        with self._making:
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    @cached_property
    def _app(self) -> WsgiApp:
        # Half a second of imports, which nobody who only invokes endpoints has to wait for.
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        make: Any = create_backend_app

        def backend_app(service: str | None) -> Any:  # noqa: ANN401 - Flask is moto's affair
            if service is None:
                raise NotImplementedError("moto has no such service")
            return make(service)

        app: WsgiApp = DomainDispatcherApplication(backend_app)
        return app

    @cached_property
    def _session(self) -> Any:  # noqa: ANN401 - botocore has no types
        from botocore.session import Session

        return Session()

    def _new_client(self, service: str) -> Any:  # noqa: ANN401
        from botocore.config import Config

        client = self._session.create_client(
            service,
            region_name=self._region,
            endpoint_url="http://127.0.0.1",
            aws_access_key_id=self._access_key,
            aws_secret_access_key="never sent",  # noqa: S106 - nobody verifies this signature
            config=Config(parameter_validation=False, retries={"max_attempts": 0}),
        )
        client.meta.events.register("before-send", self._answer_botocore)
        return client

    def _answer_botocore(self, request: Any, **_: object) -> Any:  # noqa: ANN401
        """Answer a request of botocore's without sending it; botocore's own hook for that."""
        from botocore.awsrequest import AWSResponse
        from botocore.compat import HTTPHeaders

        url = urllib.parse.urlsplit(request.url)
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        headers.setdefault("host", url.netloc)
        call = Call(request.method, url.path or "/", url.query, headers, _bytes(request.body))
        answer = self.ask(call)
        return AWSResponse(
            request.url, answer.status, HTTPHeaders.from_pairs(answer.headers.items()), _Raw(answer.body)
        )


class _Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


def operation_of(call: Call) -> str:
    """Return the operation that a call names, or its method and path where the protocol is REST."""
    if target := call.headers.get("x-amz-target"):
        return target.rpartition(".")[2]
    if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = urllib.parse.parse_qs(call.body.decode(errors="replace"))
        if "Action" in fields:
            return fields["Action"][0]
    return f"{call.method} {call.path}"


def _is_page(answer: Answer) -> bool:
    """Whether moto's web framework answered instead of moto: no such route, no such method."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return False
    content_type = next((value for name, value in answer.headers.items() if name.lower() == _TYPE), "")
    begins = answer.body.lstrip()[:14].lower()
    nothing = not begins and content_type.startswith("text/html")
    return nothing or begins.startswith((b"<!doctype html", b"<html"))


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.body:
        body += piece
        if len(body) > _LARGEST_BODY:
            message = f"The request is larger than {_LARGEST_BODY} bytes. Send less at once."
            raise AwsError("RequestEntityTooLargeException", message, 413)
    return bytes(body)


def _service_in(headers: Headers) -> str:
    scope = headers.get("authorization", "").partition("Credential=")[2].partition(",")[0].split("/")
    return scope[-2] if len(scope) > 2 else ""


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _bytes(body: Any) -> bytes:  # noqa: ANN401 - whatever botocore made
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else bytes(body.read())
