"""Every way to end the command has its exit status and its one clear line."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

from byoc.cli import main
from byoc.errors import ByocError

REPO = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_signal_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def raising(error):
    def command(**_):
        raise error

    return command


def test_a_command_that_ends_well_exits_0():
    assert main([], lambda **_: None) == 0


def test_an_error_of_ours_exits_1_with_its_message_and_no_traceback(capsys):
    assert main([], raising(ByocError("the bucket is missing. Make it."))) == 1
    assert capsys.readouterr().err == "byoc: the bucket is missing. Make it.\n"


def test_a_wrong_command_line_exits_2_and_says_how_to_get_help(capsys):
    assert main(["fly"]) == 2
    assert "No such command 'fly'" in capsys.readouterr().err


def test_a_bug_exits_3_and_says_where_its_traceback_is(capsys):
    assert main([], raising(ZeroDivisionError("oh"))) == 3
    told = capsys.readouterr().err
    assert "bug of ours" in told
    assert "Traceback" not in told
    log = Path(told.rpartition(" ")[2].strip().rstrip("."))
    assert "ZeroDivisionError: oh" in log.read_text()
    log.unlink()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.Abort()])
def test_an_interrupt_exits_130(error):
    assert main([], raising(error)) == 130


def test_a_closed_pipe_is_no_bug():
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "byoc", "--help"]
    done = subprocess.run(command, cwd=REPO, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_version_is_that_of_the_package():
    done = subprocess.run(
        [sys.executable, "-m", "byoc", "--version"], cwd=REPO, capture_output=True, text=True, check=True
    )
    stated = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["version"]
    assert done.stdout == f"byoc, version {stated}\n"


def test_demo_outside_a_checkout_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "byoc", "demo", "--repo", str(tmp_path)],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"byoc: {tmp_path} is in no checkout (no container/custom_algorithm). "
        "Go into one, or name it with --repo.\n"
    )
