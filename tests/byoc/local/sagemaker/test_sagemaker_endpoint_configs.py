"""An endpoint configuration is kept as it was given, once its models are there."""

import re

import pytest

from byoc.local.errors import AwsError

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/my-config"
VARIANT = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 2, "InstanceType": "ml.m5.large"}


@pytest.fixture
def create(ask, program):
    ask("CreateModel", ModelName="m", PrimaryContainer={"Image": program("true")})

    def create(*variants, **members):
        given = {"ProductionVariants": list(variants or [VARIANT]), **members}
        return ask("CreateEndpointConfig", EndpointConfigName="My-config", **given)

    return create


def test_a_configuration_is_described_as_it_was_made(ask, create):
    asked = {**VARIANT, "ContainerStartupHealthCheckTimeoutInSeconds": 90, "VolumeSizeInGB": 8}
    network = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    assert create(asked, KmsKeyId="key", VpcConfig=network) == {"EndpointConfigArn": ARN}
    described = ask("DescribeEndpointConfig", EndpointConfigName="My-config")
    assert described.pop("CreationTime") > 1.7e9
    assert described == {
        "EndpointConfigName": "My-config",
        "EndpointConfigArn": ARN,
        "ProductionVariants": [{**asked, "InitialVariantWeight": 1.0}],
        "KmsKeyId": "key",
        "VpcConfig": network,
    }


@pytest.mark.parametrize(
    ("variants", "members", "message"),
    [
        ([{**VARIANT, "ModelName": "no"}], {}, 'Could not find model "arn:aws:sagemaker:us-east-1:'),
        ([VARIANT, VARIANT], {}, "Production variant names must be unique; these are v, v."),
        ([{**VARIANT, "ModelName": None}], {}, "inference components, and variant v has no ModelName"),
        ([{**VARIANT, "InstanceType": None}], {}, "Variant v has no InstanceType. Give it."),
        ([{**VARIANT, "InitialInstanceCount": None}], {}, "Variant v has no InitialInstanceCount."),
        ([], {"ShadowProductionVariants": [VARIANT]}, "ShadowProductionVariants"),
        ([], {"AsyncInferenceConfig": {"OutputConfig": {}}}, "AsyncInferenceConfig"),
        (
            [{**VARIANT, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}],
            {},
            "ServerlessConfig",
        ),
        (
            [],
            {
                "DataCaptureConfig": {
                    "InitialSamplingPercentage": 5,
                    "DestinationS3Uri": "s3://b/k",
                    "CaptureOptions": [{"CaptureMode": "Input"}],
                }
            },
            "data capture",
        ),
    ],
)
def test_what_could_not_be_served_is_refused(ask, create, variants, members, message):
    with pytest.raises(AwsError, match=re.escape(message)) as refused:
        create(*variants, **members)
    assert refused.value.code == "ValidationException"
    assert ask("ListEndpointConfigs") == {"EndpointConfigs": []}


def test_data_capture_that_is_switched_off_is_kept(ask, create):
    capture = {
        "EnableCapture": False,
        "InitialSamplingPercentage": 5,
        "DestinationS3Uri": "s3://b/k",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    create(DataCaptureConfig=capture)
    assert ask("DescribeEndpointConfig", EndpointConfigName="My-config")["DataCaptureConfig"] == capture


def test_a_name_is_taken_once_and_free_after_its_deletion(ask, create):
    create()
    with pytest.raises(AwsError) as refused:
        create()
    assert refused.value.message == f'Cannot create already existing endpoint configuration "{ARN}".'
    assert ask("DeleteEndpointConfig", EndpointConfigName="My-config") == {}
    create()


@pytest.mark.parametrize("operation", ["DescribeEndpointConfig", "DeleteEndpointConfig"])
def test_a_configuration_that_is_not_there_is_not_found(ask, operation):
    with pytest.raises(AwsError) as refused:
        ask(operation, EndpointConfigName="My-config")
    assert refused.value.message == f'Could not find endpoint configuration "{ARN}".'
