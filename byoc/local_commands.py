"""The verbs of `byoc local`: a SageMaker on this machine, to be started, used, looked at and ended."""

import os
import shlex
import sys
import time
from collections.abc import Callable
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from byoc.errors import ByocError, ReaderGoneError
from byoc.local import launch
from byoc.local.instance import PORT, Instance, LocalError, port_option
from byoc.local.programs import Programs, named_program
from byoc.local_logs import Lines, ServerLog, check_that_there_may_be
from byoc.local_status import gone_with_it, standing
from byoc.runtime.network import free_port

NOT_RUNNING = 1
# What the extra `local` brings.
EXTRA = ("flask", "flask_cors", "httptools", "moto", "uvicorn", "uvloop", "werkzeug")
_LOOK_S = 0.3
# One that hangs shall end all the same.
_PATIENCE_S = 2


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
    option = port_option(asked.port)
    click.echo(f"The local SageMaker is ready at {instance.url}, {_kept(instance)}.")
    for line in Programs(Path(instance.data)).gone():
        click.echo(f"Note: {line}")
    click.echo(f'Next:  eval "$(byoc local env{option})"      to end it:  byoc local down{option}')


@local.command()
@_at_port
@click.argument("programs", nargs=-1, required=True, metavar="NAME=DIR...")
def add(port: int, programs: tuple[str, ...]) -> None:
    """Have folders stand for images of the one that runs, as `up --program` does for one that starts."""
    from byoc.local.ecr import add_programs

    named = dict(_named(program, "NAME=DIR") for program in programs)
    instance = launch.find(os.environ, port)
    if instance is None:
        options = "".join(f" --program {shlex.quote(program)}" for program in programs) + port_option(port)
        raise ByocError(f"No local SageMaker runs on port {port}. Start it with: byoc local up{options}")
    before = Programs(Path(instance.data)).folders()
    add_programs(instance, named, _client(instance, "ecr"))
    for name, folder in named.items():
        click.echo(f"The image {name} is the program in {folder} from now on.")
        if before.get(name, folder) != folder:
            click.echo(f"It was {before[name]}: what runs already goes on with that until it starts anew.")


@local.command()
@_at_port
def down(port: int) -> None:
    """End it, with every program that it runs."""
    instance = launch.find(os.environ, port)
    if instance is None:
        click.echo(f"No local SageMaker runs on port {port}.")
        return
    lost = _lost_with(instance)
    launch.stop(instance)
    click.echo(f"The local SageMaker at {instance.url} has ended.{lost}")


@local.command()
@_at_port
@click.pass_context
def status(context: click.Context, port: int) -> None:
    """Say what it has; the exit status is 0 where it runs, 1 where it does not."""
    instance = launch.find(os.environ, port)
    if instance is None:
        click.echo(_not_running(port))
        context.exit(NOT_RUNNING)
    click.echo(f"{instance.url}  process {instance.pid}, {_kept(instance)}")
    click.echo(f"role {instance.role_arn}, bucket {instance.bucket}")
    for name, folder in Programs(Path(instance.data)).folders().items():
        click.echo(f"program       {name}  {folder}")
    for line in standing(_client(instance, "sagemaker")):
        click.echo(line)


@local.command()
@_at_port
def env(port: int) -> None:
    """Print what a shell has to set and unset; use it as: eval "$(byoc local env)"."""
    try:
        instance = _running(port)
    except ByocError:
        click.echo("false")  # so that eval fails too, and no next command acts on AWS
        raise
    for name in instance.unset(os.environ):
        click.echo(f"unset {name}")
    kept = {name: value for name, value in os.environ.items() if name in ("NO_PROXY", "no_proxy")}
    for name, value in instance.environment(kept).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@local.command()
@_at_port
@click.option("-f", "--follow", is_flag=True, help="Go on as more is written, until ^C.")
@click.option("--raw", is_flag=True, help="Show the lines of a JSON log as they are.")
@click.option("--stream", metavar="STREAM", default="", help="The same as the second argument.")
@click.argument("names", nargs=-1, metavar="[NAME [STREAM]]")
def logs(port: int, follow: bool, raw: bool, stream: str, names: tuple[str, ...]) -> None:
    """Show the log of the server, or of the endpoint or training job NAME, the newest line last.

    Lines of several instances stand behind the beginning of their ids. STREAM shows one of them alone: the
    name of a log stream, an instance's id or its beginning, or a variant.
    """
    if len(names) + bool(stream) > 2 or (stream and not names):
        raise click.UsageError(
            "Give the NAME of an endpoint or a training job, and at most one STREAM of it."
        )
    name, second = [*names, "", ""][:2]
    source = _log_of(port, follow, name, stream or second)

    def show() -> None:
        for line in source.new():
            click.echo(line.text if raw else line.readable())

    show()
    while follow:
        time.sleep(_LOOK_S)
        show()
        if launch.find(os.environ, port) is None:
            return


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


def _named(program: str, hint: str = "--program") -> tuple[str, Path]:
    try:
        return named_program(program)
    except LocalError as error:
        raise click.BadParameter(str(error), param_hint=hint) from error


def _log_of(port: int, follow: bool, name: str, stream: str) -> Lines | ServerLog:
    """Return the log to show.

    Raises:
        ByocError: there is none, and none to wait for.
    """
    instance = launch.find(os.environ, port)
    if instance is None:
        left = launch.log_left_behind(os.environ, port)
        died = f" The log of one that did not end well is {left}" if left else ""
        raise ByocError(f"{_not_running(port)}{died}")
    if not name:
        return ServerLog(instance.log)
    lines = Lines(_client(instance, "logs"), name, stream)
    if not lines.exist():
        check_that_there_may_be(_client(instance, "sagemaker"), name, instance.started_s, follow)
    return lines


def _lost_with(instance: Instance) -> str:
    """Return a sentence on what does not outlive an instance, or on where it stays."""
    if not instance.temporary:
        return f" What it has stays in {instance.data}."
    try:
        lost = gone_with_it(*(_client(instance, service, _PATIENCE_S) for service in ("sagemaker", "s3")))
    except _errors_of_clients():
        return ""
    return f" Gone with it, as it had no --data: {', '.join(lost)}." if lost else ""


def _running(port: int) -> Instance:
    if instance := launch.find(os.environ, port):
        return instance
    raise ByocError(_not_running(port))


def _not_running(port: int) -> str:
    return f"No local SageMaker runs on port {port}. Start it: byoc local up{port_option(port)}"


def _client(instance: Instance, service: str, patience_s: float | None = None) -> Any:  # noqa: ANN401
    """Return a boto3 client, whose classes are made at run time; with a patience it asks once only."""
    import boto3
    from botocore.config import Config

    once = Config(connect_timeout=patience_s, read_timeout=patience_s, retries={"total_max_attempts": 1})
    client: Any = boto3.session.Session(
        aws_access_key_id=instance.access_key,
        aws_secret_access_key=instance.secret_key,
        region_name=instance.region,
    ).client
    return client(service, endpoint_url=instance.url, config=once if patience_s else None)


def _kept(instance: Instance) -> str:
    return f"data in {instance.data}{' until it ends' if instance.temporary else ''}"
