"""Runs the user's own training in a process of its own, which may hang or die without taking `train` along.

The parent owns the signals, the folder to train into and the failure file; the child, this program again,
answers in an unnamed file: a word, a line feed, and the manifest or the reason of the failure.
"""

import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from byoc_serving.errors import AlgorithmError, ServingError
from byoc_serving.job import read_job
from byoc_serving.logs import log_to_stdout
from byoc_serving.settings import PROGRAM_DIR, Settings, settings_from
from byoc_serving.stopping import StoppedError, StopRequest
from byoc_serving.versions.describe import describe_trained
from byoc_serving.versions.manifest import Manifest, manifest_bytes, parse_manifest

log = logging.getLogger("train")

VERB = "own-training"  # the first argument of the child
# From SIGTERM to SIGKILL: enough for a checkpoint, short of the 120 s that SageMaker gives (contract A4).
GRACE_S = 30.0

_LOOK_EVERY_S = 0.05
_MANIFEST, _FAILURE = b"manifest", b"failure"


def train_apart(model_dir: Path, stop: StopRequest, grace_s: float = GRACE_S) -> Manifest:
    """Let apps/main.py train into an empty folder, and return the manifest of what is then there.

    Whatever of the training still runs afterwards, threads and processes included, has grace_s seconds to end
    and is killed; so it is when a signal asks `train` to end.

    Raises:
        AlgorithmError: the training failed, or its process died; the message says of what.
        StoppedError: a signal asked to end.
    """
    with tempfile.TemporaryFile() as answer:
        train = str(PROGRAM_DIR / "train")
        command = [sys.executable, train, VERB, str(model_dir), str(answer.fileno())]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, pass_fds=[answer.fileno()], process_group=0
        )
        try:
            _wait(process, answer.fileno(), stop, grace_s)
        except StoppedError:
            _signal_group(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace_s)
            raise
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()
        answer.seek(0)
        return _result(answer.read(), process.returncode)


def main(environ: Mapping[str, str], model_dir: str, answer: str) -> int:
    """Run the training as the child, and return its exit status."""
    stop = StopRequest()
    stop.listen()
    del sys.argv[1:]  # they are ours, and the user's code may parse its own
    with os.fdopen(int(answer), "wb") as file:
        os.set_inheritable(file.fileno(), False)
        settings = settings_from(environ)
        log_to_stdout(settings.log_level)
        try:
            with stop.interrupting():
                manifest = _train(settings, Path(model_dir))
        except StoppedError as stopped:
            return stopped.exit_status
        except ServingError as error:
            if error.__cause__ is not None:
                log.exception("train failed")
            file.write(_FAILURE + b"\n" + str(error).encode(errors="replace"))
            return 1
        file.write(_MANIFEST + b"\n" + manifest_bytes(manifest))
    return 0


def _wait(process: subprocess.Popen[bytes], answer: int, stop: StopRequest, grace_s: float) -> None:
    """Wait for the child's end, or until it has answered and let grace_s pass."""
    until = math.inf
    while process.poll() is None:
        stop.check()
        if time.monotonic() > until:
            log.warning(f"apps/main.py: its threads still ran {grace_s:.0f} s after train, and were killed")
            return
        if until == math.inf and os.fstat(answer).st_size:
            until = time.monotonic() + grace_s
        time.sleep(_LOOK_EVERY_S)


def _signal_group(process: subprocess.Popen[bytes], signum: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody of the group is left (macOS: only zombies)
        os.killpg(process.pid, signum)


def _result(answer: bytes, status: int) -> Manifest:
    kind, _, content = answer.partition(b"\n")
    if kind == _MANIFEST:
        return parse_manifest(content)
    if kind == _FAILURE:
        raise AlgorithmError(content.decode())
    if status >= 0:
        raise AlgorithmError(
            f"apps/main.py: train ended the process with status {status}. Let it return, or raise an error."
        )
    remedy = "memory may be short: take a larger instance" if status == -signal.SIGKILL else "see the log"
    raise AlgorithmError(f"apps/main.py: train was killed by {signal.Signals(-status).name}; {remedy}.")


def _train(settings: Settings, model_dir: Path) -> Manifest:
    from byoc_serving.algorithm import training_function  # with numpy and more, which a pull does not need

    job = read_job(settings)
    with _blamed("apps/main.py cannot be imported", AlgorithmError):
        function = training_function(settings)
    log.info(f"training with apps/main.py on the channels {sorted(job.channels)}")
    with _blamed("apps/main.py: train failed"):
        description = function(model_dir, dict(job.channels), dict(job.hyperparameters))
    with _blamed("apps/main.py: what train returned cannot be described", ServingError):
        return describe_trained(model_dir, description)


@contextmanager
def _blamed(what: str, *passed_on: type[Exception]) -> Iterator[None]:
    """Raise whatever the user's code raises within as an AlgorithmError that begins with `what`."""
    try:
        yield
    except StoppedError:
        raise
    except passed_on:
        raise
    except BaseException as error:  # SystemExit, CancelledError and their like end a training too
        raise AlgorithmError(f"{what}: {type(error).__name__}: {error}") from error
