"""What of a failure file names a cause."""

import pytest

from byoc.check.cause import blames_network, causes_in, is_traceback, last_lines

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
