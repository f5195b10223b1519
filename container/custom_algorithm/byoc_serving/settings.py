"""The environment, read once into one frozen Settings; nothing else in the image reads os.environ."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from byoc_serving.errors import SettingsError

T = TypeVar("T")

PROGRAM_DIR = Path(__file__).resolve().parents[1]
MEGABYTE = 1024 * 1024

# Beyond what SageMaker ever sends or waits for, and within what nginx can be told.
_MOST_MB = 1024 * 1024
_MOST_S = 86400
_MOST_WAIT_MS = 1000

# What a transform job may send, and how long it waits, unless told otherwise (contract C: up to 100 MB,
# InvocationsTimeoutInSeconds 600).
_OF_A_TRANSFORM_JOB: Mapping[str, Any] = MappingProxyType({"max_payload_mb": 100, "timeout_s": 600.0})

# SageMaker kills 30 s after SIGTERM (contract B1): what is not answered by then is given up.
DRAIN_S = 25

# How `serve` tells gunicorn's processes where its scoreboard is; not for users.
RUN_DIR_VARIABLE = "BYOC_SERVE_RUN_DIR"


@dataclass(frozen=True)
class Settings:
    """Everything that can be set from outside. README.md lists the variables behind each field.

    The names are those of SageMaker's own containers (aws/sagemaker-inference-toolkit, parameters.py)
    where they have one for the purpose.
    """

    base_dir: Path = Path("/opt/ml")
    apps_dir: Path = PROGRAM_DIR / "apps"
    program: str = "inference.py"
    host: str = "0.0.0.0"  # noqa: S104 - SageMaker calls the container from outside (contract B3)
    port: int = 8080
    workers: int | None = None
    timeout_s: float = 60.0
    startup_timeout_s: float = 600.0
    preload: bool = False
    door: str = "auto"
    queue: int = 1000
    batching: str = "auto"
    batch_rows: int = 1024
    batch_wait_s: float = 0.0
    worker_memory_mb: int = 0
    log_level: int = logging.INFO
    log_bodies: bool = False
    metrics: str = "page"
    metrics_namespace: str = "BYOC"
    default_accept: str = "application/json"
    max_payload_mb: int = 25
    model_version: str | None = None
    manifest_sha256: str | None = None
    manifest_required: bool = False
    multi_model: bool = False
    models_mb: int | None = None
    batch: bool = False
    batch_strategy: str = "MULTI_RECORD"
    max_concurrent_transforms: int | None = None
    bad_record: str | None = None
    schema: str = "off"
    run_dir: Path | None = None
    unpickle: bool = False
    trusted_types: tuple[str, ...] = ()
    library_threads: int | None = None

    @property
    def model_dir(self) -> Path:
        """Where SageMaker puts the model artefact: read-only while serving."""
        return self.base_dir / "model"

    @property
    def max_payload_bytes(self) -> int | None:
        """The largest body accepted, or None where it is unbounded."""
        return self.max_payload_mb * MEGABYTE if self.max_payload_mb else None


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Return the Settings that an environment asks for.

    Raises:
        SettingsError: a variable has a value that cannot be used, and the message names both; or two of them
            cannot go together.
    """

    def read(default: T, parse: Callable[[str, str], T], *names: str) -> T:
        for name in names:
            if value := environ.get(name, "").strip():
                return parse(name, value)
        return default

    batch = read(False, _boolean, "SAGEMAKER_BATCH")
    multi_model = read(False, _boolean, "SAGEMAKER_MULTI_MODEL")
    if batch and multi_model:
        raise SettingsError(
            "SAGEMAKER_BATCH and SAGEMAKER_MULTI_MODEL are both true. A transform job calls /invocations, "
            "which a container of many models does not have: unset one of them."
        )
    d = Settings(batch=batch, **(_OF_A_TRANSFORM_JOB if batch else {}))
    return Settings(
        base_dir=read(d.base_dir, _path, "SAGEMAKER_BASE_DIR"),
        apps_dir=d.apps_dir,
        program=read(d.program, _program, "SAGEMAKER_PROGRAM"),
        host=read(d.host, _text, "MODEL_SERVER_HOST"),
        port=read(d.port, _port, "SAGEMAKER_BIND_TO_PORT"),
        workers=read(d.workers, _at_least_one, "SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS"),
        timeout_s=read(
            d.timeout_s,
            _seconds,
            "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
            "SAGEMAKER_MODEL_SERVER_TIMEOUT",
            "MODEL_SERVER_TIMEOUT",
        ),
        startup_timeout_s=read(d.startup_timeout_s, _seconds, "SAGEMAKER_STARTUP_TIMEOUT"),
        preload=read(d.preload, _boolean, "MODEL_SERVER_PRELOAD"),
        door=read(d.door, _one_of("auto", "fast", "flask"), "MODEL_SERVER_DOOR"),
        queue=read(d.queue, _at_least_one, "MODEL_SERVER_QUEUE"),
        batching=read(d.batching, _one_of("auto", "on", "off"), "MODEL_SERVER_BATCHING"),
        batch_rows=read(d.batch_rows, _at_least_one, "MODEL_SERVER_BATCH_ROWS"),
        batch_wait_s=read(d.batch_wait_s, _milliseconds, "MODEL_SERVER_BATCH_WAIT_MS"),
        worker_memory_mb=read(d.worker_memory_mb, _megabytes, "MODEL_SERVER_WORKER_MEMORY_MB"),
        log_level=read(d.log_level, _log_level, "SAGEMAKER_CONTAINER_LOG_LEVEL"),
        log_bodies=read(d.log_bodies, _boolean, "MODEL_SERVER_LOG_BODIES"),
        metrics=read(d.metrics, _one_of("page", "emf"), "MODEL_SERVER_METRICS"),
        metrics_namespace=read(d.metrics_namespace, _namespace, "MODEL_SERVER_METRICS_NAMESPACE"),
        default_accept=read(d.default_accept, _text, "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"),
        max_payload_mb=read(d.max_payload_mb, _megabytes, "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
        model_version=read(d.model_version, _text, "MODEL_VERSION"),
        manifest_sha256=read(d.manifest_sha256, sha256_from, "MODEL_MANIFEST_SHA256"),
        manifest_required=read(d.manifest_required, _boolean, "MODEL_MANIFEST_REQUIRED"),
        multi_model=multi_model,
        models_mb=read(d.models_mb, _at_least_one, "MODEL_SERVER_MODELS_MB"),
        batch=batch,
        batch_strategy=read(d.batch_strategy, _strategy, "SAGEMAKER_BATCH_STRATEGY"),
        max_concurrent_transforms=read(
            d.max_concurrent_transforms, _at_least_one, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"
        ),
        bad_record=read(d.bad_record, _placeholder, "MODEL_SERVER_BAD_RECORD"),
        schema=read(d.schema, _one_of("off", "warn", "enforce"), "MODEL_SERVER_SCHEMA"),
        run_dir=read(d.run_dir, _path, RUN_DIR_VARIABLE),
        unpickle=read(d.unpickle, _boolean, "MODEL_SERVER_UNPICKLE"),
        trusted_types=read(d.trusted_types, _types, "MODEL_SERVER_TRUSTED_TYPES"),
        library_threads=read(d.library_threads, _threads, "OMP_NUM_THREADS"),
    )


def environment() -> dict[str, str]:
    """Return a copy of this process's environment, for settings_from and for child processes."""
    return dict(os.environ)


def _text(_name: str, value: str) -> str:
    return value


def _path(name: str, value: str) -> Path:
    if not Path(value).is_absolute():
        raise SettingsError(f"{name} is {value!r}. Give an absolute path, such as /opt/ml.")
    return Path(value)


def _program(name: str, value: str) -> str:
    if Path(value).name != value or not value.endswith(".py") or not value[:-3].isidentifier():
        raise SettingsError(
            f"{name} is {value!r}. Give the name of a Python file in apps/, such as inference.py."
        )
    return value


def _integer(name: str, value: str, lowest: int) -> int:
    try:
        number = int(value)
    except ValueError:
        number = lowest - 1
    if number < lowest:
        raise SettingsError(f"{name} is {value!r}. Give a whole number of {lowest} or more.")
    return number


def _at_least_one(name: str, value: str) -> int:
    return _integer(name, value, 1)


def _megabytes(name: str, value: str) -> int:
    number = _integer(name, value, 0)
    if number > _MOST_MB:
        raise SettingsError(f"{name} is {value!r}. Give at most {_MOST_MB}, or 0 for any size.")
    return number


def _port(name: str, value: str) -> int:
    number = _integer(name, value, 1)
    if number > 65535:
        raise SettingsError(f"{name} is {value!r}. Give a port from 1 to 65535.")
    return number


def _seconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= _MOST_S:
        raise SettingsError(f"{name} is {value!r}. Give a number of seconds above 0, at most {_MOST_S}.")
    return number


def _milliseconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= _MOST_WAIT_MS:
        raise SettingsError(f"{name} is {value!r}. Give a number of milliseconds from 0 to {_MOST_WAIT_MS}.")
    return number / 1000


def _one_of(*words: str) -> Callable[[str, str], str]:
    def parse(name: str, value: str) -> str:
        if value.lower() not in words:
            raise SettingsError(f"{name} is {value!r}. Give one of {', '.join(words)}.")
        return value.lower()

    return parse


def _namespace(name: str, value: str) -> str:
    if not re.fullmatch(r"[\w.#/-]{1,255}", value, re.ASCII) or value.startswith("AWS/"):
        raise SettingsError(
            f"{name} is {value!r}. Give at most 255 letters, digits and . _ - # /, not beginning with AWS/."
        )
    return value


def _strategy(name: str, value: str) -> str:
    return _one_of("single_record", "multi_record")(name, value).upper()


def _placeholder(name: str, value: str) -> str | None:
    """Return one line, or None for "off"."""
    if not value.isprintable():
        raise SettingsError(f"{name} is {value!r}. Give one line of text, such as ERROR, or off.")
    return None if value.lower() == "off" else value


def _boolean(name: str, value: str) -> bool:
    match value.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise SettingsError(f"{name} is {value!r}. Give true or false.")


def _types(name: str, value: str) -> tuple[str, ...]:
    types = tuple(part.strip() for part in value.split(","))
    if wrong := [part for part in types if not all(word.isidentifier() for word in part.split("."))]:
        raise SettingsError(
            f"{name} is {value!r}, and {wrong[0]!r} is no type. Give types by their full "
            "names, with commas between, such as xgboost.core.Booster,xgboost.sklearn.XGBClassifier."
        )
    return types


def _threads(name: str, value: str) -> int:
    return _at_least_one(name, value.partition(",")[0])  # OpenMP takes one for each level of nesting


def _log_level(name: str, value: str) -> int:
    level = int(value) if value.isdecimal() else logging.getLevelNamesMapping().get(value.upper())
    if level is None:
        raise SettingsError(f"{name} is {value!r}. Give a level such as INFO, or its number, such as 20.")
    return level


def is_sha256(digest: str) -> bool:
    """Return whether a string is a SHA-256 as hashlib writes it: 64 hex digits in lower case."""
    return re.fullmatch("[0-9a-f]{64}", digest) is not None


def sha256_from(name: str, value: str) -> str:
    """Return a SHA-256 given in either case as hashlib writes it.

    Raises:
        SettingsError: it is none; the message has the setting's name.
    """
    if not is_sha256(value.lower()):
        raise SettingsError(f"{name} is {value[:80]!r}. Give the 64 hex digits of the manifest's SHA-256.")
    return value.lower()
