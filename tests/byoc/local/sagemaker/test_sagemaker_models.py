"""A model is kept as it was given, once everything that it names is there."""

import re

import pytest

from byoc.local.errors import AwsError

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
ARN = "arn:aws:sagemaker:us-east-1:123456789012:model/my-model"


@pytest.fixture
def create(ask, program):
    image = program("true")

    def create(name="My-model", tags=(), **container):
        tags = [{"Key": key, "Value": value} for key, value in tags]
        primary = {"Image": image, **container}
        return ask("CreateModel", ModelName=name, PrimaryContainer=primary, ExecutionRoleArn=ROLE, Tags=tags)

    return create


def source(uri, kind="S3Prefix", compression="None", **members):
    return {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": compression, **members}}


def test_a_model_is_described_as_it_was_made(ask, create, put):
    url = put("m/model.tar.gz")
    assert create(ModelDataUrl=url, Environment={"A": "1"}) == {"ModelArn": ARN}
    described = ask("DescribeModel", ModelName="My-model")
    assert described.pop("CreationTime") > 1.7e9
    assert described == {
        "ModelName": "My-model",
        "ModelArn": ARN,
        "PrimaryContainer": {
            "Image": "image",
            "Mode": "SingleModel",
            "ModelDataUrl": url,
            "Environment": {"A": "1"},
        },
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": False,
    }


def test_a_model_may_be_a_list_of_one_container_and_have_no_data(ask, program):
    ask("CreateModel", ModelName="m", Containers=[{"Image": program("true")}])
    described = ask("DescribeModel", ModelName="m")
    assert described["Containers"] == [{"Image": "image", "Mode": "SingleModel"}]
    assert "PrimaryContainer" not in described


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("m/model.tar.gz", {"kind": "S3Object", "compression": "Gzip"}),
        ("m/model.tar.gz", {"kind": "S3Object"}),
        ("m/", {}),
    ],
)
def test_model_data_may_be_a_source(create, put, key, data):
    put("m/model.tar.gz")
    create(ModelDataSource=source(f"s3://{BUCKET}/{key}", **data))


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"ModelDataUrl": f"s3://{BUCKET}/no"}, f"Could not find model data at s3://{BUCKET}/no."),
        ({"ModelDataUrl": "s3://no/no"}, "Could not find model data at s3://no/no."),
        ({"ModelDataUrl": "https://s3.amazonaws.com/b/k"}, "Give an S3 URI such as s3://bucket/key."),
        ({"ModelDataSource": source("s3://no/m/")}, "Could not find model data at s3://no/m/."),
        ({"ModelDataSource": source(f"s3://{BUCKET}/no/")}, "Could not find model data at"),
        ({"ModelDataSource": source(f"s3://{BUCKET}/m")}, "does not end with a forward slash (/)"),
        ({"ModelDataSource": source(f"s3://{BUCKET}/m/", compression="Gzip")}, "is a prefix"),
        ({"ModelDataSource": source("s3://b/m", "S3Object")}, "Could not find model data at s3://b/m."),
        ({"ModelDataSource": {}, "ModelDataUrl": "s3://no/no"}, "Could not find model data"),
        ({"ModelDataSource": source("s3://b/m/"), "ModelDataUrl": "s3://b/m"}, "Give one of them."),
        ({"ModelDataSource": source("s3://b/m/", ManifestS3Uri="s3://b/m")}, "ManifestS3Uri"),
        ({"Image": "unheard-of"}, "Could not find image unheard-of."),
        ({"Image": None}, "The container has no Image."),
        ({"Mode": "MultiModel"}, "does not have Mode MultiModel yet"),
        ({"ModelPackageName": "p"}, "does not have a container's ModelPackageName yet"),
    ],
)
def test_a_model_that_could_not_serve_is_refused(ask, create, put, container, message):
    put("m/model.tar.gz")
    with pytest.raises(AwsError, match=re.escape(message)) as refused:
        create(**container)
    assert refused.value.code == "ValidationException"
    assert ask("ListModels") == {"Models": []}


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "Give either PrimaryContainer or Containers"),
        ({"Containers": [{"Image": "i"}], "PrimaryContainer": {"Image": "i"}}, "Give either"),
        ({"Containers": [{"Image": "i"}, {"Image": "i"}]}, "models of several containers (2)"),
        (
            {"PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": "arn:aws:iam::123456789012:role/no"},
            "Could not assume role arn:aws:iam::123456789012:role/no.",
        ),
    ],
)
def test_a_model_of_anything_but_one_container_and_a_role_is_refused(ask, request_, message):
    with pytest.raises(AwsError, match=re.escape(message)):
        ask("CreateModel", ModelName="m", **request_)


def test_a_name_is_taken_once_in_whichever_case(create):
    create()
    with pytest.raises(AwsError) as refused:
        create("MY-MODEL")
    assert refused.value.message == f'Cannot create already existing model "{ARN}".'


@pytest.mark.parametrize("operation", ["DescribeModel", "DeleteModel"])
def test_a_model_that_is_not_there_is_not_found(ask, operation):
    with pytest.raises(AwsError) as refused:
        ask(operation, ModelName="My-model")
    assert refused.value.message == f'Could not find model "{ARN}".'


def test_a_deleted_model_takes_its_tags_along(ask, create):
    create(tags=[("team", "web")])
    assert ask("ListTags", ResourceArn=ARN) == {"Tags": [{"Key": "team", "Value": "web"}]}
    assert ask("DeleteModel", ModelName="My-model") == {}
    create()
    assert ask("ListTags", ResourceArn=ARN) == {"Tags": []}


def test_models_are_listed(ask, create):
    for name in ("a", "b", "c"):
        create(name)
    listed = ask("ListModels", SortBy="Name", SortOrder="Descending", MaxResults=2)
    assert [model["ModelName"] for model in listed["Models"]] == ["c", "b"]
    assert set(listed["Models"][0]) == {"ModelName", "ModelArn", "CreationTime"}
    rest = ask("ListModels", SortBy="Name", SortOrder="Descending", NextToken=listed["NextToken"])
    assert [model["ModelName"] for model in rest["Models"]] == ["a"]
