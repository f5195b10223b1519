"""Rules on how `serve` starts: until the first 200 on /ping."""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from byoc.check import sources
from byoc.check.exchange import BrokenCallError
from byoc.check.lab import Lab
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.serving import NotServingError, Ping, Server
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.runtime.readiness import PING_TIMEOUT_S

_SLOW_START_S = 180.0  # serverless endpoints give no more
# How long a model that never comes is waited for: so long, and so often the time that it usually takes.
_WATCHED_S, _START_TIMES = 2.5, 1.5
_LONGEST_START_S = 30.0
_OK = 200


def serve_starts(lab: Lab) -> Verdict:
    """The shared server, or why there is none."""
    try:
        server = lab.server()
    except NotServingError as error:
        return failed(f"{error}")
    seen = f"/ping answered 200 after {server.ready_s:.1f} s."
    return warned(seen) if server.ready_s > _SLOW_START_S else passed(seen)


def model_read_only(lab: Lab) -> Verdict:
    """Whether it starts only where /opt/ml/model can be written to."""
    if lab.ease.writable_model:
        return failed("It becomes ready only where it can write into /opt/ml/model.")
    return passed("It became ready with a read-only /opt/ml/model.")


def small_shm(lab: Lab) -> Verdict:
    """Whether it starts only where /dev/shm is large."""
    if not lab.confines:
        raise CannotTestError("A small /dev/shm takes root, bwrap or Docker.")
    if lab.ease.large_shm:
        return failed("It becomes ready only with more than 64 MiB of /dev/shm.")
    return passed("It became ready with 64 MiB of /dev/shm.")


def ping_while_loading(lab: Lab) -> Verdict:
    """What /ping says while the model cannot be read: its largest file is a pipe that nobody writes to."""
    model = _model_of(lab)
    stuck = lab.work / "stuck"
    shutil.rmtree(stuck, ignore_errors=True)
    shutil.copytree(model, stuck, symlinks=True)
    largest = max((path for path in stuck.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.parent.chmod(0o755)
    largest.unlink()
    os.mkfifo(largest)
    with lab.starting(ServeSetup(), stuck) as server:
        pings = _watch(lab, server)
        hung = [
            ping for ping in pings if ping.connected and ping.status == 0 and ping.seconds >= PING_TIMEOUT_S
        ]
        if hung:
            return failed(
                f"While {largest.name} could not be read, /ping was accepted and not answered within "
                f"{PING_TIMEOUT_S:g} s: the model is loaded as /ping is answered."
            )
        early = [ping for ping in pings if ping.status == _OK]
        if early:
            return _early(lab, server, largest.name)
        return passed(f"While {largest.name} could not be read: {_told(server)}")


def ping_without_model(lab: Lab) -> Verdict:
    """What /ping says where /opt/ml/model is empty."""
    _model_of(lab)
    sample = lab.sample
    with lab.starting(ServeSetup(), None) as server:
        pings = _watch(lab, server)
        if not any(ping.status == _OK for ping in pings):
            return passed(f"With an empty /opt/ml/model: {_told(server)}")
        try:
            answer = server.invoke(sample)
        except BrokenCallError as error:
            return failed(f"With an empty /opt/ml/model /ping answered 200, and a call not: {error}.")
        if answer.is_good:
            return passed("It answers without a model.")
        return failed(f"With an empty /opt/ml/model /ping answered 200, and /invocations {answer}.")


def _early(lab: Lab, server: Server, name: str) -> Verdict:
    """Tell a server that says 200 before it has its model from one that does not need that file."""
    if lab.question.sample is None:
        return warned(
            f"/ping answered 200 while {name} could not be read. With --request more could be told."
        )
    try:
        answer = server.invoke(lab.sample, timeout_s=_WATCHED_S)
    except CannotTestError as error:
        return failed(
            f"/ping answered 200 while {name} could not be read, and a call was not answered: {error}."
        )
    if answer.is_good:
        return passed(f"It answers without reading {name}.")
    return failed(f"/ping answered 200 while {name} could not be read, and a call was answered {answer}.")


def _watch(lab: Lab, server: Server) -> list[Ping]:
    """Ask for /ping until a 200, until it has ended, or for longer than it usually takes; return what came.

    Raises:
        CannotTestError: that would be too long.
    """
    usual_s = lab.server().ready_s
    if usual_s > _LONGEST_START_S and not lab.question.thorough:
        raise CannotTestError(f"It takes {usual_s:.0f} s to start: with --all it is started again for this.")
    with suppress(NotServingError):
        server.wait_until_ready(_WATCHED_S + _START_TIMES * usual_s, lab.progress)
    return server.pings


def _told(server: Server) -> str:
    """Return what it did instead of becoming ready."""
    status = server.running.process.poll()
    if status is not None:
        return f"serve ended with status {status}."
    return f"{server.pings[-1].said}." if server.pings else "it said nothing."


def _model_of(lab: Lab) -> Path:
    lab.server()
    if lab.model is None or not any(path.is_file() for path in lab.model.rglob("*")):
        raise CannotTestError(
            "Give a model that it loads: --model DIR, or hyperparameters with which train makes one."
        )
    return lab.model


RULES = (
    Rule(
        id="serve-starts",
        part=Part.SERVE,
        says="answers GET /ping with 200 within 8 minutes of its start",
        why="After 8 minutes SageMaker gives up: `did not pass the ping health check`.",
        so="no endpoint becomes InService",
        mend="Its last lines say why. /ping has to answer 200 as soon as calls can be answered.",
        source=sources.INFERENCE,
        test=serve_starts,
        by_url=True,
    ),
    Rule(
        id="model-read-only",
        part=Part.SERVE,
        says="does not write into /opt/ml/model",
        why="SageMaker mounts /opt/ml/model read-only: [Errno 30] Read-only file system.",
        so="no endpoint becomes InService",
        mend="Write to /tmp instead; have caches there too (HF_HOME, NUMBA_CACHE_DIR, MPLCONFIGDIR).",
        source=sources.INFERENCE,
        test=model_read_only,
    ),
    Rule(
        id="shm-64mb",
        part=Part.SERVE,
        says="does with 64 MiB of /dev/shm",
        why="SageMaker's hosts give a container Docker's 64 MiB, and that cannot be changed.",
        so="no endpoint becomes InService",
        mend="Keep large things in /tmp or in ordinary memory; give data loaders no worker processes.",
        source="https://github.com/aws/sagemaker-python-sdk/issues/2801",
        test=small_shm,
    ),
    Rule(
        id="ping-while-loading",
        part=Part.SERVE,
        says="answers /ping within 2 s, and not with 200, while its model is loaded",
        why="SageMaker waits 2 s for an answer. Where the model is loaded as /ping is answered, one that "
        "takes longer fails its health checks; where 200 comes too early, the first calls fail.",
        so="a model that takes longer than 2 s to load fails its health checks, or its first calls",
        mend="Load the model in the background as the server starts; answer /ping with 503 until then.",
        source=sources.INFERENCE,
        test=ping_while_loading,
    ),
    Rule(
        id="ping-without-model",
        part=Part.SERVE,
        says="does not answer /ping with 200 where it has no model",
        why="An endpoint whose every call fails becomes InService, and replaces one that worked.",
        so="a deployment without its model becomes InService, and every call fails",
        mend="Answer /ping with 200 only when the model is loaded; end with the reason where there is none.",
        source=sources.INFERENCE,
        test=ping_without_model,
    ),
)
