"""Where a model's data lies in S3, and whether it is there."""

from collections.abc import Mapping
from dataclasses import dataclass

from byoc.local.errors import AwsError, validation
from byoc.local.sagemaker.kinds import structure, text
from byoc.local.sagemaker.refusals import refuse
from byoc.local.world import World


@dataclass(frozen=True)
class Location:
    """A place in S3: a bucket, and a key or what keys begin with."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """Such as "s3://bucket/key"."""
        return f"s3://{self.bucket}/{self.key}"


def location(uri: str, member: str) -> Location:
    """Return the place that an S3 URI names.

    Raises:
        AwsError: ValidationException, for such as the https form, which the local S3 would not know.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise validation(f"{member} is {uri}. Give an S3 URI such as s3://bucket/key.")
    return Location(bucket, key)


def check_model_data(world: World, container: Mapping[str, object]) -> None:
    """Raise AWS's error where the data of a container definition is not there, or not as the API wants it.

    Source: AWS, API reference, ContainerDefinition.ModelDataUrl and S3ModelDataSource.
    """
    url, source = text(container, "ModelDataUrl"), structure(container, "ModelDataSource")
    if url and source:
        raise validation("Both ModelDataUrl and ModelDataSource are given. Give one of them.")
    if url:
        _check_object(world, location(url, "ModelDataUrl"))
    if source:
        _check_source(world, structure(source, "S3DataSource"))


def _check_source(world: World, source: Mapping[str, object]) -> None:
    if not source:
        raise validation("ModelDataSource has no S3DataSource. Give one.")
    refuse(source, ("ManifestS3Uri", "HubAccessConfig"), "ModelDataSource.S3DataSource.")
    place = location(text(source, "S3Uri"), "ModelDataSource.S3DataSource.S3Uri")
    if source["S3DataType"] == "S3Object":
        _check_object(world, place)
        return
    if not place.uri.endswith("/"):
        raise validation(
            f"S3Uri {place.uri} does not end with a forward slash (/), which S3DataType S3Prefix requires."
        )
    if source["CompressionType"] == "Gzip":
        raise validation(
            f"CompressionType Gzip is of one object, and {place.uri} is a prefix. "
            "Give S3DataType S3Object, or CompressionType None."
        )
    _check_prefix(world, place)


def _check_object(world: World, place: Location) -> None:
    try:
        world.objects.head(place.bucket, place.key)
    except AwsError:
        raise _not_found(place) from None


def _check_prefix(world: World, place: Location) -> None:
    try:
        found = any(True for _ in world.objects.walk(place.bucket, place.key))
    except AwsError:
        found = False
    if not found:
        raise _not_found(place)


def _not_found(place: Location) -> AwsError:
    return validation(f"Could not find model data at {place.uri}.")
