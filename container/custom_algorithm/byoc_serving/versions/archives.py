"""Unpacks a model archive within bounds: plain files and folders only, whatever the archive says."""

import platform
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import ModelVersionError
from byoc_serving.versions.paths import MANIFEST_NAME, TakenPaths, check_path
from byoc_serving.versions.staging import check_room, explained_disk

_LARGEST_HEADER_BYTES = 1024 * 1024
_LENGTHY_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
# What tarfile and zlib raise over bytes that they cannot make sense of: RecursionError over endless headers.
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Bounds:
    """The most that an archive may hold: members, and bytes once unpacked."""

    members: int = 10_000
    size: int = 1024**4


class _BoundedTarInfo(tarfile.TarInfo):
    """A member whose extended header, which tarfile reads into memory whole, is of a sane size."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedTarInfo":
        member = super().frombuf(buf, encoding, errors)
        if member.type in _LENGTHY_HEADERS and member.size > _LARGEST_HEADER_BYTES:
            raise ModelVersionError(f"Bad archive: a header of {member.size} bytes. Pack the model anew.")
        return member


def unpack(archive: Path, folder: Path, bounds: Bounds = Bounds()) -> None:
    """Unpack a .tar.gz into a folder, member by member, each refused before anything of it is written.

    Raises:
        ModelVersionError: it is no .tar.gz, or holds a link, a device, an unusable path, a path twice, or
            more than the bounds allow.
        StorageError: the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):  # Python before 3.11.4; the image's is newer
        raise ModelVersionError(
            f"Bad archive: {archive.name}: this Python, {platform.python_version()}, cannot unpack it "
            "safely. Use 3.11.4 or newer, or give the channel the files themselves."
        )
    try:
        with tarfile.open(archive, "r|gz", tarinfo=_BoundedTarInfo) as tar:
            for member in _checked(tar, archive.name, folder, bounds):
                with explained_disk(folder):
                    tar.extract(member, folder, filter="data")
    except _DAMAGED as error:
        raise ModelVersionError(
            f"Bad archive: {archive.name}: {error}. Pack the model anew as .tar.gz."
        ) from error


def _checked(tar: tarfile.TarFile, name: str, folder: Path, bounds: Bounds) -> Iterator[tarfile.TarInfo]:
    """Yield the members that may be unpacked, under plain relative names."""
    taken = TakenPaths()
    size = 0
    for count, member in enumerate(tar, 1):
        size += member.size
        if count > bounds.members or size > bounds.size:
            raise ModelVersionError(
                f"Bad archive: {name} holds over {bounds.members} members or {bounds.size} bytes. Pack less."
            )
        _refuse_special(member, name)
        member.name = member.name.removeprefix("./")
        if member.isdir():
            member.name = member.name.rstrip("/")
            if member.name in {"", "."}:
                continue
            check_path(member.name)
            taken.add_folder(member.name)
        else:
            if member.name != MANIFEST_NAME:
                check_path(member.name)
            taken.add_file(member.name)
        check_room(folder, member.size)
        member.mtime = 0  # an extended header may give any float, which no file system takes
        yield member


def _refuse_special(member: tarfile.TarInfo, name: str) -> None:
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise ModelVersionError(
            f"Bad archive: {member.name!r} in {name} is a link or no plain file. Pack the file itself."
        )
