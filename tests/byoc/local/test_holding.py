"""A folder is held by one process at a time, and until that has ended."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from byoc.local import holding

REPO = Path(__file__).parents[3]


def test_a_folder_is_held_until_its_holder_has_ended(tmp_path):
    script = (
        "import sys; from pathlib import Path; from byoc.local.holding import hold\n"
        "hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    assert not holding.is_locked(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPO,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        assert holding.is_locked(tmp_path)
        with pytest.raises(BlockingIOError):
            holding.hold(tmp_path)
        with holding.held_for_a_moment(tmp_path) as ours:
            assert not ours
        process.kill()
    assert not holding.is_locked(tmp_path)
    with holding.held_for_a_moment(tmp_path) as ours:
        assert ours
        assert holding.is_locked(tmp_path)
    assert not holding.is_locked(tmp_path)


def test_who_only_looks_whether_a_folder_is_held_keeps_nobody_from_holding_it(tmp_path):
    begun, enough = threading.Event(), threading.Event()

    def look():
        while not enough.is_set():
            holding.is_locked(tmp_path)
            begun.set()

    (tmp_path / "lock").touch()
    looking = threading.Thread(target=look)
    looking.start()
    begun.wait(5)
    try:
        holding.hold(tmp_path)
    finally:
        enough.set()
        looking.join()


def test_what_is_discarded_leaves_what_was_there_before(tmp_path):
    made, kept = tmp_path / "made", tmp_path / "kept"
    for folder in (made, kept):
        folder.mkdir()
    (kept / "server.log").touch()
    for folder in (made, kept):
        with holding.held_for_a_moment(folder):
            before = set(folder.iterdir())
            (folder / "instance.json").touch()
            holding.discard(folder, before)
    assert not made.exists()
    assert {file.name for file in kept.iterdir()} == {"lock", "server.log"}
