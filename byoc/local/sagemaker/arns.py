"""The ARNs of what SageMaker keeps, and which thing one of them names."""

import re
from typing import Protocol

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):sagemaker:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<type>[^/]+)/(?P<name>.+)"
)


class Home(Protocol):
    """Whose account this is and where; a World is one."""

    @property
    def account(self) -> str:
        """Its twelve digits."""

    @property
    def region(self) -> str:
        """Such as "us-east-1"."""


def partition_of(region: str) -> str:
    """Return the partition of a region: "aws", of China and the government their own."""
    if region.startswith("cn-"):
        return "aws-cn"
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"


def arn(home: Home, resource_type: str, name: str) -> str:
    """Return the ARN of such as ("endpoint", "My-endpoint"); SageMaker writes names in lower case there."""
    prefix = f"arn:{partition_of(home.region)}:sagemaker:{home.region}:{home.account}"
    return f"{prefix}:{resource_type}/{name.lower()}"


def named_by(home: Home, text: str) -> tuple[str, str] | None:
    """Return the resource type and the name in an ARN of this account and region; None for any other."""
    found = _ARN.fullmatch(text)
    if found is None or (found["region"], found["account"]) != (home.region, home.account):
        return None
    return found["type"], found["name"]
