"""The command `byoc`: its verbs, and the one place where errors become messages and exit statuses."""

import os
import signal
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Never

import click

from byoc.errors import ByocError

OUR_ERROR = 1
BUG = 3
INTERRUPTED = 130
TERMINATED = 143


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sagemaker-byoc", prog_name="byoc")
def byoc() -> None:
    """Put a model that you trained yourself behind a SageMaker endpoint, and rehearse it on this machine."""


@byoc.command()
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    help="The checkout to demonstrate; without it, the one around the current folder.",
)
def demo(repo: Path | None) -> None:
    """Train, upload, pull, serve and predict: the whole way on this machine, with an AWS on loopback."""
    try:
        from byoc.demo import find_repo, run_demo
    except ModuleNotFoundError as error:
        raise ByocError(
            f"{error}. Install what the demo needs: pip install 'sagemaker-byoc[local]'"
        ) from error
    run_demo(find_repo(Path.cwd(), repo))


def main(arguments: Sequence[str] | None = None, command: Callable[..., object] = byoc.main) -> int:
    """Run the command line and return its exit status.

    0 done, 1 an error that its message explains, 2 a wrong command line, 3 a bug of ours (the message says
    where its traceback is), 130 interrupted (^C), 143 terminated.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        command(args=arguments, prog_name="byoc", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("byoc: interrupted", err=True)
        return INTERRUPTED
    except ByocError as error:
        click.echo(f"byoc: {error}", err=True)
        return OUR_ERROR
    except BrokenPipeError:  # as in `byoc ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OUR_ERROR
    except Exception:  # noqa: BLE001 - the outermost boundary
        click.echo(f"byoc: this is a bug of ours. Its traceback is in {_keep_traceback()}.", err=True)
        return BUG
    return 0


def _end(number: int, _frame: FrameType | None) -> Never:
    """Leave as on ^C, so that every program is stopped and every folder removed."""
    raise SystemExit(128 + number)


def _keep_traceback() -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="byoc-bug-", suffix=".log", delete=False) as file:
        file.write(traceback.format_exc())
    return Path(file.name)
