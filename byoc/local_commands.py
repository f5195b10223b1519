"""The verbs of `byoc local`: a SageMaker on this machine, to be started, used, looked at and ended."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from byoc.errors import ByocError, ReaderGoneError
from byoc.local import launch
from byoc.local.instance import PORT, Instance, LocalError
from byoc.runtime.network import free_port

NOT_RUNNING = 1
# What the extra `local` brings.
EXTRA = ("flask", "flask_cors", "httptools", "moto", "uvicorn", "uvloop", "werkzeug")
_LOOK_S = 0.3
_ENDPOINTS = "/aws/sagemaker/Endpoints/"
_JOBS = "/aws/sagemaker/TrainingJobs"


def _telling(command: Callable[..., Any]) -> Callable[..., Any]:
    """Turn what the local SageMaker refuses, and what its clients meet, into the one line of an error."""

    @wraps(command)
    def wrapped(*args: object, **options: object) -> object:
        try:
            return command(*args, **options)
        except LocalError as error:
            raise ByocError(str(error)) from error
        except BrokenPipeError as error:  # as in `byoc local logs -f | head`
            raise ReaderGoneError("Nobody reads the output any more.") from error
        except _errors_of_clients() as error:
            raise ByocError(f"The local SageMaker did not answer as it should: {error}") from error

    return wrapped


def _errors_of_clients() -> tuple[type[Exception], ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError


def _at_port(command: Callable[..., Any]) -> Callable[..., Any]:
    option = click.option(
        "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Which of several."
    )
    return option(_telling(command))


@click.group()
def local() -> None:
    """A SageMaker on this machine: `byoc local up`, then eval "$(byoc local env)"."""


@local.command()
@_at_port
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Keep all of it in this folder."
)
@click.option(
    "--program",
    "programs",
    multiple=True,
    metavar="NAME=DIR",
    help="The folder that stands for an image.",
)
@click.option("--registry", metavar="HOST:PORT", help="A real registry for ECR's answers to point at.")
@click.option("--foreground", is_flag=True, help="Stay, and show the log, until ^C.")
def up(
    port: int, data: Path | None, programs: tuple[str, ...], registry: str | None, foreground: bool
) -> None:
    """Start it; return when it answers."""
    need(*EXTRA, extra="local")
    asked = launch.Asked(
        port=port or free_port(),
        data=data,
        programs=dict(_named(program) for program in programs),
        default=launch.program_around(Path.cwd()),
        registry=registry,
    )
    if foreground:
        folder = launch.ready_folder(asked, os.environ)
        argv = launch.command(asked, folder, "--foreground")
        sys.stdout.flush()
        os.chdir("/")
        os.execve(argv[0], argv, launch.server_environment(os.environ))  # noqa: S606 - no shell is wanted
    instance = launch.start(asked, os.environ)
    option = "" if asked.port == PORT else f" --port {asked.port}"
    click.echo(f"The local SageMaker is ready at {instance.url}, {_kept(instance)}.")
    click.echo(f'Next:  eval "$(byoc local env{option})"      to end it:  byoc local down{option}')


@local.command()
@_at_port
def down(port: int) -> None:
    """End it, with every program that it runs."""
    instance = launch.find(os.environ, port)
    if instance is None:
        click.echo(f"No local SageMaker runs on port {port}.")
        return
    launch.stop(instance)
    click.echo(f"The local SageMaker at {instance.url} has ended.")


@local.command()
@_at_port
@click.pass_context
def status(context: click.Context, port: int) -> None:
    """Say what it has; the exit status is 0 where it runs, 1 where it does not."""
    instance = launch.find(os.environ, port)
    if instance is None:
        click.echo(f"No local SageMaker runs on port {port}. Start it: byoc local up{_option(port)}")
        context.exit(NOT_RUNNING)
    click.echo(f"{instance.url}  process {instance.pid}, {_kept(instance)}")
    click.echo(f"role {instance.role_arn}, bucket {instance.bucket}")
    sagemaker = _client(instance, "sagemaker")
    for endpoint in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
        click.echo(f"endpoint      {endpoint['EndpointName']}  {endpoint['EndpointStatus']}")
    for job in sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]:
        click.echo(f"training job  {job['TrainingJobName']}  {job['TrainingJobStatus']}")


@local.command()
@_at_port
def env(port: int) -> None:
    """Print what a shell has to set and unset; use it as: eval "$(byoc local env)"."""
    from shlex import quote

    try:
        instance = _running(port)
    except ByocError:
        click.echo("false")  # so that eval fails too, and no next command acts on AWS
        raise
    for name in instance.unset(os.environ):
        click.echo(f"unset {name}")
    kept = {name: value for name, value in os.environ.items() if name in ("NO_PROXY", "no_proxy")}
    for name, value in instance.environment(kept).items():
        click.echo(f"export {name}={quote(value)}")


@local.command()
@_at_port
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written, until ^C.")
@click.argument("name", required=False)
def logs(port: int, follow: bool, name: str | None) -> None:
    """Show the log of the server, or of the endpoint or training job NAME."""
    instance = _running(port)
    source = _Lines(instance, name) if name else _ServerLog(instance.log)
    for line in source.new():
        click.echo(line)
    while follow:
        time.sleep(_LOOK_S)
        for line in source.new():
            click.echo(line)
        if launch.find(os.environ, port) is None:
            return


class _ServerLog:
    """The server's own log."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0

    def new(self) -> Iterator[str]:
        """Yield the lines since the last time."""
        with self._file.open(errors="replace") as opened:
            opened.seek(self._read)
            text = opened.read()
            self._read = opened.tell()
        yield from text.splitlines()


@dataclass(frozen=True)
class _Stream:
    """One log stream of CloudWatch Logs."""

    group: str
    name: str


class _Lines:
    """The log of an endpoint or a training job, from CloudWatch Logs."""

    def __init__(self, instance: Instance, name: str) -> None:
        self._logs = _client(instance, "logs")
        self._name = name
        self._tokens: dict[_Stream, str] = {}
        if not self._streams():
            raise ByocError(f"No endpoint or training job called {name} has a log. See: byoc local status")

    def new(self) -> Iterator[str]:
        """Yield the lines since the last time."""
        for stream in self._streams():
            while True:
                more = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
                page = self._logs.get_log_events(
                    logGroupName=stream.group, logStreamName=stream.name, startFromHead=True, **more
                )
                yield from (event["message"] for event in page["events"])
                before, self._tokens[stream] = self._tokens.get(stream), page["nextForwardToken"]
                if not page["events"] or before == page["nextForwardToken"]:
                    break

    def _streams(self) -> list[_Stream]:
        return [
            _Stream(group, found["logStreamName"])
            for group, prefix in ((_ENDPOINTS + self._name, ""), (_JOBS, f"{self._name}/"))
            for found in self._describe(group, prefix)
        ]

    def _describe(self, group: str, prefix: str) -> list[dict[str, Any]]:
        given = {"logStreamNamePrefix": prefix} if prefix else {}
        pages = self._logs.get_paginator("describe_log_streams").paginate(logGroupName=group, **given)
        try:
            return [stream for page in pages for stream in page["logStreams"]]
        except self._logs.exceptions.ResourceNotFoundException:
            return []


def need(*modules: str, extra: str) -> None:
    """Refuse to begin where modules of an extra of this package are missing.

    Raises:
        ByocError: which, and how to get them.
    """
    lacking = [name for name in modules if find_spec(name) is None]
    if lacking:
        raise ByocError(
            f"Not installed here: {', '.join(lacking)}. Run make demo in the checkout, or: "
            f"{sys.executable} -m pip install 'sagemaker-byoc[{extra}]'"
        )


def _named(program: str) -> tuple[str, Path]:
    name, equals, folder = program.partition("=")
    if not name or not equals:
        raise click.BadParameter(f"{program!r}. Give NAME=DIR.", param_hint="--program")
    if not Path(folder).is_dir():
        raise click.BadParameter(f"{folder} is no folder.", param_hint=f"--program {name}")
    return name, Path(folder).resolve()


def _running(port: int) -> Instance:
    if instance := launch.find(os.environ, port):
        return instance
    raise ByocError(f"No local SageMaker runs on port {port}. Start it: byoc local up{_option(port)}")


def _client(instance: Instance, service: str) -> Any:  # noqa: ANN401 - boto3 makes its clients at run time
    import boto3

    client: Any = boto3.session.Session(
        aws_access_key_id=instance.access_key,
        aws_secret_access_key=instance.secret_key,
        region_name=instance.region,
    ).client
    return client(service, endpoint_url=instance.url)


def _option(port: int) -> str:
    return "" if port == PORT else f" --port {port}"


def _kept(instance: Instance) -> str:
    return f"data in {instance.data}{' until it ends' if instance.temporary else ''}"
