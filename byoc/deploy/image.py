"""Finds the image that endpoint.toml names, in ECR, and pins it by its digest."""

import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from byoc.aws import Aws, Where, is_denied, refused
from byoc.deploy.errors import MissingError

# As Docker reads it: what is before the first slash is a registry if it has a dot or a colon.
_NAME = re.compile(
    r"(?:(?P<registry>[^/]*[.:][^/]*|localhost)/)?(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# In each partition another domain: amazonaws.com, amazonaws.com.cn, c2s.ic.gov, on.aws.
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z]+(?:-[a-z]+)+-\d)\.[a-z0-9.-]+"
)
_MOST_TAGS = 8
_NO_NAME = "InvalidParameterException"  # one that ECR would never take


@dataclass(frozen=True)
class ImageName:
    """The parts of an image's name; those that it has not are ""."""

    registry: str
    repository: str
    tag: str
    digest: str

    @property
    def wanted(self) -> str:
        """What chooses the image in its repository, as it is written."""
        return f"@{self.digest}" if self.digest else f":{self.tag}" if self.tag else ""


def parse(image: str) -> ImageName:
    """Return the parts of a name.

    Raises:
        MissingError: it is none.
    """
    match = _NAME.fullmatch(image)
    if match is None:
        raise MissingError(f"image is {image!r}, which is no image's name. Give NAME, NAME:TAG or a URI.")
    return ImageName(**{part: text or "" for part, text in match.groupdict().items()})


def find_image(aws: Aws, where: Where, image: str) -> tuple[str, tuple[str, ...]]:
    """Return the image's URI, and notes of what could not be made sure of.

    Raises:
        MissingError: there is no such repository, or no such image in it, or it is in another region.
        botocore.exceptions.ClientError: ECR refuses for another reason.
    """
    name = parse(image)
    ecr = _ECR.fullmatch(name.registry)
    if ecr and ecr["region"] != where.region:
        raise MissingError(
            f"The image {image} is in {ecr['region']}, and SageMaker takes images of its own region only, "
            f"{where.region}. {_remedy(aws, aws.remedies.elsewhere, name)}"
        )
    account = {"registryId": ecr["account"]} if ecr else {}
    try:
        repository = _repository(aws, name, account)
        if repository is None:
            return image, (
                f"The image {image} is not in this account's ECR: whether it is there is unknown.",
            )
        digest = _digest(aws, name, account)
    except ClientError as error:
        if not (is_denied(error) and name.registry):
            raise
        return image, (f"You may not look into ECR: whether {image} is there is unknown.",)
    notes = () if name.wanted else (f"The newest image of {name.repository} is {digest}.",)
    return f"{repository}@{digest}", notes


def _repository(aws: Aws, name: ImageName, account: dict[str, str]) -> str | None:
    """Return the repository's URI, or None where the name is that of another registry."""
    try:
        answer = aws.client("ecr").describe_repositories(repositoryNames=[name.repository], **account)
    except (ClientError, ParamValidationError) as error:
        if isinstance(error, ClientError) and not refused(error, "RepositoryNotFoundException", _NO_NAME):
            raise
        if name.registry and not account:
            return None
        remedy = _remedy(aws, aws.remedies.image, name)
        raise MissingError(
            f"There is no image {name.repository}: ECR has no such repository. {remedy}"
        ) from None
    uri = str(answer["repositories"][0]["repositoryUri"])
    return uri if not name.registry or uri == f"{name.registry}/{name.repository}" else None


def _digest(aws: Aws, name: ImageName, account: dict[str, str]) -> str:
    """Return the digest of the image that the name chooses, of the newest if it chooses none."""
    ecr, where = aws.client("ecr"), {"repositoryName": name.repository, **account}
    choice = {"imageDigest": name.digest} if name.digest else {"imageTag": name.tag}
    try:
        if name.wanted:
            return str(ecr.describe_images(imageIds=[choice], **where)["imageDetails"][0]["imageDigest"])
    except ClientError as error:
        if not refused(error, "ImageNotFoundException"):
            raise
    pages = ecr.get_paginator("describe_images").paginate(**where)
    images: list[dict[str, Any]] = [image for page in pages for image in page["imageDetails"]]
    # What a multi-platform image or its provenance consists of has no tag of its own.
    images.sort(key=lambda image: (bool(image.get("imageTags")), image["imagePushedAt"]), reverse=True)
    if images and not name.wanted:
        return str(images[0]["imageDigest"])
    tags = [tag for image in images for tag in image.get("imageTags", [])][:_MOST_TAGS]
    there = (
        f"It has {', '.join(tags)}" if tags else "It is empty" if not images else "It has images without tags"
    )
    raise MissingError(
        f"The ECR repository {name.repository} has no image {name.wanted or 'at all'}. {there}. "
        f"{_remedy(aws, aws.remedies.image, name)}"
    )


def _remedy(aws: Aws, remedy: str, name: ImageName) -> str:
    return remedy.format(repository=name.repository, region=aws.region, options=aws.options)
