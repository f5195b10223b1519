"""Request -> response: the whole of /invocations, without any web framework."""

import logging
import threading
import time
import traceback
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from byoc_serving.errors import NotReadyError, RequestError, ServingError
from byoc_serving.loading import Loading
from byoc_serving.messages import Request, Response, error_response, refusal
from byoc_serving.prediction import CUSTOM_ATTRIBUTES, INFERENCE_ID, predicted
from byoc_serving.settings import Settings

log = logging.getLogger("invocation")


class Invocations:
    """The invocations of one process: threads may share it, a fork before the first load is safe.

    Args:
        settings: of the process.
        model_dir: where the model is; the settings' own unless told otherwise.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        settings: Settings,
        model_dir: Path | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._default_accept = settings.default_accept
        self._loading = Loading(settings, model_dir or settings.model_dir)
        self._clock = clock

    @property
    def state(self) -> str:
        """One of starting, loading, ready and failed."""
        return self._loading.state

    @property
    def reason(self) -> str:
        """Why it is not ready, fit to be shown; empty when it is."""
        return self._loading.reason

    def load(self) -> None:
        """Load the algorithm and the model, once (ServingError: it failed, now or before)."""
        self._loading.load()

    def start_loading(self) -> None:
        """Load in a thread of its own, unless somebody has begun."""
        self._loading.start()

    def respond(self, request: Request) -> Response:
        """Answer a request, loading first where nobody did; failures are answers too, not exceptions."""
        started = self._clock()
        response = self._answer(request)
        ms = round((self._clock() - started) * 1000, 3)
        log.info(
            f"answered {response.status} in {ms:.1f} ms",
            extra={
                "request_id": request.request_id,
                "inference_id": request.headers.get(INFERENCE_ID),
                "custom_attributes": request.headers.get(CUSTOM_ATTRIBUTES),
                "status": response.status,
                "bytes_in": len(request.body),
                "bytes_out": len(response.body),
                "ms": ms,
            },
        )
        return response

    def _answer(self, request: Request) -> Response:
        try:
            loaded = self._loading.load()
        except NotReadyError as error:
            return self._not_ready(error)
        except ServingError as error:
            log.exception("the model cannot be served", extra={"request_id": request.request_id})
            return self._not_ready(error)
        try:
            return predicted(loaded, request, self._default_accept)
        except RequestError as error:
            return refusal(error)
        except (SystemExit, KeyboardInterrupt) as error:
            if _is_meant_for_the_process(error):
                raise
            return _failed(request)
        except Exception:  # noqa: BLE001 - the boundary around the user's code; _failed logs it
            return _failed(request)

    def _not_ready(self, error: ServingError) -> Response:
        details = {"state": self.state}
        return error_response(HTTPStatus.SERVICE_UNAVAILABLE, "NotReady", str(error), details)


def _failed(request: Request) -> Response:
    """Log the exception at hand, with its traceback, under the request's id; tell the caller the id only."""
    log.exception("the algorithm failed", extra={"request_id": request.request_id})
    return error_response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "InternalServerError",
        "The algorithm failed; its traceback is in the log under this id.",
        {"id": request.request_id},
    )


def _is_meant_for_the_process(error: BaseException) -> bool:
    """Whether a signal raised this, not the user's code, which may call sys.exit in the middle of a request.

    Signal handlers run in the main thread only, on top of whatever runs there. gunicorn's sync worker
    leaves an overdue request by sys.exit in such a handler: then a frame of gunicorn lies below ours in the
    traceback. Python's own handler of ^C leaves no frame, so a KeyboardInterrupt there is always believed.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(frame.f_globals.get("__name__")).startswith("gunicorn.") for frame in frames)
