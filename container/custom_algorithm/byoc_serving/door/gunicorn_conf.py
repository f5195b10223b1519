"""gunicorn's configuration and hooks under `serve`: each worker loads after the fork and keeps its score.

gunicorn imports this module by name (`-c python:byoc_serving.door.gunicorn_conf`) and reads its
globals; where it listens and with how many workers, the supervisor says on its command line.
"""

import functools
import logging
import math
import os
import sys
import time
import traceback
from collections.abc import Callable

from gunicorn.arbiter import Arbiter
from gunicorn.sock import UnixSocket

from byoc_serving.call_log import CallLog
from byoc_serving.calls import Call
from byoc_serving.door.behind import Door
from byoc_serving.door.choice import invocations_of
from byoc_serving.door.worker import HEARTBEAT_S, DoorWorker
from byoc_serving.errors import ServingError
from byoc_serving.loading import LoadedModel
from byoc_serving.logs import logging_configuration
from byoc_serving.metrics.meter import Meter
from byoc_serving.metrics.table import LOST, OUTGREW, OVERRAN, RESTARTS, SERVER_ERRORS, Table
from byoc_serving.models.models import Models
from byoc_serving.models.peers import Peers
from byoc_serving.settings import DRAIN_S, MEGABYTE, environment, settings_from
from byoc_serving.supervision.cores import available_cores
from byoc_serving.supervision.nginx import worker_socket
from byoc_serving.supervision.scoreboard import Score, Scoreboard
from byoc_serving.supervision.standing import memory_of, table_of_master, table_of_worker
from byoc_serving.threads import LibraryThreads
from byoc_serving.versions.manifest import verify_model
from byoc_serving.warming import warmed

log = logging.getLogger("serve")

_settings = settings_from(environment())
if _settings.run_dir is None:
    raise RuntimeError("byoc_serving.door.gunicorn_conf is for `serve`. Elsewhere run: gunicorn wsgi:app")
_run_dir = _settings.run_dir
_scoreboard = Scoreboard(_run_dir, supervisor_pid=os.getppid())
_counted = table_of_master(_run_dir).numbers
_cores = max(1, int(available_cores()))
_threads = _settings.library_threads or 1

worker_class = "byoc_serving.door.worker.DoorWorker"
worker_tmp_dir = str(_run_dir)
# From a worker's last sign of life, which may be as old as a heartbeat when its work begins.
timeout = math.ceil(_settings.timeout_s + HEARTBEAT_S)
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
    if _settings.multi_model:  # SageMaker will say which models
        return
    try:
        for warning in verify_model(_settings):
            log.warning(warning)
        if _settings.preload:
            server.app.wsgi().extensions["invocations"].load()
    except ServingError as error:
        _give_up(error)


def pre_fork(server: Arbiter, worker: DoorWorker) -> None:
    """Give the worker the lowest number that no living one has."""
    taken = {other.number for other in server.WORKERS.values()}
    worker.number = next(number for number in range(len(taken) + 1) if number not in taken)
    if table_of_worker(_run_dir, worker.number).exists():
        _counted[RESTARTS] += 1.0


def post_fork(_server: Arbiter, worker: DoorWorker) -> None:
    """Open the worker's slot, and give it as long as SAGEMAKER_STARTUP_TIMEOUT to load.

    gunicorn kills a worker whose file was last touched longer ago than the timeout; a time in the future
    postpones that without a thread, which could not run while a library holds the interpreter lock.
    """
    worker.slot = _scoreboard.slot(worker.pid, worker.number)
    until = time.monotonic() + _settings.startup_timeout_s
    os.utime(worker.tmp.fileno(), (until, until))


def post_worker_init(worker: DoorWorker) -> None:
    """Load the model in the worker and warm it up; then it may take requests."""
    meter = Meter(Table.kept(table_of_worker(_run_dir, worker.number)))
    calls = CallLog(bodies=_settings.log_bodies) if _settings.log_level <= logging.INFO else None
    note = calls.note if calls else lambda _call: None
    try:
        _begin(worker, meter, note)
    except ServingError as error:
        _give_up(error)
    worker.door = _door_of(worker, meter, note, calls.flush if calls else lambda: None)

    def is_ready() -> None:
        worker.slot.ready()
        _scoreboard.tell_supervisor()

    worker.is_ready = is_ready
    models = worker.wsgi.extensions.get("models")
    worker.look = functools.partial(_end_if_overdue, models) if models else lambda: None
    worker.has_outgrown = functools.partial(_has_outgrown, meter.table)
    if isinstance(worker.sockets[0], UnixSocket):  # nginx stands before us
        worker.own_socket = worker_socket(_run_dir, worker.number)


def _begin(worker: DoorWorker, meter: Meter, note: Callable[[Call], None]) -> None:
    """Load the model, or be ready to load several (ServingError: it cannot be used)."""
    threads = LibraryThreads(_threads, lambda: _cores - _scoreboard.at_work(besides=worker.number))

    def finish(model: LoadedModel) -> LoadedModel:
        threads.find()
        return warmed(model, _settings, threads.fit)

    served, workers = worker.wsgi.extensions, worker.cfg.workers
    if models := served.get("models"):
        models.begin(workers, meter, note, finish, Peers(_run_dir, worker.number))
        return
    model = served["invocations"].begin(workers, meter, note, finish)
    meter.table.serve(model.name, model.version)


def _door_of(
    worker: DoorWorker, meter: Meter, note: Callable[[Call], None], after: Callable[[], None]
) -> Door:
    app = worker.wsgi
    return Door(
        invocations=app.extensions["invocations"] if invocations_of(app, _settings) else None,
        application=app,
        slot=worker.slot,
        meter=meter,
        note=note,
        after=after,
        lives=worker.lives,
        most_waiting=_settings.queue,
        most_bytes=_settings.max_payload_bytes,
        wait_s=_settings.batch_wait_s,
        address=(_settings.host, _settings.port),
        models=app.extensions.get("models"),
    )


def _has_outgrown(table: Table) -> bool:
    bound, memory = _settings.worker_memory_mb * MEGABYTE, memory_of() if _settings.worker_memory_mb else 0
    if memory <= bound:
        return False
    table.numbers[OUTGREW] += 1.0
    log.warning(
        f"a worker has {memory // MEGABYTE} MB, over MODEL_SERVER_WORKER_MEMORY_MB: it finishes what it has, "
        "and another takes its place",
        extra={"memory_bytes": memory},
    )
    return True


def _end_if_overdue(models: Models) -> None:
    """End a worker in which a model's loading does not end: no other could be loaded in it any more."""
    name = models.overdue()
    if name is not None:
        log.error(
            f"the model {name!r} was not loaded within SAGEMAKER_STARTUP_TIMEOUT "
            f"({_settings.startup_timeout_s:g} s): the worker ends, and another takes its place"
        )
        os._exit(1)


def worker_abort(worker: DoorWorker) -> None:
    """End a worker whose request overran the timeout, and say where in the code it was.

    gunicorn would raise SystemExit there, which the user's code may catch, and which looks like its own.
    """
    score = _scoreboard.score(worker.pid)
    overran = score.in_flight[: score.works_on] if score else ()
    log.error(
        f"a request overran MODEL_SERVER_TIMEOUT ({_settings.timeout_s:g} s): its worker ends. Send less at "
        "once, or raise it",
        extra={
            "request_ids": [request.request_id for request in overran],
            "stack": traceback.format_stack(),
        },
    )
    os._exit(1)


def child_exit(_server: Arbiter, worker: DoorWorker) -> None:
    """Say which requests an ended worker took with it, and stop trying when none survives loading."""
    global _deaths_while_loading  # noqa: PLW0603 - gunicorn's hooks are functions of a module
    score = _scoreboard.score(worker.pid)
    _scoreboard.clear(worker.pid, worker.number)
    if score is None:
        return
    _count_loss(score)
    for place, request in enumerate(score.in_flight):
        at_work = {"at_work": place < score.works_on}
        what = "had sent all of an answer" if request.is_answered else "answered"
        log.error(f"a worker ended before it {what}", extra={**request.ids, **at_work})
    _deaths_while_loading = 0 if score.ready else _deaths_while_loading + 1
    if _deaths_while_loading >= _MOST_DEATHS:
        _scoreboard.fail(
            f"The worker was killed {_MOST_DEATHS} times while it loaded the model. If by SIGKILL, memory is "
            "short: take a larger instance or fewer workers (MODEL_SERVER_WORKERS)."
        )


def _count_loss(score: Score) -> None:
    lost = len(score.in_flight) + score.placeless
    _counted[LOST] += lost
    # Those whose answer had begun were counted by its status.
    _counted[SERVER_ERRORS] += lost - sum(request.is_answered for request in score.in_flight)
    if score.works_since_s and time.monotonic() - score.works_since_s >= _settings.timeout_s:
        _counted[OVERRAN] += 1.0


def _give_up(error: ServingError) -> None:
    if error.__cause__:  # the user's code failed: where, they need to see
        log.exception("the model cannot be served")
    _scoreboard.fail(str(error))
    sys.exit(Arbiter.WORKER_BOOT_ERROR)  # gunicorn then stops instead of trying again
