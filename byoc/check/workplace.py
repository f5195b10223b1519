"""The folder that one check works in: removed at its end, or by the next check where it was killed."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from byoc.runtime.opt_ml import remove

_PREFIX = "byoc-check-"


@contextmanager
def workplace() -> Iterator[Path]:
    """Give an empty folder, which goes with the block, and remove those that nobody works in any more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_abandoned(folder)
    folder, lock = _taken()
    try:
        yield folder
    finally:
        remove(folder)
        os.close(lock)


def _taken() -> tuple[Path, int]:
    """Return a new folder and its lock, which the kernel drops as this process ends, however it does."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():  # another check may have had it first, and have removed it as abandoned
            return folder, lock
        os.close(lock)


def _remove_abandoned(folder: Path) -> None:
    with suppress(OSError):  # it is another user's, or has gone meanwhile, or somebody works in it
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_uid == os.geteuid():
                remove(folder)
        finally:
            os.close(lock)
