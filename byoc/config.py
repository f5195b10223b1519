"""endpoint.toml: its keys, the command-line flag of each, and everything that is wrong with their values."""

import difflib
import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import click
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from byoc.errors import ByocError

FILE = "endpoint.toml"
AS_FOUND = "as-found"
# What the tool sets itself; container/custom_algorithm reads it.
MANIFEST_SHA256 = "MODEL_MANIFEST_SHA256"

_LONGEST_SHOWN = 80
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"

# CreateModel's own bounds (SageMaker API reference, ContainerDefinition, Tag).
_Variable = Annotated[str, Field(max_length=1024, pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")]
_TagName = Annotated[str, Field(min_length=1, max_length=128)]

Command = TypeVar("Command", bound=Callable[..., object])


class ConfigError(ByocError):
    """Something in endpoint.toml, or a flag in its place, cannot be used; the message has all problems."""


def _key(what: str, allowed: str, default: Any = ..., **constraints: Any) -> Any:  # noqa: ANN401 - as Field
    """Return a key of endpoint.toml: what it is, and what may stand there, for flags and messages."""
    return Field(default, description=what, json_schema_extra={"allowed": allowed}, **constraints)


class Target(BaseModel):
    """Which endpoint, where it is, and what to send it: all that is needed once it is there."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = _key(
        "the endpoint's name",
        "up to 63 letters, digits and hyphens, a letter or digit at both ends",
        pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$",
    )
    region: str | None = _key(
        "the AWS region; by default the profile's own, or AWS_REGION",
        "a region, such as eu-west-1",
        None,
        pattern=r"^[a-z]{2,}(-[a-z]+)+-\d$",
    )
    profile: str | None = _key("the profile of ~/.aws/config", "its name", None, min_length=1)
    account: str | None = _key(
        "the only account to act in", "its 12 digits, in quotes", None, pattern=r"^\d{12}$"
    )
    dummy_data: Path = _key("the folder of sample requests", "the path of a folder", Path("dummy_data"))
    smoke_file: Path | None = _key(
        "what the endpoint is asked when it is up; by default the first of dummy_data",
        "the path of a file",
        None,
    )


class Spec(Target):
    """All of endpoint.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = _key(
        "the image: an ECR repository's name, with :tag or @sha256:... or neither (the newest), or a URI",
        "such as my-model, my-model:v1, or what build_and_push.sh printed",
        pattern=r"^\S{1,255}$",
    )
    model_version: str = _key(
        "the model version that s3_upload.py printed; the flag takes - to read what it printed from stdin",
        "s3://bucket/prefix/name/version/, as s3_upload.py printed it",
        pattern=rf"^s3://{_BUCKET}(/[^/\s]+)+/?$",
    )
    model_manifest_sha256: str = _key(
        f"its manifest's digest, which s3_upload.py printed too; {AS_FOUND} trusts what lies in the bucket",
        f"the 64 hex digits that s3_upload.py printed, or {AS_FOUND} to trust whoever writes to the bucket",
        pattern=rf"^([0-9a-fA-F]{{64}}|{AS_FOUND})$",
    )
    role: str = _key(
        "the role that SageMaker assumes, by name or ARN",
        "a name, such as SageMakerExecutionRole, or arn:aws:iam::...:role/...",
        pattern=r"^(arn:aws[a-z-]*:iam::\d{12}:role/\S+|[A-Za-z0-9+=,.@_-]{1,64})$",
    )
    instance_type: str = _key(
        "the endpoint's instances",
        "a type such as ml.m5.large",
        "ml.m5.large",
        pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$",
    )
    instance_count: int = _key("how many of them", "a whole number of 1 or more", 1, ge=1, strict=True)
    subnets: tuple[str, ...] = _key(
        "subnets of your VPC", "a list of up to 16, such as subnet-0a1b", (), max_length=16
    )
    security_groups: tuple[str, ...] = _key(
        "their security groups", "a list of up to 5, such as sg-0a1b", (), max_length=5
    )
    environment: dict[_Variable, Annotated[str, Field(max_length=1024)]] = _key(
        "the serving container's environment",
        "letters, digits and _ as names and text in quotes as values, at most 99",
        {},
        max_length=99,
    )
    tags: dict[_TagName, Annotated[str, Field(max_length=256)]] = _key(
        "on all that is created", "names and text in quotes as values, at most 50", {}, max_length=50
    )
    startup_timeout: int | None = _key(
        "seconds until /ping must answer 200; by default AWS's own",
        "a whole number from 60 to 3600",
        None,
        ge=60,
        le=3600,
        strict=True,
    )
    download_timeout: int | None = _key(
        "seconds that getting the model may take; by default AWS's own",
        "a whole number from 60 to 3600",
        None,
        ge=60,
        le=3600,
        strict=True,
    )
    bucket: str | None = _key(
        "where dummy_data and the training job's output go; by default the model version's bucket",
        "a bucket's name, without s3://",
        None,
        pattern=rf"^{_BUCKET}$",
    )
    prefix: str = _key(
        "the folder in it", "a path without / at its ends", "endpoints", pattern=r"^[^/\s]([^\s]*[^/\s])?$"
    )
    training_instance_type: str = _key(
        "the instance of the dummy Estimator",
        "a type such as ml.m5.large",
        "ml.m5.large",
        pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$",
    )
    max_run: int = _key(
        "seconds that it may take",
        "a whole number from 1 to 2419200",
        1800,
        ge=1,
        le=28 * 24 * 3600,
        strict=True,
    )


Keys = TypeVar("Keys", bound=Target)


def flags(model: type[Target], *but: str) -> Callable[[Command], Command]:
    """Return a decorator that gives a click command the flag of every key, `but` some."""

    def decorate(command: Command) -> Command:
        for key in reversed([key for key in model.model_fields if key not in but]):
            command = click.option(_flag(key), key, **_option(model, key))(command)
        return command

    return decorate


def read(model: type[Keys], file: Path, given: Mapping[str, object]) -> Keys:
    """Return what a file says, and what was given by flags in its place.

    Args:
        model: Spec, or Target where only that is needed; then a missing file is an empty one.
        file: paths in it are relative to its folder.
        given: by key; None and () are not given. The names in tables are added to the file's own.

    Raises:
        ConfigError: the file cannot be read, or has problems.
    """
    file = _short(file)
    told = _parse(file, lenient=model is not Spec)
    values = {key: value for key, value in given.items() if value not in (None, ())}
    tables = {key: _pairs(key, value) for key, value in values.items() if _kind(model, key) == "table"}
    both = told | values
    for key, table in tables.items():
        its = told.get(key, {})
        both[key] = its | table if isinstance(its, dict) else its
    problems = [] if model is not Spec else list(_what_clashes(both))
    try:
        spec = model.model_validate(both)
    except ValidationError as error:
        problems = [_problem(model, file, told, values, its) for its in error.errors()] + problems
    if problems:
        raise ConfigError("\n".join(problems))
    return spec.model_copy(
        update={
            key: (Path() if key in values else file.parent) / value
            for key in ("dummy_data", "smoke_file")
            if (value := getattr(spec, key)) is not None
        }
    )


def version_in(text: str) -> dict[str, str]:
    """Return the two keys that s3_upload.py prints, found in its output.

    Raises:
        ConfigError: they are not there.
    """
    lines = (line.partition("=") for line in text.splitlines())
    found = {key: value.strip() for key, _, value in lines if key.startswith("model_") and value}
    keys = ("model_version", "model_manifest_sha256")
    if not text.strip():
        raise ConfigError(
            "Nothing came through stdin for --model-version -, so nothing was deployed. If s3_upload.py was "
            "to write there, the upload has failed: see its message above."
        )
    if absent := [key for key in keys if key not in found]:
        raise ConfigError(
            f"stdin has no line {absent[0]}=... for --model-version -. Pipe into it what s3_upload.py prints."
        )
    return {key: found[key] for key in keys}


def _short(file: Path) -> Path:
    """Return a path as it is shortest: from the current folder, if it is in it."""
    return file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file


def _parse(file: Path, *, lenient: bool) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if lenient:
            return {}
        raise ConfigError(
            f"{file} is not there. Name another with --config, or copy the sample of the repository."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}. Text needs quotes, lists need [...].") from None


def _what_clashes(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with keys that are right one by one."""
    if bool(values.get("subnets")) != bool(values.get("security_groups")):
        alone, other = ("subnets", "security_groups")[:: 1 if values.get("subnets") else -1]
        yield f"{alone} is given without {other}. Give both, or none."
    environment = values.get("environment")
    if isinstance(environment, dict) and MANIFEST_SHA256 in environment:
        yield f"environment.{MANIFEST_SHA256} is set by this program. Give model_manifest_sha256 instead."


def _problem(
    model: type[Target],
    file: Path,
    told: Mapping[str, object],
    given: Mapping[str, object],
    error: ErrorDetails,
) -> str:
    """Return a line that says where, which key, which value, and what is allowed."""
    key, *within = (str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{file}: {key} is no key. {_nearest(key, list(model.model_fields))}"
    allowed = f"Give {_allowed(model, key)}"
    if error["type"] == "missing":
        return f"{file}: {key} is missing. {allowed}, there or with {_flag(key)}."
    name = "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in within if part != "[key]")
    by_flag = key in given and not (within and within[0] in _table(told.get(key)))
    where = f"{_flag(key)}{name}" if by_flag else f"{file}: {key}{name}"
    return f"{where} is {_shown(error['input'])}. {allowed}."


def _nearest(key: str, keys: list[str]) -> str:
    near = difflib.get_close_matches(key, keys, 1, 0.6)
    return f"Did you mean {near[0]}?" if near else f"There are: {', '.join(keys)}."


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _allowed(model: type[Target], key: str) -> str:
    extra = model.model_fields[key].json_schema_extra
    return str(extra["allowed"]) if isinstance(extra, dict) else ""


def _flag(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _kind(model: type[Target], key: str) -> str:
    """Return how a key is written: as text, number, list, table or path."""
    written = str(model.model_fields[key].annotation)
    kinds = {"dict": "table", "tuple": "list", "int": "number", "Path": "path"}
    return next((kind for name, kind in kinds.items() if name in written), "text")


def _option(model: type[Target], key: str) -> dict[str, Any]:
    kind, described = _kind(model, key), model.model_fields[key].description
    match kind:
        case "number":
            return {"type": int, "metavar": "N", "help": described}
        case "list":
            return {"multiple": True, "metavar": "ID", "help": f"{described}; may be repeated"}
        case "table":
            return {"multiple": True, "metavar": "NAME=VALUE", "help": f"{described}; may be repeated"}
    return {"metavar": kind.upper(), "help": described}


def _pairs(key: str, given: object) -> dict[str, str]:
    """Return NAME=VALUE as given by a repeated flag, by name."""
    pairs = [str(pair).partition("=") for pair in given] if isinstance(given, tuple) else []
    for name, equals, _ in pairs:
        if not name or not equals:
            raise ConfigError(f"{_flag(key)} is {name}{equals}. Give NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
