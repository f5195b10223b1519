"""A check works in a folder that goes with it, at the latest as the next check begins."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from byoc.check.workplace import workplace

HOLDS = """
from byoc.check.workplace import workplace
with workplace() as folder:
    (folder / "sealed").mkdir(mode=0o500)
    print(folder, flush=True)
    input()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other():
    """Another check, under way."""
    words = [sys.executable, "-c", HOLDS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.folder = Path(other.stdout.readline().strip())
        yield other
        other.kill()


def test_the_folder_goes_with_the_block_however_that_ends(place):
    def interrupted():
        with workplace() as folder:
            (folder / "x").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(place.iterdir()) == []


def test_a_folder_that_another_check_works_in_stays(other):
    with workplace() as folder:
        assert other.folder.is_dir()
        assert folder != other.folder


def test_what_a_killed_check_left_goes_with_the_next_one(other, place):
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert other.folder.is_dir()
    with workplace() as folder:
        assert list(place.iterdir()) == [folder]


def test_a_file_of_that_name_is_nobodys_workplace(place):
    (place / "byoc-check-notes.txt").write_text("mine")
    with workplace():
        assert (place / "byoc-check-notes.txt").read_text() == "mine"
