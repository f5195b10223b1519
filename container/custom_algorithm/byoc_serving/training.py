"""What `train` does: pulls a model version into /opt/ml/model, or runs the user's own training.

The folders, files and exit statuses are those of SageMaker's training contract (docs/contracts.md).
"""

import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from byoc_serving import user_training
from byoc_serving.errors import ServingError, SettingsError
from byoc_serving.job import MANIFEST_SHA256, MODEL_CHANNEL, MODEL_VERSION, Job, read_job
from byoc_serving.logs import log_to_stdout
from byoc_serving.settings import Settings, settings_from
from byoc_serving.stopping import StoppedError, StopRequest
from byoc_serving.versions.channel import take_from_channel
from byoc_serving.versions.manifest import Manifest, manifest_bytes
from byoc_serving.versions.parallel import Report
from byoc_serving.versions.pull import pull
from byoc_serving.versions.staging import install, staged

log = logging.getLogger("train")

EXIT_FAILED = 1  # the reason is in the failure file
EXIT_USAGE = 2
EXIT_BUG = 3  # an error of ours that nothing foresaw
# Between two searches for garbage: botocore makes so many objects that stay that looking through them again
# and again takes a good part of a short pull.
_FEW_COLLECTIONS = 100_000
LONGEST_FAILURE = 1024  # characters that SageMaker shows as FailureReason (sagemaker-contract A4)


def main(
    environ: Mapping[str, str], arguments: Sequence[str] = (), grace_s: float = user_training.GRACE_S
) -> int:
    """Run `train` as the container's program and return its exit status.

    Args:
        environ: the container's environment.
        arguments: none from SageMaker; those of user_training's child, which is this program again.
        grace_s: how long, in seconds, a training of the user's has to end after SIGTERM.
    """
    if arguments[:1] == [user_training.VERB]:
        return user_training.main(environ, *arguments[1:])
    if arguments:
        print("train takes no arguments: docs/contracts.md says what it reads.", file=sys.stderr)
        return EXIT_USAGE
    stop = StopRequest()
    stop.listen()
    failure = _base_dir(environ) / "output" / "failure"
    log_to_stdout(logging.INFO)
    try:
        settings = settings_from(environ)
        log_to_stdout(settings.log_level)
        with suppress(OSError):
            failure.unlink()  # of an earlier run
        run(settings, stop, grace_s)
    except StoppedError as stopped:
        log.warning(f"{stopped}: nothing was put into the model directory")
        return stopped.exit_status
    except ServingError as error:
        return _fail(failure, error, str(error), EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        return _fail(failure, error, f"Internal error: {type(error).__name__}: {error}", EXIT_BUG)
    return 0


def run(settings: Settings, stop: StopRequest, grace_s: float) -> Manifest:
    """Do what the job asks for, and return the manifest of what is then in the model directory.

    Raises:
        ServingError: the reason, with the model directory as it was.
        StoppedError: a signal asked to end, likewise.
    """
    job = read_job(settings)
    started = time.monotonic()
    manifest = _train(settings, stop, grace_s) if job.mode == "train" else _obtain(settings, job, stop)
    log.info(
        f"{settings.model_dir} holds {manifest.name} {manifest.version}",
        extra={"bytes": manifest.size, "seconds": round(time.monotonic() - started, 3)},
    )
    return manifest


def _obtain(settings: Settings, job: Job, stop: StopRequest) -> Manifest:
    if job.manifest_sha256 is None:
        log.warning(
            "no digest of the manifest was given: the model is checked against a manifest that lies beside "
            f"it. Give the hyperparameter {MANIFEST_SHA256} that the upload printed."
        )
    channel = job.channels.get(MODEL_CHANNEL)
    progress = _logged_progress(time.monotonic)
    if channel and not job.model_version:
        log.info(f"taking the model version from the input channel {MODEL_CHANNEL}, {channel}")
        return take_from_channel(channel, settings.model_dir, job.manifest_sha256, stop, progress)
    uri, origin = job.model_version, f"hyperparameter {MODEL_VERSION}"
    if not uri:
        uri, origin = settings.model_version, "environment variable MODEL_VERSION"
    if not uri:
        raise SettingsError(
            f"No model version: give the hyperparameter {MODEL_VERSION} or the environment variable "
            "MODEL_VERSION (s3://bucket/prefix/name/version/), or an input channel called "
            f"{MODEL_CHANNEL}; or mode=train."
        )
    log.info(f"pulling the model version that the {origin} names, {uri}")
    gc.set_threshold(_FEW_COLLECTIONS)
    return pull(
        uri, settings.model_dir, expected_sha256=job.manifest_sha256, progress=progress, check=stop.check
    )


def _train(settings: Settings, stop: StopRequest, grace_s: float) -> Manifest:
    with staged(settings.model_dir) as staging:
        manifest = user_training.train_apart(staging.new, stop, grace_s)
        install(staging, manifest, manifest_bytes(manifest), stop.check)
    return manifest


def _base_dir(environ: Mapping[str, str]) -> Path:
    """Return where the failure file goes, also when another variable is wrong."""
    try:
        return settings_from({key: environ[key] for key in environ if key == "SAGEMAKER_BASE_DIR"}).base_dir
    except SettingsError:
        return Settings().base_dir


def _fail(failure: Path, error: Exception, reason: str, status: int) -> int:
    """Leave the reason in the failure file and as the last line of the log, behind any traceback."""
    if error.__cause__ is not None or status == EXIT_BUG:
        log.error("train failed", exc_info=error)
    try:
        failure.parent.mkdir(parents=True, exist_ok=True)
        with failure.open(
            "x", encoding="utf-8", errors="replace"
        ) as file:  # the user's own reason goes first
            file.write(reason[:LONGEST_FAILURE])
    except OSError as unwritable:
        log.warning(f"the reason is only in this log: {failure}: {unwritable.strerror}")
    log.error(reason)
    return status


def _logged_progress(clock: Callable[[], float], every_s: float = 5.0) -> Report:
    """Return a report that logs at most every so many seconds."""
    last = clock()

    def report(done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= every_s:
            last = clock()
            log.info(f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return report
