"""What of a failure file names a cause."""

import pytest

from byoc.check.cause import causes_in, is_traceback

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
