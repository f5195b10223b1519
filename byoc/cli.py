"""The command `byoc`: its verbs, and the one place where errors become messages and exit statuses."""

import errno
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Never

import click

from byoc.check_commands import check
from byoc.errors import ByocError, ReaderGoneError
from byoc.local_commands import EXTRA, local, need

OUR_ERROR = 1
BUG = 3
INTERRUPTED = 130
TERMINATED = 143
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


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
@click.option(
    "--direct", is_flag=True, help="Deploy without a training job, and so without the SageMaker SDK."
)
def demo(repo: Path | None, *, direct: bool) -> None:
    """Train, upload, deploy, predict: the whole way on this machine, on a local SageMaker."""
    from byoc.demo import find_repo, run_demo

    need(*EXTRA, extra="local")
    need("awscli", *([] if direct else ["sagemaker"]), extra="cli,local,sdk")
    run_demo(find_repo(Path.cwd(), repo), direct=direct)


byoc.add_command(local)
byoc.add_command(check)


def main(
    arguments: Sequence[str] | None = None,
    command: Callable[..., object] = byoc.main,
    program: str = "byoc",
) -> int:
    """Run the command line and return its exit status.

    0 done, 1 an error that its message explains, 2 a wrong command line, 3 a bug of ours (the message says
    where its traceback is), 130 interrupted (^C), 143 terminated; byoc check has 4 of its own: it could test
    nothing.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, _end)
    try:
        status = command(args=arguments, prog_name=program, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{program}: interrupted", err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        return _explain(error, program)
    return status if isinstance(status, int) else 0  # of a verb that asked for one


def _explain(error: Exception, program: str) -> int:
    """Say on stderr what went wrong, and what was noted on its way; return the exit status."""
    _drop_what_cannot_be_written()
    if isinstance(error, ReaderGoneError):
        return OUR_ERROR
    text, status = str(error), OUR_ERROR
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE:  # click met it as it wrote the help
        text = f"The output cannot be written: {error.strerror}."
    elif not isinstance(error, ByocError):
        text, status = f"this is a bug of ours. Its traceback is in {_keep_traceback()}.", BUG
    click.echo("\n".join([f"{program}: {text}", *getattr(error, "__notes__", [])]), err=True)
    return status


def _drop_what_cannot_be_written() -> None:
    """Empty stdout's buffer, if need be into nowhere: else Python would complain at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(number: int, _frame: FrameType | None) -> Never:
    """Leave as on ^C, so that every program is stopped and every folder removed."""
    raise SystemExit(128 + number)


def _keep_traceback() -> Path:
    with tempfile.NamedTemporaryFile("w", prefix="byoc-bug-", suffix=".log", delete=False) as file:
        file.write(traceback.format_exc())
    return Path(file.name)
