"""gunicorn's configuration and hooks under `serve`: each worker loads after the fork and keeps its score.

gunicorn imports this module by name (`-c python:byoc_serving.supervision.gunicorn_conf`) and reads its
globals; where it listens and with how many workers, the supervisor says on its command line.
"""

import logging
import math
import os
import sys
import time
import traceback
import uuid

from gunicorn.arbiter import Arbiter
from gunicorn.http.message import Request
from gunicorn.http.wsgi import Response
from gunicorn.workers.base import Worker

from byoc_serving.errors import ServingError
from byoc_serving.logs import logging_configuration
from byoc_serving.settings import DRAIN_S, environment, settings_from
from byoc_serving.supervision.scoreboard import Scoreboard
from byoc_serving.versions.manifest import verify_model

log = logging.getLogger("serve")

_settings = settings_from(environment())
if _settings.run_dir is None:
    raise RuntimeError(
        "byoc_serving.supervision.gunicorn_conf is for `serve`. Elsewhere run: gunicorn wsgi:app"
    )
_scoreboard = Scoreboard(_settings.run_dir, supervisor_pid=os.getppid())

# One request a worker: a worker that is killed takes one request with it, the others wait in the socket.
worker_class = "sync"
worker_tmp_dir = str(_settings.run_dir)
timeout = math.ceil(_settings.timeout_s)
graceful_timeout = DRAIN_S
backlog = 2048
# nginx has its own limits on these, and answers in JSON.
limit_request_line = 0
limit_request_field_size = 0
limit_request_fields = 32768
control_socket_disable = True
logconfig_dict = logging_configuration(_settings.log_level)

# A worker that dies while it loads is tried again: somebody may have killed it by hand. Three in a row is a
# model that does not fit into memory, or that crashes the interpreter.
_MOST_DEATHS = 3
_deaths_while_loading = 0


def on_starting(server: Arbiter) -> None:
    """Verify the model once, before any worker exists; load it too where that was asked for."""
    try:
        for warning in verify_model(_settings):
            log.warning(warning)
        if _settings.preload:
            server.app.wsgi().extensions["invocations"].load()
    except ServingError as error:
        _give_up(error)


def post_fork(_server: Arbiter, worker: Worker) -> None:
    """Open the worker's slot, and give it as long as SAGEMAKER_STARTUP_TIMEOUT to load.

    gunicorn kills a worker whose file was last touched longer ago than the timeout; a time in the future
    postpones that without a thread, which could not run while a library holds the interpreter lock.
    """
    worker.slot = _scoreboard.slot(worker.pid)
    until = time.monotonic() + _settings.startup_timeout_s
    os.utime(worker.tmp.fileno(), (until, until))


def post_worker_init(worker: Worker) -> None:
    """Load the model in the worker, then let it take requests."""
    try:
        worker.wsgi.extensions["invocations"].load()
    except ServingError as error:
        _give_up(error)
    worker.slot.ready()
    _scoreboard.tell_supervisor()


def pre_request(worker: Worker, request: Request) -> None:
    """Note the request under the id that nginx gave it; without nginx it gets one here."""
    headers = dict(request.headers)
    request_id = headers.get("X-REQUEST-ID")
    if not request_id:
        request_id = uuid.uuid4().hex
        request.headers.append(("X-REQUEST-ID", request_id))
    worker.place = worker.slot.begin(request_id, headers.get("X-AMZN-SAGEMAKER-INFERENCE-ID"))


def post_request(worker: Worker, _request: Request, _environ: dict[str, object], _response: Response) -> None:
    """Note that the request is answered."""
    worker.slot.end(worker.place)


def worker_abort(_worker: Worker) -> None:
    """End a worker whose request overran the timeout, and say where in the code it was.

    gunicorn would raise SystemExit there, which the user's code may catch, and which looks like its own.
    """
    log.error("a request overran MODEL_SERVER_TIMEOUT", extra={"stack": traceback.format_stack()})
    os._exit(1)


def child_exit(_server: Arbiter, worker: Worker) -> None:
    """Say which requests an ended worker took with it, and stop trying when none survives loading."""
    global _deaths_while_loading  # noqa: PLW0603 - gunicorn's hooks are functions of a module
    score = _scoreboard.score(worker.pid)
    _scoreboard.clear(worker.pid)
    if score is None:
        return
    for request in score.in_flight:
        log.error("a worker ended before it answered", extra=request.ids)
    _deaths_while_loading = 0 if score.ready else _deaths_while_loading + 1
    if _deaths_while_loading >= _MOST_DEATHS:
        _scoreboard.fail(
            f"The worker was killed {_MOST_DEATHS} times while it loaded the model. If by SIGKILL, memory is "
            "short: take a larger instance or fewer workers (MODEL_SERVER_WORKERS)."
        )


def _give_up(error: ServingError) -> None:
    if error.__cause__:  # the user's code failed: where, they need to see
        log.exception("the model cannot be served")
    _scoreboard.fail(str(error))
    sys.exit(Arbiter.WORKER_BOOT_ERROR)  # gunicorn then stops instead of trying again
