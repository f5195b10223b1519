"""Lays a model's artefact out as its container finds it in /opt/ml/model."""

import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from byoc.local.errors import AwsError
from byoc.local.s3.store import ObjectStore

# Against an archive that unpacks to more than this machine can hold.
MOST_BYTES = 64 * 1024**3
MOST_FILES = 200_000
_LONGEST_NAME = 255
_S3 = "s3://"
_ENSURE = (
    "Please ensure that there is an object located at the URL and that the role passed to CreateModel has "
    "permissions to download the object."
)
_ENSURE_ARCHIVE = "Please ensure that the object located at the URL is a valid tar.gz archive."


class ModelDataError(Exception):
    """The artefact is missing or cannot be laid out; the message is AWS's, and says why."""


def lay_out(objects: ObjectStore, container: Mapping[str, Any], model: Path) -> None:
    """Fill the folder `model`, which is made, with the artefact of a ContainerDefinition, if it has any.

    ModelDataUrl is one tar.gz; ModelDataSource.S3DataSource one as well (Gzip), one object, or each object
    below a prefix (CompressionType None), as botocore's documentation of S3ModelDataSource has it.

    Raises:
        ModelDataError: see there.
    """
    model.mkdir(parents=True)
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    if url := container.get("ModelDataUrl"):
        _extract(objects, str(url), model)
    elif source:
        _lay_out_source(objects, source, model)


def _lay_out_source(objects: ObjectStore, source: Mapping[str, Any], model: Path) -> None:
    url = str(source["S3Uri"])
    match source.get("S3DataType"), source.get("CompressionType"):
        case "S3Object", "Gzip":
            _extract(objects, url, model)
        case "S3Object", "None":
            _copy(objects, url, model)
        case "S3Prefix", "None":
            _copy_prefix(objects, url, model)
        case kind:
            raise _not_downloaded(url, f"S3DataType {kind[0]} does not go with CompressionType {kind[1]}.")


def _extract(objects: ObjectStore, url: str, model: Path) -> None:
    """Unpack a tar.gz of regular files and folders; SageMaker takes no links either (AWS, hosting FAQs)."""
    packed = _open(objects, url)
    room = MOST_BYTES
    try:
        with packed, tarfile.open(fileobj=packed, mode="r:gz") as archive:
            for number, member in enumerate(archive):
                if not (member.isfile() or member.isdir()):
                    raise ModelDataError(f"{member.name} is neither a file nor a folder.")  # noqa: TRY301
                room -= member.size
                if room < 0 or number >= MOST_FILES:
                    most = f"{MOST_BYTES} bytes or {MOST_FILES} files"
                    raise ModelDataError(f"It holds more than {most}.")  # noqa: TRY301
                archive.extract(member, model, filter="data")
    except (ModelDataError, tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ModelDataError(
            f'Failed to extract model data archive for container "container_1" from URL "{url}". '
            f"{_ENSURE_ARCHIVE} {error}"
        ) from error


def _copy(objects: ObjectStore, url: str, model: Path) -> None:
    name = _checked(url, url.rpartition("/")[2])
    with _open(objects, url) as source, (model / name).open("xb") as target:
        _pour(source, target)


def _copy_prefix(objects: ObjectStore, url: str, model: Path) -> None:
    bucket, prefix = _parts(url)
    if not prefix.endswith("/"):
        raise _not_downloaded(url, "A prefix of uncompressed model data has to end with a slash.")
    try:
        found = list(objects.walk(bucket, prefix))
    except AwsError as error:
        raise _not_downloaded(url, error.message) from error
    if not found:
        raise _not_downloaded(url, "No object is there.")
    for stored in found:
        target = model / _checked(url, stored.key.removeprefix(prefix))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with objects.open(bucket, stored.key)[1] as source, target.open("xb") as opened:
                _pour(source, opened)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise _not_downloaded(url, f"{stored.key} is both a file and a folder.") from error
        except AwsError as error:
            raise _not_downloaded(url, f"{stored.key} went away meanwhile: {error.message}") from error
        except OSError as error:
            raise _not_downloaded(url, f"{stored.key}: {error}") from error


def _pour(source: IO[bytes], target: IO[bytes]) -> None:
    shutil.copyfileobj(source, target, 1024 * 1024)


def _checked(url: str, name: str) -> PurePosixPath:
    """Return a path below the model's folder, made of names that SageMaker allows."""
    parts = name.split("/")
    for part in parts:
        if part in ("", ".", "..") or "\0" in part or len(part.encode()) > _LONGEST_NAME:
            what = "it is a folder made by hand" if name.endswith("/") else "its name"
            raise _not_downloaded(url, f"The object {name!r} cannot be a file: {what}.")
    return PurePosixPath(*parts)


def _open(objects: ObjectStore, url: str) -> IO[bytes]:
    """Return the bytes of an object, as they are now: it may be replaced while they are read."""
    bucket, key = _parts(url)
    try:
        return objects.open(bucket, key)[1]
    except AwsError as error:
        raise _not_downloaded(url, error.message) from error


def _parts(url: str) -> tuple[str, str]:
    bucket, _, key = url.removeprefix(_S3).partition("/")
    if not url.startswith(_S3) or not bucket or not key:
        raise _not_downloaded(url, "Give s3://BUCKET/KEY.")
    return bucket, key


def _not_downloaded(url: str, why: str) -> ModelDataError:
    return ModelDataError(
        f'Failed to download model data for container "container_1" from URL "{url}". {_ENSURE} {why}'
    )
