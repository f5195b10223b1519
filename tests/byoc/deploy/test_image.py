"""The image: found in ECR by what endpoint.toml calls it, and pinned by its digest."""

import json

import pytest

from byoc.aws import Where
from byoc.deploy.errors import MissingError
from byoc.deploy.image import find_image, parse

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
WHERE = Where(ACCOUNT, "us-east-1", "http://127.0.0.1:1", local=True, partition="aws")
KIND = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def repository(aws, request):
    """A repository of the test's own, and a function that pushes an image to it and returns the digest."""
    name = f"team/{abs(hash(request.node.nodeid)):x}"
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName=name)

    def push(tag):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": KIND, "layers": [], "tag": tag})
        image = ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
        return image["image"]["imageId"]["imageDigest"]

    return name, push


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("my-model", ("", "my-model", "", "")),
        ("team/my-model:v1", ("", "team/my-model", "v1", "")),
        (f"{HOST}/team/my-model:v1", (HOST, "team/my-model", "v1", "")),
        ("127.0.0.1:5000/m@sha256:" + "0" * 64, ("127.0.0.1:5000", "m", "", "sha256:" + "0" * 64)),
        ("localhost/m:1@sha256:" + "0" * 64, ("localhost", "m", "1", "sha256:" + "0" * 64)),
    ],
)
def test_a_name_falls_into_its_parts(image, parts):
    name = parse(image)
    assert (name.registry, name.repository, name.tag, name.digest) == parts


@pytest.mark.bad_input
def test_what_is_no_name_is_refused():
    with pytest.raises(MissingError, match="is no image's name"):
        parse("my-model@sha256:12")


def test_every_way_to_name_an_image_leads_to_its_digest(aws, repository):
    name, push = repository
    digest = push("v1")
    uri = f"{HOST}/{name}@{digest}"
    for image in (f"{name}:v1", f"{name}@{digest}", f"{HOST}/{name}:v1", uri):
        assert find_image(aws, WHERE, image) == (uri, ())


def test_a_bare_name_is_the_newest_image_and_says_so(aws, repository):
    name, push = repository
    digest = push("v1")
    uri, (note,) = find_image(aws, WHERE, name)
    assert uri == f"{HOST}/{name}@{digest}"
    assert note == f"The newest image of {name} is {digest}."


@pytest.mark.bad_input
def test_a_missing_image_is_named_with_those_that_are_there(aws, repository):
    name, push = repository
    with pytest.raises(MissingError, match=r"has no image at all\. It is empty"):
        find_image(aws, WHERE, name)
    push("v1")
    with pytest.raises(MissingError) as raised:
        find_image(aws, WHERE, f"{name}:v2")
    assert f"{name} has no image :v2. It has v1. " in str(raised.value)
    assert f"byoc local add {name}=DIR" in str(raised.value)


@pytest.mark.bad_input
def test_a_missing_repository_is_named_with_the_command_that_pushes(aws):
    told = r"no image nowhere: ECR has no such repository\. .*byoc local add nowhere=DIR"
    with pytest.raises(MissingError, match=told):
        find_image(aws, WHERE, "nowhere")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "registry",
    [
        "dkr.ecr.eu-west-1.amazonaws.com",
        "dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "dkr.ecr.cn-north-1.amazonaws.com.cn",
        "dkr.ecr.us-iso-east-1.c2s.ic.gov",
        "dkr-ecr.eu-west-1.on.aws",
    ],
)
def test_an_image_of_another_region_is_refused(aws, registry):
    with pytest.raises(MissingError, match=r"is in .*-1, and SageMaker takes images of its own region"):
        find_image(aws, WHERE, f"{ACCOUNT}.{registry}/m:1")


def test_a_bare_name_is_rather_one_with_a_tag_than_the_newest_part_of_one(aws, repository):
    name, push = repository
    digest = push("v1")
    part = json.dumps({"schemaVersion": 2, "mediaType": KIND, "layers": [], "part": 1})
    aws.client("ecr").put_image(repositoryName=name, imageManifest=part)
    assert find_image(aws, WHERE, name)[0].endswith(digest)


def test_an_image_of_another_registry_is_taken_as_it_is_with_a_note(aws):
    uri, (note,) = find_image(aws, WHERE, "registry.example/m:1")
    assert uri == "registry.example/m:1"
    assert "whether it is there is unknown" in note
