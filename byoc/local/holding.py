"""Who uses a folder: a process holds it until it ends, however that comes about."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"
# Whoever only looks whether a folder is held, holds it for less than that himself.
_LOOKERS_S = 0.3
_LOOK_S = 0.01


def is_locked(folder: Path) -> bool:
    """Whether a living process holds a folder; the kernel lets go of what a dead one held."""
    try:
        with (folder / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def hold(folder: Path) -> None:
    """Hold a folder, which is made where it is missing, until this process has ended, and not a moment less.

    Raises:
        BlockingIOError: another process holds it.
    """
    give_up = time.monotonic() + _LOOKERS_S
    while _locked(folder) is None:
        if time.monotonic() > give_up:
            raise BlockingIOError(f"{folder} is held")
        time.sleep(_LOOK_S)


@contextmanager
def held_for_a_moment(folder: Path) -> Iterator[bool]:
    """Hold a folder during the block, if nobody else does; the block is told whether."""
    file = _locked(folder)
    try:
        yield file is not None
    finally:
        if file is not None:
            os.close(file)


def _locked(folder: Path) -> int | None:
    """Return the open lock of a folder, which is held until it is closed; None where another has it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = folder / _LOCK
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who held it before may have removed it: then it is no longer the one that others find.
        if os.path.samestat(os.fstat(file), lock.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(file)
    return None


def discard(folder: Path, kept: set[Path]) -> None:
    """Remove what is in a folder that this process holds, but for `kept`; all of it where that is nothing."""
    for path in set(folder.iterdir()) - kept - {folder / _LOCK}:
        path.unlink()
    if not kept - {folder / _LOCK}:
        with suppress(OSError):  # another one has begun there as soon as its lock was gone
            (folder / _LOCK).unlink()
            folder.rmdir()
