"""Requests are held to AWS's service model in AWS's words, and answers are written as AWS writes them."""

import re

import pytest

from byoc.local.errors import AwsError
from byoc.local.sagemaker.shapes import serialise, validate

VARIANT = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}


def config(**members):
    return {"EndpointConfigName": "c", "ProductionVariants": [{**VARIANT, **members}]}


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        (
            "DescribeModel",
            {},
            (
                "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: "
                "Member must not be null"
            ),
        ),
        (
            "DescribeEndpoint",
            {"EndpointName": "a_b"},
            (
                "1 validation error detected: Value 'a_b' at 'endpointName' failed to satisfy constraint: "
                "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
            ),
        ),
        (
            "DescribeTrainingJob",
            {"TrainingJobName": "a" * 64},
            (
                f"2 validation errors detected: Value '{'a' * 64}' at 'trainingJobName' failed to satisfy "
                "constraint: Member must have length less than or equal to 63; "
                f"Value '{'a' * 64}' at 'trainingJobName' failed to satisfy constraint: Member must satisfy "
                "regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
            ),
        ),
        (
            "CreateEndpointConfig",
            config(InitialInstanceCount=0),
            (
                "1 validation error detected: Value '0' at 'productionVariants.1.member.initialInstanceCount'"
                " failed to satisfy constraint: Member must have value greater than or equal to 1"
            ),
        ),
        (
            "ListModels",
            {"SortOrder": "Up", "MaxResults": 101},
            (
                "2 validation errors detected: Value 'Up' at 'sortOrder' failed to satisfy constraint: "
                "Member must satisfy enum value set: [Ascending, Descending]; Value '101' at 'maxResults' "
                "failed to satisfy constraint: Member must have value less than or equal to 100"
            ),
        ),
        (
            "CreateTrainingJob",
            {
                "TrainingJobName": "j",
                "RoleArn": "arn:aws:iam::123456789012:role/r",
                "OutputDataConfig": {"S3OutputPath": "s3://b"},
                "HyperParameters": {"a": "x" * 2501},
            },
            (
                f"1 validation error detected: Value '{{a={'x' * 2501}}}' at 'hyperParameters' failed to "
                "satisfy constraint: Map value must satisfy constraint: [Member must have length less than "
                "or equal to 2500, Member must have length greater than or equal to 0, Member must satisfy "
                "regular expression pattern: .*]"
            ),
        ),
        (
            "DeleteTags",
            {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m", "TagKeys": ["a", ""]},
            (
                "1 validation error detected: Value '[a, ]' at 'tagKeys' failed to satisfy constraint: "
                "Member must satisfy constraint: [Member must have length less than or equal to 128, Member "
                "must have length greater than or equal to 1, Member must satisfy regular expression "
                "pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)]"
            ),
        ),
    ],
)
def test_a_broken_constraint_is_told_in_amazons_words(operation, request_, message):
    with pytest.raises(AwsError) as refused:
        validate(operation, request_)
    assert (refused.value.code, refused.value.message) == ("ValidationException", message)


def test_an_unknown_instance_type_is_told_with_its_place():
    with pytest.raises(AwsError, match=re.escape("'ml.none' at 'productionVariants.1.member.instanceType'")):
        validate("CreateEndpointConfig", config(InstanceType="ml.none"))


@pytest.mark.parametrize(
    ("operation", "request_", "message"),
    [
        ("DescribeModel", [], "Expected structure or map or null, found a list"),
        ("DescribeModel", {"ModelName": 5}, "NUMBER_VALUE can not be converted to a String (at 'modelName')"),
        ("ListModels", {"MaxResults": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ("ListModels", {"MaxResults": True}, "TRUE_VALUE can not be converted to an Integer"),
        ("ListModels", {"MaxResults": float("inf")}, "DECIMAL_VALUE can not be converted to an Integer"),
        ("ListModels", {"CreationTimeAfter": "now"}, "STRING_VALUE can not be converted to a Timestamp"),
        ("CreateEndpointConfig", {"ProductionVariants": {}}, "Expected list or null, found a map"),
        ("CreateModel", {"EnableNetworkIsolation": "yes"}, "STRING_VALUE can not be converted to a Boolean"),
    ],
)
def test_a_wrong_type_is_a_serialisation_error(operation, request_, message):
    with pytest.raises(AwsError, match=re.escape(message)) as refused:
        validate(operation, request_)
    assert refused.value.code == "SerializationException"


def test_nulls_and_unknown_members_are_dropped():
    request = {"ModelName": "m", "PrimaryContainer": {"Image": "i", "Mode": None, "New": 1}, "Tags": None}
    assert validate("CreateModel", request) == {"ModelName": "m", "PrimaryContainer": {"Image": "i"}}


def test_letters_of_any_script_may_stand_in_a_tag():
    tag = {"Key": "größe κλειδί", "Value": "a:b/c=d+e-f@g"}
    request = {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m", "Tags": [tag]}
    assert validate("AddTags", request) == request
    with pytest.raises(AwsError, match=r"tags\.1\.member\.key"):
        validate("AddTags", {**request, "Tags": [{"Key": "a;b", "Value": ""}]})


def test_an_operation_that_aws_has_not_is_unknown():
    with pytest.raises(AwsError) as refused:
        validate("MakeCoffee", {})
    assert refused.value.code == "UnknownOperationException"
    assert "MakeCoffee" in refused.value.message


def test_answers_have_neither_empty_nor_private_nor_missing_members():
    container = {"Image": "i", "Environment": {}, "ModelDataUrl": None}
    model = {"ModelName": "m", "PrimaryContainer": container, "VpcConfig": {}, "Folder": "/x"}
    answer = serialise("DescribeModel", {**model, "CreationTime": 1.23456, "EnableNetworkIsolation": False})
    assert answer == {
        "ModelName": "m",
        "PrimaryContainer": {"Image": "i"},
        "CreationTime": 1.235,
        "EnableNetworkIsolation": False,
    }


def test_a_hyperparameter_may_be_empty_text_and_a_list_operation_lists_nothing():
    assert serialise("DescribeTrainingJob", {"HyperParameters": {"a": ""}}) == {"HyperParameters": {"a": ""}}
    assert serialise("ListModels", {"Models": []}) == {"Models": []}
    assert serialise("ListTags", {"Tags": []}) == {"Tags": []}
    assert serialise("DeleteModel", {}) == {}
