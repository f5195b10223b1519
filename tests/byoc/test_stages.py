"""Stages are shown inline on a terminal and as plain lines in a pipe."""

import errno
import io
import re

import pytest

from byoc.errors import OutputError, ReaderGoneError
from byoc.stages import Stages


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def run(out, error=None):
    now = [10.0]
    stages = Stages(["Pull", "Serve"], out, clock=lambda: now[0])
    with stages.stage("Serve") as stage:
        stage.progress("loading")
        stage.progress("loading still")
        now[0] = 12.5
        if error:
            raise error
        stage.result = "ready"
    return out.getvalue()


def test_a_pipe_gets_plain_lines():
    assert run(io.StringIO()) == "  2/2 Serve\n    loading\nok 2/2 Serve: ready (2.5 s)\n"


def test_an_output_that_can_write_a_tick_gets_one():
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    Stages(["Pull"], out).say("x")
    with Stages(["Pull"], out).stage("Pull"):
        pass
    out.seek(0)
    assert "✓ 1/1 Pull" in out.read()


def test_a_terminal_gets_progress_inline_and_in_colour(terminal):
    told = run(terminal)
    assert told.count("\n") == 1
    assert "\r\033[K\033[2m  2/2 Serve: loading still\033[0m" in told
    assert "\033[32m" in told


def test_no_color_is_obeyed(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\033\[\d+m", run(terminal))


def test_long_progress_never_wraps(terminal, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stages = Stages(["Pull"], terminal)
    with stages.stage("Pull") as stage:
        stage.progress("x" * 200)
    assert "x" * 20 not in terminal.getvalue()


def test_a_failed_stage_is_named_and_the_error_passes_through():
    out = io.StringIO()
    with pytest.raises(ValueError, match="oh"):
        run(out, ValueError("oh"))
    assert out.getvalue().endswith("!! 2/2 Serve failed\n")


def test_an_interrupted_stage_is_named():
    out = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        run(out, KeyboardInterrupt())
    assert out.getvalue().endswith("2/2 Serve was interrupted\n")


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), OutputError, "cannot be written: No space left"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), ReaderGoneError, "Nobody reads the output"),
    ],
)
def test_an_output_that_cannot_be_written_is_an_error_of_its_own(error, raised, message):
    class Full(io.StringIO):
        def write(self, _):
            raise error

    with pytest.raises(raised, match=message):
        Stages(["Pull"], Full()).say("x")
