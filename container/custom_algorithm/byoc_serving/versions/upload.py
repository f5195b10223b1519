"""Uploads a model version to S3: files in parallel, each part verified, the manifest last."""

import hashlib
import logging
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from byoc_serving.errors import ModelVersionError, StorageError
from byoc_serving.stopping import Check, carry_on
from byoc_serving.versions.manifest import (
    LARGEST_MANIFEST_BYTES,
    FileEntry,
    Manifest,
    manifest_bytes,
    parse_manifest,
)
from byoc_serving.versions.parallel import Progress, Report, report_nothing, run_all
from byoc_serving.versions.parts import CHUNK_BYTES, FilePart
from byoc_serving.versions.paths import MANIFEST_NAME, check_paths
from byoc_serving.versions.s3 import (
    CONNECTIONS,
    AccessDeniedError,
    Location,
    ObjectExistsError,
    ObjectMissingError,
    checksum,
    explained,
    location_from,
    make_client,
    read_object,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

log = logging.getLogger("upload")


@dataclass(frozen=True)
class UploadedVersion:
    """Where a version lies, the digest of the manifest that lies there, and whether it lay there before."""

    uri: str
    version: str
    manifest_sha256: str
    was_there: bool = False


def check_destination(destination: str) -> None:
    """Make sure that one can upload there, as far as S3 tells before it is tried.

    Raises:
        StorageError: it is no s3:// URI; no such bucket; no credentials; nobody answers.
    """
    location = location_from(destination)
    with suppress(AccessDeniedError), explained(location.uri):  # who may not list may write all the same
        make_client(1).list_objects_v2(Bucket=location.bucket, Prefix=location.prefix, MaxKeys=1)


def upload(  # noqa: PLR0913 - three things to say, three seams
    model_dir: Path,
    manifest: Manifest,
    destination: str,
    *,
    progress: Report = report_nothing,
    check: Check = carry_on,
    client: "S3Client | None" = None,
) -> UploadedVersion:
    """Upload the model in a folder as s3://bucket/prefix/<name>/<version>/.

    S3 verifies every object, or part of one, against the manifest's digest, and so do we while reading. The
    manifest is written last and never over another, so that an interrupted upload does not look complete;
    repeating it sends only what is missing. A version that is there already is left as it is.

    Args:
        model_dir: the folder that was described.
        manifest: what describe returned for it.
        destination: s3://bucket/prefix.
        progress: told the bytes done and their total, from several threads but one call at a time.
        check: called often; raises to cancel the upload.
        client: an S3 client for CONNECTIONS threads.

    Raises:
        ModelVersionError: a file is no longer what the manifest says, or another manifest lies there.
        StorageError: S3 refused or cannot be reached.
    """
    check_paths(entry.path for entry in manifest.files)
    client = client or make_client(CONNECTIONS)
    location = location_from(destination).below(manifest.name, manifest.version)
    job = _Upload(client, location, model_dir, Progress(manifest.size, progress))
    stored = _stored_manifest(client, location, manifest)
    job.send_missing(manifest, check)
    if stored is not None:
        return _uploaded(location, manifest, stored, was_there=True)
    return _publish(client, location, manifest)


def _stored_manifest(client: "S3Client", location: Location, manifest: Manifest) -> bytes | None:
    try:
        content = read_object(client, location, MANIFEST_NAME, LARGEST_MANIFEST_BYTES)
    except (ObjectMissingError, AccessDeniedError):  # without s3:ListBucket a missing object is denied
        return None
    if parse_manifest(content).version != manifest.version:
        raise ModelVersionError(
            f"Bad manifest: {location.uri}{MANIFEST_NAME} is that of another version. Remove it, or choose "
            "another prefix."
        )
    return content


def _publish(client: "S3Client", location: Location, manifest: Manifest) -> UploadedVersion:
    content = manifest_bytes(manifest)
    try:
        with explained(location.uri + MANIFEST_NAME):
            client.put_object(
                Bucket=location.bucket,
                Key=location.key(MANIFEST_NAME),
                Body=content,
                ContentType="application/json",
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum(hashlib.sha256(content).hexdigest()),
            )
    except ObjectExistsError:  # somebody else uploaded the same version meanwhile
        content = read_object(client, location, MANIFEST_NAME, LARGEST_MANIFEST_BYTES)
        return _uploaded(location, manifest, content, was_there=True)
    return _uploaded(location, manifest, content, was_there=False)


def _uploaded(location: Location, manifest: Manifest, content: bytes, *, was_there: bool) -> UploadedVersion:
    return UploadedVersion(location.uri, manifest.version, hashlib.sha256(content).hexdigest(), was_there)


@dataclass
class _Upload:
    """One upload under way: the multipart uploads begun, and the parts that S3 has confirmed."""

    client: "S3Client"
    location: Location
    model_dir: Path
    done: Progress
    upload_ids: dict[str, str] = field(default_factory=dict)
    confirmed: "dict[str, dict[int, CompletedPartTypeDef]]" = field(default_factory=dict)

    def send_missing(self, manifest: Manifest, check: Check) -> None:
        """Send every file that S3 does not hold already with the right checksum."""
        missing: list[FileEntry] = []

        def look(entry: FileEntry, _alive: Check) -> None:
            if self._is_stored(entry):
                self.done.add(entry.size)
            else:
                missing.append(entry)

        run_all(look, manifest.files, threads=CONNECTIONS, check=check)
        with ExitStack() as undo:
            for entry in missing:
                if len(entry.parts) > 1:
                    self._begin(entry)
                    undo.callback(self._abort, entry)
            jobs = [(entry, index) for entry in missing for index in range(max(1, len(entry.parts)))]
            run_all(self._send, jobs, threads=CONNECTIONS, check=check)
            for path in list(self.upload_ids):
                self._complete(path)
            undo.pop_all()

    def _is_stored(self, entry: FileEntry) -> bool:
        try:
            with explained(self.location.uri + entry.path):
                head = self.client.head_object(
                    Bucket=self.location.bucket, Key=self.location.key(entry.path), ChecksumMode="ENABLED"
                )
        except (ObjectMissingError, AccessDeniedError):  # as with the manifest
            return False
        stored = head.get("ChecksumSHA256", "").partition("-")[0]
        return head["ContentLength"] == entry.size and stored == _whole_checksum(entry)

    def _send(self, job: tuple[FileEntry, int], alive: Check) -> None:
        entry, index = job
        start, length = entry.part_range(index)
        expected = entry.parts[index] if entry.parts else entry.sha256
        path = self.model_dir / entry.path
        with closing(FilePart(path, start, length, alive, file_size=entry.size)) as part:
            try:
                with explained(self.location.uri + entry.path):
                    self._put(entry, index, part, expected)
            except StorageError:
                part.verify(expected)  # S3 refuses what has changed: then that is the reason
                raise
            part.verify(expected)
        self.done.add(length)

    def _put(self, entry: FileEntry, index: int, part: FilePart, sha256: str) -> None:
        if len(entry.parts) <= 1:
            self.client.put_object(
                Bucket=self.location.bucket,
                Key=self.location.key(entry.path),
                Body=_body_of(part),
                ContentLength=len(part),
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum(sha256),
            )
            return
        answer = self.client.upload_part(
            Bucket=self.location.bucket,
            Key=self.location.key(entry.path),
            UploadId=self.upload_ids[entry.path],
            PartNumber=index + 1,
            Body=_body_of(part),
            ContentLength=len(part),
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=checksum(sha256),
        )
        self.confirmed[entry.path][index] = {
            "PartNumber": index + 1,
            "ETag": answer["ETag"],
            "ChecksumSHA256": checksum(sha256),
        }

    def _begin(self, entry: FileEntry) -> None:
        with explained(self.location.uri + entry.path):
            answer = self.client.create_multipart_upload(
                Bucket=self.location.bucket,
                Key=self.location.key(entry.path),
                ChecksumAlgorithm="SHA256",
                ChecksumType="COMPOSITE",
            )
        self.upload_ids[entry.path] = answer["UploadId"]
        self.confirmed[entry.path] = {}

    def _complete(self, path: str) -> None:
        parts = [part for _, part in sorted(self.confirmed[path].items())]
        with explained(self.location.uri + path):
            self.client.complete_multipart_upload(
                Bucket=self.location.bucket,
                Key=self.location.key(path),
                UploadId=self.upload_ids[path],
                MultipartUpload={"Parts": parts},
            )

    def _abort(self, entry: FileEntry) -> None:
        try:
            with explained(self.location.uri + entry.path):
                self.client.abort_multipart_upload(
                    Bucket=self.location.bucket,
                    Key=self.location.key(entry.path),
                    UploadId=self.upload_ids[entry.path],
                )
        except StorageError as error:  # what ended the upload is the reason to raise
            log.warning(f"an unfinished multipart upload is left behind: {error}")


def _body_of(part: FilePart) -> Any:  # noqa: ANN401 - botocore asks for read, seek and tell alone
    """Return what botocore is to send; for a file it asks S3's leave first, which costs a round trip."""
    return part.read() if len(part) <= CHUNK_BYTES else part


def _whole_checksum(entry: FileEntry) -> str:
    """Return the checksum that S3 reports: of the bytes, or of a multipart upload's digests (COMPOSITE)."""
    if len(entry.parts) <= 1:
        return checksum(entry.sha256)
    return checksum(hashlib.sha256(b"".join(map(bytes.fromhex, entry.parts))).hexdigest())
