"""ARNs are SageMaker's."""

from types import SimpleNamespace

import pytest

from byoc.local.sagemaker.arns import arn, named_by

HOME = SimpleNamespace(account="123456789012", region="us-east-1")


def test_an_arn_has_the_name_in_lower_case():
    assert (
        arn(HOME, "endpoint", "My-Endpoint")
        == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/my-endpoint"
    )


@pytest.mark.parametrize(("region", "partition"), [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")])
def test_a_region_has_its_partition(region, partition):
    home = SimpleNamespace(account="1", region=region)
    assert arn(home, "model", "m") == f"arn:{partition}:sagemaker:{region}:1:model/m"


def test_an_arn_says_what_it_names():
    assert named_by(HOME, arn(HOME, "training-job", "j")) == ("training-job", "j")


@pytest.mark.parametrize(
    "other",
    [
        "arn:aws:sagemaker:us-east-1:999999999999:model/m",
        "arn:aws:sagemaker:eu-west-1:123456789012:model/m",
        "arn:aws:s3:::bucket",
    ],
)
def test_an_arn_of_somewhere_else_names_nothing_here(other):
    assert named_by(HOME, other) is None
