"""Puts a model version's files into the model directory all at once, or leaves it as it was."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.stopping import Check, carry_on
from byoc_serving.versions.manifest import Manifest, read_manifest
from byoc_serving.versions.paths import MANIFEST_NAME, STAGING_PREFIX, linked_part


@dataclass(frozen=True)
class Staging:
    """A hidden folder in the model directory, thus on the same file system: `new` holds what is to go in."""

    model_dir: Path
    new: Path
    old: Path


@contextmanager
def staged(model_dir: Path) -> Iterator[Staging]:
    """Give a staging folder, gone afterwards whatever happens; those of killed runs go first.

    Raises:
        StorageError: the directory cannot be written, or its disk is full.
    """
    existed = model_dir.is_dir()
    with explained_disk(model_dir):
        model_dir.mkdir(parents=True, exist_ok=True)
        _remove_stale(model_dir)
        folder = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=model_dir))
        lock = os.open(folder, os.O_RDONLY)
    try:
        with explained_disk(model_dir):
            _lock(lock)
            staging = Staging(model_dir, folder / "new", folder / "old")
            staging.new.mkdir()
            staging.old.mkdir()
        yield staging
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if not existed:
            with contextlib.suppress(OSError):  # it is not empty: the version is in
                model_dir.rmdir()


def install(staging: Staging, manifest: Manifest, content: bytes, check: Check = carry_on) -> None:
    """Move the staged files into the model directory, manifest.json last, in place of an earlier version's.

    Files that belong to no version stay where they are, unless a new one has their path. Renames only; when
    one fails, or `check` raises before the last, those done are undone.
    """
    with explained_disk(staging.model_dir), ExitStack() as undo:
        (staging.new / MANIFEST_NAME).write_bytes(content)
        paths = [entry.path for entry in manifest.files]
        for path in [MANIFEST_NAME, *_paths_of_earlier(staging.model_dir)]:
            _move(staging.model_dir, path, staging.old, undo)
            _remove_empty_parents(staging.model_dir, path, undo)
        for path in [*paths, MANIFEST_NAME]:
            check()
            _move(staging.model_dir, path, staging.old, undo)
            _move(staging.new, path, staging.model_dir, undo)
        undo.pop_all()


def check_room(folder: Path, needed_bytes: int) -> None:
    """Raise StorageError unless the disk has room for that many more bytes."""
    with explained_disk(folder):
        free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise StorageError(
            f"Disk full: {folder} needs {needed_bytes} bytes for the model and has {free} free. "
            "Give the job a larger volume (VolumeSizeInGB), or free some."
        )


@contextmanager
def explained_disk(folder: Path) -> Iterator[None]:
    """Raise an OSError within as a StorageError about the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError(
                f"Disk full: {folder} ran out of room while the model was written ({error.strerror}). "
                "Give the job a larger volume (VolumeSizeInGB), or free some."
            ) from error
        raise StorageError(f"Cannot write: {error.filename or folder}: {error.strerror or error}.") from error


def _remove_stale(model_dir: Path) -> None:
    for folder in model_dir.glob(f"{STAGING_PREFIX}*"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if _lock(descriptor):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Return whether nobody else holds the folder; a file system without locks has nobody."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _paths_of_earlier(model_dir: Path) -> list[str]:
    try:
        earlier = read_manifest(model_dir)
    except ModelVersionError:
        return []  # a damaged manifest lists nothing that could be trusted
    return [entry.path for entry in earlier.files] if earlier else []


def _move(source: Path, path: str, target: Path, undo: ExitStack) -> None:
    if not os.path.lexists(source / path):
        return
    if (link := linked_part(source, path)) and link != source / path:
        raise StorageError(f"Cannot write: {link} is a link to another folder. Remove it.")
    if (source / path).is_dir() and not (source / path).is_symlink():
        raise StorageError(
            f"Cannot write: {source / path} is a folder that belongs to no model version. Remove it."
        )
    _make_parents(target, path, undo)
    (source / path).rename(target / path)
    undo.callback(os.rename, target / path, source / path)


def _make_parents(folder: Path, path: str, undo: ExitStack) -> None:
    for name in Path(path).parts[:-1]:
        folder = folder / name
        if folder.is_symlink() or not folder.is_dir():  # a link is no folder of ours: mkdir refuses it
            folder.mkdir()
            undo.callback(folder.rmdir)


def _remove_empty_parents(folder: Path, path: str, undo: ExitStack) -> None:
    for parent in list(Path(path).parents)[:-1]:
        try:
            (folder / parent).rmdir()
        except OSError:  # it is not empty, or never was
            return
        undo.callback((folder / parent).mkdir)
