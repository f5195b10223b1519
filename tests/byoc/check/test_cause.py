"""What of a failure file names a cause."""

import pytest

from byoc.check.cause import blames_network, causes_in, is_traceback, last_lines, refuses

TRACEBACK = """Traceback (most recent call last):
  File "train", line 3, in <module>
    write()
    ^^^^^^^
OSError: [Errno 30] Read-only file system
"""


def test_frames_name_no_cause():
    assert causes_in(TRACEBACK) == ["OSError: [Errno 30] Read-only file system"]
    assert causes_in(TRACEBACK.replace("OSError", "  OSError")) == []


def test_a_line_that_is_cut_counts_if_it_says_something():
    assert causes_in("ValueError: the column `age` is not there", 30) == ["ValueError: the column `age` i"]
    assert causes_in("ValueError: the column", 10) == []
    assert causes_in("ValueError\nmore", 10) == ["ValueError"]


@pytest.mark.parametrize(
    ("log", "is_one"),
    [(TRACEBACK, True), (f"{TRACEBACK}1\n2\n3\n4\n", False), ("no such file\n", False), ("", False)],
)
def test_a_log_that_ends_with_a_traceback_is_known(log, is_one):
    assert is_traceback(log) == is_one


@pytest.mark.parametrize(
    ("line", "is_so"),
    [
        ("OSError: [Errno 101] Network is unreachable", True),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", True),
        ("curl: (6) Could not resolve host: example.com", True),
        ("ConnectionError: Max retries exceeded with url: /", True),
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", True),
        ("This program needs the network.", True),
        ("building a neural network of 3 layers", False),
        ("needs no neural network", False),
        ("fully connected layer 3", False),
        ("resolution 64x64, endpoint of the interval 1", False),
        ("training timed out", False),
    ],
)
def test_a_lack_of_network_is_told_from_neural_networks(line, is_so):
    assert blames_network(line) is is_so


def test_what_a_good_run_wrote_too_is_no_cause():
    usual = "no route to host, try 3\ndone\n"
    assert last_lines("no route to host, try 12\n\nConnection refused\n", usual) == ["Connection refused"]


@pytest.mark.parametrize(
    "line",
    [
        "Error: Got unexpected extra argument (serve)",  # click, as uvicorn and flask run
        "Error: No such command 'serve'.",
        "app.py: error: unrecognized arguments: serve",  # argparse
        "app.py: error: argument verb: invalid choice: 'serve' (choose from 'run')",
        "server.py: error: argument port: invalid int value: 'serve'",
        'Error: unknown command "serve" for "app"',  # cobra
        "error: unexpected argument 'serve' found",  # clap
        "python: can't open file '/opt/program/serve': [Errno 2] No such file or directory",
        "Error: Cannot find module '/app/serve'",
    ],
)
def test_a_program_that_cannot_do_with_the_word_serve_is_known_by_what_it_wrote(line):
    assert refuses(f"Usage: app [OPTIONS] APP\n{line}\n", "serve")


@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'serve'",
        "unexpected end of file in serve.py",
        "unknown model type in model-server",
        "starting serve",
    ],
)
def test_other_ends_are_not_blamed_on_the_word(line):
    assert not refuses(line, "serve")
