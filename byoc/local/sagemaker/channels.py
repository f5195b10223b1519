"""Brings the input channels of a training job from S3 to its /opt/ml/input/data."""

import gzip
import json
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from byoc.local.errors import AwsError
from byoc.local.s3.records import StoredObject
from byoc.local.sagemaker.kinds import structure, structures, text
from byoc.local.sagemaker.model_data import Location, location
from byoc.local.world import World

_WRITE_BITS = 0o222
_PACKED_ENDINGS = {".gz": "", ".tgz": ".tar"}


class DownloadError(Exception):
    """The data of a channel cannot be laid out; its message becomes the job's FailureReason."""


def input_data_config(job: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """Return inputdataconfig.json as SageMaker writes it, where FastFile reads File as well.

    Source: AWS, "How Amazon SageMaker Provides Training Information".
    """
    described = {}
    for channel in structures(job, "InputDataConfig"):
        source = _source(channel)
        one = {
            "TrainingInputMode": "File",
            "S3DistributionType": text(source, "S3DataDistributionType") or "FullyReplicated",
            "RecordWrapperType": text(channel, "RecordWrapperType") or "None",
        }
        if "ContentType" in channel:
            one["ContentType"] = text(channel, "ContentType")
        described[text(channel, "ChannelName")] = one
    return described


def download(
    world: World, job: Mapping[str, object], folder: Path, enough: Callable[[], bool] = lambda: False
) -> None:
    """Copy the objects of every channel to `folder`/<channel>; a FastFile channel becomes read-only.

    ShardedByS3Key is everything, as there is one instance.

    Args:
        world: the local AWS.
        job: its document.
        folder: its /opt/ml/input/data.
        enough: asked before every object; True ends it there, for a job that is to stop.

    Raises:
        DownloadError: an object is missing, is not gzip where it should be, or cannot be a file here.
    """
    algorithm = structure(job, "AlgorithmSpecification")
    for channel in structures(job, "InputDataConfig"):
        place = folder / text(channel, "ChannelName")
        place.mkdir(parents=True)
        try:
            for stored, path in objects_of(world, channel):
                if enough():
                    return
                _lay(world, stored, place, path, channel.get("CompressionType") == "Gzip")
        except (AwsError, OSError, ValueError, EOFError, zlib.error) as error:
            raise DownloadError(f"{text(channel, 'ChannelName')}: {error}") from None
        if (text(channel, "InputMode") or algorithm["TrainingInputMode"]) == "FastFile":
            for made in [place, *place.rglob("*")]:
                made.chmod(made.stat().st_mode & ~_WRITE_BITS)


def download_checkpoints(world: World, job: Mapping[str, object], folder: Path) -> None:
    """Bring back what an earlier job of the same CheckpointConfig left. Raises DownloadError."""
    place = location(text(structure(job, "CheckpointConfig"), "S3Uri"), "CheckpointConfig.S3Uri")
    place = Location(place.bucket, f"{place.key.rstrip('/')}/" if place.key else "")
    try:
        for stored in world.objects.walk(place.bucket, place.key):
            _lay(world, stored, folder, stored.key.removeprefix(place.key), unpack=False)
    except (AwsError, OSError, ValueError) as error:
        raise DownloadError(f"checkpoints: {error}") from None


def objects_of(world: World, channel: Mapping[str, object]) -> Iterator[tuple[StoredObject, str]]:
    """Yield the objects of a channel, each with its path below the channel's folder. Raises AwsError."""
    source = _source(channel)
    place = location(text(source, "S3Uri"), "S3Uri")
    if source["S3DataType"] == "ManifestFile":
        yield from _objects_of_manifest(world, place)
    else:
        for stored in world.objects.walk(place.bucket, place.key):
            yield stored, path_below(place.key, stored.key)


def path_below(prefix: str, key: str) -> str:
    """Return where the object of a key goes when a prefix was asked for.

    Below a folder that the prefix names, with or without a slash at its end, that is the rest of the key;
    where the prefix is a whole key, or ends within a name, it is the name and what follows.
    """
    folder = f"{prefix.rstrip('/')}/" if prefix else ""
    if key.startswith(folder):
        return key.removeprefix(folder)
    return key[prefix.rfind("/") + 1 :]


def _objects_of_manifest(world: World, place: Location) -> Iterator[tuple[StoredObject, str]]:
    """Yield what a manifest lists: [{"prefix": "s3://..."}, "path", ...] (AWS, API, S3DataSource)."""
    try:
        with world.objects.open(place.bucket, place.key)[1] as listed:
            first, *paths = json.load(listed)
        prefix = location(first["prefix"], f"The prefix in {place.uri}")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f'{place.uri} is not a list that begins with {{"prefix": ...}}') from error
    for path in paths:
        yield world.objects.head(prefix.bucket, f"{prefix.key}{path}"), str(path).lstrip("/")


def _source(channel: Mapping[str, object]) -> dict[str, object]:
    return structure(structure(channel, "DataSource"), "S3DataSource")


def _lay(world: World, stored: StoredObject, folder: Path, path: str, unpack: bool) -> None:
    path = path.lstrip("/")  # of a key with two slashes together
    target = folder / path
    if ".." in Path(path).parts or "\0" in path:
        raise ValueError(f"{stored.key} cannot be a file: its name leads out of the folder")
    if path.endswith("/") or not path:
        target.mkdir(parents=True, exist_ok=True)  # the console's own mark of an empty folder
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    _, source = world.objects.open(stored.bucket, stored.key)
    with source:
        if not unpack:
            _write(source, target)
            return
        with gzip.open(source) as plain:
            _write(plain, target.with_suffix(_PACKED_ENDINGS.get(target.suffix, target.suffix)))


def _write(source: IO[bytes] | gzip.GzipFile, target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file, 1024 * 1024)
