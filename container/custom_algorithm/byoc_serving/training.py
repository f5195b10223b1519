"""What `train` does: pulls a model version into /opt/ml/model, or runs the user's own training.

The folders, files and exit statuses are those of SageMaker's training contract (docs/contracts.md).
"""

import inspect
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from byoc_serving.algorithm import training_function
from byoc_serving.channel import take_from_channel
from byoc_serving.errors import AlgorithmError, ServingError, SettingsError
from byoc_serving.hyperparameters import decoded, read_channel_configs, read_hyperparameters, text_of
from byoc_serving.logs import log_to_stdout
from byoc_serving.settings import Settings, settings_from
from byoc_serving.stopping import StoppedError, StopRequest
from byoc_serving.versions.describe import describe
from byoc_serving.versions.manifest import Manifest, manifest_bytes
from byoc_serving.versions.progress import Report
from byoc_serving.versions.pull import pull
from byoc_serving.versions.staging import install, staged

log = logging.getLogger("train")

EXIT_FAILED = 1  # the reason is in the failure file
EXIT_BUG = 3  # an error of ours that nothing foresaw
LONGEST_FAILURE = 1024  # characters that SageMaker shows as FailureReason (sagemaker-contract A4)

MODE, MODEL_VERSION, MANIFEST_SHA256 = "mode", "model_version", "model_manifest_sha256"
MODEL_CHANNEL = "model"
DEFAULT_NAME = "model"

_DESCRIPTION = frozenset(inspect.signature(describe).parameters) - {"model_dir", "part_size", "now", "check"}


@dataclass(frozen=True)
class Job:
    """What the training job asks for."""

    mode: str
    model_version: str | None
    manifest_sha256: str | None
    channels: Mapping[str, Path]
    hyperparameters: Mapping[str, Any]


def main(environ: Mapping[str, str]) -> int:
    """Run `train` as the container's program and return its exit status."""
    stop = StopRequest()
    stop.listen()
    failure = _base_dir(environ) / "output" / "failure"
    log_to_stdout(logging.INFO)
    try:
        settings = settings_from(environ)
        log_to_stdout(settings.log_level)
        with suppress(OSError):
            failure.unlink()  # of an earlier run
        run(settings, stop)
    except StoppedError as stopped:
        log.warning(f"{stopped}: nothing was put into the model directory")
        return stopped.exit_status
    except ServingError as error:
        return _fail(failure, error, str(error), EXIT_FAILED)
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        return _fail(failure, error, f"Internal error: {type(error).__name__}: {error}", EXIT_BUG)
    return 0


def run(settings: Settings, stop: StopRequest) -> Manifest:
    """Do what the job asks for, and return the manifest of what is then in the model directory.

    Raises:
        ServingError: the reason, with the model directory as it was.
        StoppedError: a signal asked to end, likewise.
    """
    job = read_job(settings)
    started = time.monotonic()
    manifest = _train(settings, job, stop) if job.mode == "train" else _obtain(settings, job, stop)
    log.info(
        f"{settings.model_dir} holds {manifest.name} {manifest.version}",
        extra={"bytes": manifest.size, "seconds": round(time.monotonic() - started, 3)},
    )
    return manifest


def read_job(settings: Settings) -> Job:
    """Return what hyperparameters, environment and channels ask for (SettingsError if they are unusable)."""
    config_dir = settings.base_dir / "input" / "config"
    raw = read_hyperparameters(config_dir)
    mode = text_of(raw, MODE) or "pull"
    if mode not in {"pull", "train"}:
        raise SettingsError(f"Hyperparameter {MODE} is {mode!r}. Give pull or train.")
    return Job(
        mode=mode,
        model_version=text_of(raw, MODEL_VERSION),
        manifest_sha256=_sha256(text_of(raw, MANIFEST_SHA256)) or settings.manifest_sha256,
        channels=_channels(settings, read_channel_configs(config_dir)),
        hyperparameters={
            k: decoded(v) for k, v in raw.items() if k not in {MODE, MODEL_VERSION, MANIFEST_SHA256}
        },
    )


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
    return pull(
        uri, settings.model_dir, expected_sha256=job.manifest_sha256, progress=progress, check=stop.check
    )


def _train(settings: Settings, job: Job, stop: StopRequest) -> Manifest:
    function = training_function(settings)
    log.info(f"training with apps/main.py on the channels {sorted(job.channels)}")
    with staged(settings.model_dir) as staging:
        with stop.interrupting():
            description = _call(function, staging.new, job)
            manifest = describe(staging.new, **_checked(description))
        install(staging, manifest, manifest_bytes(manifest), stop.check)
    return manifest


def _call(function: Callable[..., object], model_dir: Path, job: Job) -> object:
    try:
        return function(model_dir, dict(job.channels), dict(job.hyperparameters))
    except (Exception, SystemExit) as error:  # a training script may call sys.exit anywhere
        raise AlgorithmError(f"apps/main.py: train failed: {type(error).__name__}: {error}") from error


def _checked(description: object) -> dict[str, Any]:
    """Return train's answer as keywords of describe."""
    known = sorted(_DESCRIPTION)
    if description is None:
        description = {}
    if not isinstance(description, Mapping) or not _DESCRIPTION.issuperset(description):
        raise AlgorithmError(
            f"apps/main.py: train returned {description!r:.200}. Return a dict with what is known of "
            f"{', '.join(known)}, and nothing else."
        )
    return {"name": DEFAULT_NAME, **description}


def _channels(settings: Settings, configs: Mapping[str, Any]) -> dict[str, Path]:
    data_dir = settings.base_dir / "input" / "data"
    for name, config in configs.items():
        if isinstance(config, Mapping) and config.get("TrainingInputMode") == "Pipe":
            raise SettingsError(f"Channel {name} is in Pipe mode. Use File or FastFile.")
    if not data_dir.is_dir():
        return {}
    return {path.name: path for path in sorted(data_dir.iterdir()) if path.is_dir()}


def _sha256(text: str | None) -> str | None:
    if text is not None and (len(text) != 64 or set(text.lower()) - set("0123456789abcdef")):
        raise SettingsError(
            f"Hyperparameter {MANIFEST_SHA256} is {text[:80]!r}. Give the manifest's SHA-256: 64 hex digits."
        )
    return text.lower() if text else None


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
