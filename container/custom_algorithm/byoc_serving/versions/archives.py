"""Unpacks a model archive within bounds: plain files and folders only, whatever the archive says."""

import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import ModelVersionError
from byoc_serving.versions.paths import MANIFEST_NAME, check_path, check_paths
from byoc_serving.versions.staging import check_room, explained_disk

_LARGEST_HEADER_BYTES = 1024 * 1024
_LENGTHY_HEADERS = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


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
    try:
        with tarfile.open(archive, "r|gz", tarinfo=_BoundedTarInfo) as tar:
            for member in _checked(tar, archive.name, folder, bounds):
                with explained_disk(folder):
                    tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ModelVersionError(
            f"Bad archive: {archive.name}: {error}. Pack the model anew as .tar.gz."
        ) from error


def _checked(tar: tarfile.TarFile, name: str, folder: Path, bounds: Bounds) -> Iterator[tarfile.TarInfo]:
    paths: list[str] = []
    size = 0
    for count, member in enumerate(tar, 1):
        path = (
            member.name.removeprefix("./").rstrip("/") if member.isdir() else member.name.removeprefix("./")
        )
        size += member.size
        if count > bounds.members or size > bounds.size:
            raise ModelVersionError(
                f"Bad archive: {name} holds over {bounds.members} members or {bounds.size} bytes. Pack less."
            )
        if not (member.isdir() or (member.isreg() and not member.issparse())):
            raise ModelVersionError(
                f"Bad archive: {path!r} in {name} is a link or no plain file. Pack the file itself."
            )
        if path in {"", "."} and member.isdir():
            continue
        if path != MANIFEST_NAME:
            check_path(path)
        if member.isreg():
            paths.append(path)
        check_room(folder, member.size)
        member.name = path
        yield member
    check_paths(path for path in paths if path != MANIFEST_NAME)
