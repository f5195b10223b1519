"""Pulls a model version from S3 in parallel ranges, verified while written, in place all at once."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from byoc_serving.errors import ModelVersionError
from byoc_serving.stopping import Check, carry_on
from byoc_serving.versions.manifest import (
    LARGEST_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    check_manifest_digest,
    check_manifest_size,
    parse_manifest,
    parts_of,
    read_manifest_bytes,
    verify_files,
)
from byoc_serving.versions.parallel import Progress, Report, report_nothing, run_all
from byoc_serving.versions.paths import MANIFEST_NAME
from byoc_serving.versions.s3 import (
    CONNECTIONS,
    BrokenTransferError,
    Location,
    ObjectMissingError,
    location_from,
    make_client,
    read_object,
    read_range,
)
from byoc_serving.versions.staging import check_room, explained_disk, install, staged

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

log = logging.getLogger("pull")

ATTEMPTS = 4
_FIRST_WAIT_S = 0.2
# For larger writes the kernel takes huge pages, which are slow where a host has to give them.
_WRITE_BYTES = 256 * 1024


class Source(Protocol):
    """Where a model version lies."""

    def manifest(self) -> bytes:
        """Return manifest.json as it is."""

    def part(self, entry: FileEntry, index: int) -> Iterator[bytes]:
        """Yield the bytes of one part of a file, 1 MiB at a time."""


class S3Source:
    """A model version under a prefix in S3."""

    def __init__(self, location: Location, client: "S3Client") -> None:
        self._location = location
        self._client = client

    def manifest(self) -> bytes:
        """Return manifest.json as it is (ModelVersionError where there is none)."""
        try:
            return read_object(self._client, self._location, MANIFEST_NAME, LARGEST_MANIFEST_BYTES)
        except ObjectMissingError as error:
            raise ModelVersionError(
                f"Missing manifest: {self._location.uri}{MANIFEST_NAME} is not in S3. Either this is not the "
                "URI of a model version, or its upload did not finish: upload it again."
            ) from error

    def part(self, entry: FileEntry, index: int) -> Iterator[bytes]:
        """Yield one part's bytes (errors as read_range has them)."""
        return read_range(self._client, self._location, entry.path, *entry.part_range(index))


def pull(  # noqa: PLR0913 - three things to say, four seams
    uri: str,
    model_dir: Path,
    *,
    expected_sha256: str | None = None,
    progress: Report = report_nothing,
    check: Check = carry_on,
    client: "S3Client | None" = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Manifest:
    """Put the model version at an s3:// URI into a directory, and return its manifest.

    The directory has all of the version or is as it was before. A version that is there already, and still
    as its manifest says, is left alone.

    Args:
        uri: s3://bucket/prefix/name/version/.
        model_dir: where to; made if need be.
        expected_sha256: the manifest's digest, known from elsewhere than the bucket.
        progress: told the bytes done and their total, from several threads but one call at a time.
        check: called often; raises to cancel the pull.
        client: an S3 client for CONNECTIONS threads.
        sleep: waits, in seconds, before a part is tried again.

    Raises:
        ModelVersionError: manifest or files are not what was promised, or are those of another version than
            the URI names.
        StorageError: S3 or the disk failed.
    """
    location = location_from(uri)
    source = S3Source(location, client or make_client(CONNECTIONS))
    return fetch(
        source, model_dir, expected_sha256, place=location, progress=progress, check=check, sleep=sleep
    )


def fetch(  # noqa: PLR0913 - as pull
    source: Source,
    model_dir: Path,
    expected_sha256: str | None,
    *,
    place: Location | None = None,
    progress: Report = report_nothing,
    check: Check = carry_on,
    sleep: Callable[[float], None] = time.sleep,
) -> Manifest:
    """Put a model version from any source into a directory, as pull does from S3.

    Where a place is given, its last two folders must be the name and the version that the manifest states.
    """
    content = check_manifest_size(source.manifest())
    check_manifest_digest(content, expected_sha256)
    manifest = parse_manifest(content)
    if place is not None:
        _check_place(place, manifest)
    if _is_in_place(model_dir, content, manifest, check):
        log.info(f"{model_dir} already holds {manifest.name} {manifest.version}, verified")
        return manifest
    with staged(model_dir) as staging:
        check_room(model_dir, manifest.size)
        with explained_disk(model_dir):
            _make_files(staging.new, manifest)
        writing = {entry.path: threading.Lock() for entry in manifest.files}
        transfer = _Transfer(source, staging.new, Progress(manifest.size, progress), sleep, writing)
        run_all(transfer.fetch_part, parts_of(manifest), threads=CONNECTIONS, check=check)
        install(staging, manifest, content, check)
    return manifest


def _check_place(place: Location, manifest: Manifest) -> None:
    own = f"{manifest.name}/{manifest.version}/"
    if not f"/{place.prefix}".endswith(f"/{own}"):
        raise ModelVersionError(
            f"Wrong version: {place.uri} holds {own} by its manifest, which was written over or copied. "
            "Give the URI that the upload printed, or upload the version again."
        )


def _is_in_place(model_dir: Path, content: bytes, manifest: Manifest, check: Check) -> bool:
    try:
        if read_manifest_bytes(model_dir) != content:
            return False
        verify_files(model_dir, manifest, check)
    except ModelVersionError as error:
        log.warning(f"{model_dir} holds a damaged version, which is fetched again: {error}")
        return False
    return True


def _make_files(folder: Path, manifest: Manifest) -> None:
    """Make every file at its full size, so that any part can be written at its place."""
    for entry in manifest.files:
        path = folder / entry.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.truncate(entry.size)


class _WrongPartError(ModelVersionError):
    """The bytes that came are not those that the manifest promises."""


@dataclass(frozen=True)
class _Transfer:
    """Parts on their way from a source into files made for them.

    Attributes:
        writing: held by who writes into a file, by its path. The kernel lets one write at a time anyway, and
            who waits for it there does so at the cost of a core.
    """

    source: Source
    folder: Path
    done: Progress
    sleep: Callable[[float], None]
    writing: Mapping[str, threading.Lock]

    def fetch_part(self, part: tuple[FileEntry, int], alive: Check) -> None:
        """Fetch one part, again where the connection or the bytes were bad."""
        entry, index = part
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with explained_disk(self.folder.parents[1]):
                    return self._write_part(entry, index, alive)
            except (BrokenTransferError, _WrongPartError) as error:
                if attempt == ATTEMPTS:
                    raise
                log.info(f"attempt {attempt} of {ATTEMPTS} failed: {error}")
            self.sleep(_FIRST_WAIT_S * 2 ** (attempt - 1))
        return None

    def _write_part(self, entry: FileEntry, index: int, alive: Check) -> None:
        start, _ = entry.part_range(index)
        digest, offset = hashlib.sha256(), start
        descriptor = os.open(self.folder / entry.path, os.O_WRONLY)
        try:
            for chunk in self.source.part(entry, index):
                alive()
                digest.update(chunk)
                with self.writing[entry.path]:
                    write_at(descriptor, chunk, offset)
                offset += len(chunk)
                self.done.add(len(chunk))
            _check_part(entry, index, digest.hexdigest())
        except BaseException:
            self.done.add(start - offset)
            raise
        finally:
            os.close(descriptor)


def _check_part(entry: FileEntry, index: int, sha256: str) -> None:
    if sha256 != entry.parts[index]:
        raise _WrongPartError(
            f"Wrong sha256: part {index + 1} of {len(entry.parts)} of {entry.path!r} has {sha256}, and the "
            f"manifest says {entry.parts[index]}. The object was changed after its upload: upload it again."
        )


def write_at(descriptor: int, chunk: bytes, offset: int) -> None:
    """Write all of a chunk at an offset in bytes (OSError as pwrite raises it)."""
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view[:_WRITE_BYTES], offset)
        view, offset = view[written:], offset + written
