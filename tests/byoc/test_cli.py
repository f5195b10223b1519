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


@pytest.mark.parametrize(("error", "told"), [(ByocError("gone."), "gone."), (click.Abort(), "interrupted")])
def test_a_door_says_its_own_name(capsys, error, told):
    main([], raising(error), "door.py")
    assert capsys.readouterr().err == f"door.py: {told}\n"


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("words", [["--help"], ["demo", "--repo", "."]], ids=["help", "demo"])
def test_an_output_that_is_full_is_one_clear_line(words, tmp_path):
    (tmp_path / "container" / "custom_algorithm").mkdir(parents=True)
    (tmp_path / "dummy_data").mkdir()
    (tmp_path / "dummy_data" / "rows.csv").touch()
    command = [sys.executable, "-m", "byoc", *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(REPO)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    line, *notes = done.stderr.splitlines()
    assert (done.returncode, line) == (1, "byoc: The output cannot be written: No space left on device.")
    assert all(note.startswith("The logs of all stages are in") for note in notes)


def test_a_pipe_that_breaks_elsewhere_is_a_bug_all_the_same(capsys):
    assert main([], raising(BrokenPipeError("the served program"))) == 3
    Path(capsys.readouterr().err.rpartition(" ")[2].strip().rstrip(".")).unlink()


def test_what_was_noted_on_the_way_of_an_error_is_said(capsys):
    error = ByocError("serve has ended.")
    error.add_note("The logs are in /there.")
    assert main([], raising(error)) == 1
    assert capsys.readouterr().err == "byoc: serve has ended.\nThe logs are in /there.\n"


def test_a_hangup_that_is_ignored_stays_ignored():
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    main([], lambda **_: None)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_IGN, signal.SIG_DFL)


@pytest.mark.parametrize(
    ("command", "lacking", "extra"),
    [
        (["demo"], "moto", "local"),
        (["demo"], "sagemaker", "cli,local,sdk"),
        (["demo", "--direct"], "awscli", "cli,local,sdk"),
        (["local", "up"], "uvicorn", "local"),
    ],
)
def test_a_missing_extra_is_told_with_the_remedy(monkeypatch, capsys, command, lacking, extra):
    def found(name):
        return None if name == lacking else name

    monkeypatch.setattr("byoc.local_commands.find_spec", found)
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"byoc: Not installed here: {lacking}. Run make demo in the checkout, or: ")
    assert told.endswith(f" -m pip install 'sagemaker-byoc[{extra}]'\n")


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
