"""Takes a model version from an input channel: the only way in under network isolation."""

from collections.abc import Iterator
from pathlib import Path

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.stopping import StopRequest
from byoc_serving.versions.archives import unpack
from byoc_serving.versions.manifest import (
    FileEntry,
    Manifest,
    check_manifest_digest,
    parse_manifest,
    read_manifest_bytes,
    verify_files,
)
from byoc_serving.versions.parallel import Report, report_nothing
from byoc_serving.versions.parts import chunks
from byoc_serving.versions.paths import MANIFEST_NAME
from byoc_serving.versions.pull import fetch
from byoc_serving.versions.s3 import BrokenTransferError
from byoc_serving.versions.staging import install, staged


class FolderSource:
    """A model version in a folder, which may be a read-only mount of S3 (FastFile)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def manifest(self) -> bytes:
        """Return manifest.json as it is (ModelVersionError where there is none)."""
        return _manifest_in(self._folder, str(self._folder))

    def part(self, entry: FileEntry, index: int) -> Iterator[bytes]:
        """Yield one part's bytes; StorageError where the file is missing, ends early or cannot be read."""
        path = self._folder / entry.path
        start, left = entry.part_range(index)
        try:
            with path.open("rb", buffering=0) as file:
                file.seek(start)
                for chunk in chunks(file, left):
                    left -= len(chunk)
                    yield chunk
        except FileNotFoundError as error:
            raise StorageError(
                f"Object missing: {path} is in the manifest and not in the channel."
            ) from error
        except OSError as error:
            raise BrokenTransferError(f"Broken transfer: {path}: {error.strerror}.") from error
        if left:
            raise StorageError(
                f"Wrong size: {path} is shorter than its manifest says. Upload the version again."
            )


def take_from_channel(
    channel: Path,
    model_dir: Path,
    expected_sha256: str | None,
    stop: StopRequest,
    progress: Report = report_nothing,
) -> Manifest:
    """Put the model version in a channel into a directory, and return its manifest.

    The channel holds manifest.json and the files, or a single .tar.gz of them (as a training job leaves its
    model). Errors and guarantees are those of pull.
    """
    if (channel / MANIFEST_NAME).exists():
        return fetch(FolderSource(channel), model_dir, expected_sha256, progress=progress, check=stop.check)
    archives = [path for path in sorted(channel.iterdir()) if path.name.endswith((".tar.gz", ".tgz"))]
    if len(archives) != 1:
        raise ModelVersionError(
            f"Missing manifest: {channel} holds neither {MANIFEST_NAME} nor a single .tar.gz. Give the "
            "channel the S3 prefix of a model version, or one archive of it."
        )
    return _take_from_archive(archives[0], model_dir, expected_sha256, stop)


def _take_from_archive(
    archive: Path, model_dir: Path, expected_sha256: str | None, stop: StopRequest
) -> Manifest:
    with staged(model_dir) as staging:
        with stop.interrupting():
            unpack(archive, staging.new)
        content = _manifest_in(staging.new, str(archive))
        check_manifest_digest(content, expected_sha256)
        manifest = parse_manifest(content)
        verify_files(staging.new, manifest, stop.check)
        install(staging, manifest, content, stop.check)
    return manifest


def _manifest_in(folder: Path, shown: str) -> bytes:
    content = read_manifest_bytes(folder)
    if content is None:
        raise ModelVersionError(
            f"Missing manifest: {shown} has no {MANIFEST_NAME}. Describe the model with apps/s3_upload.py, "
            "which writes it beside the files."
        )
    return content
