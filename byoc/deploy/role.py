"""Finds the role that SageMaker is to assume, and whether it may."""

import json
import shlex
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from byoc.aws import Aws, Where, is_denied, refused
from byoc.deploy.errors import MissingError

PRINCIPAL = "sagemaker.amazonaws.com"

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": PRINCIPAL}, "Action": "sts:AssumeRole"},
    ],
}


def find_role(aws: Aws, where: Where, role: str) -> tuple[str, tuple[str, ...]]:
    """Return a role's ARN, and notes of what could not be made sure of.

    Args:
        aws: its IAM is asked.
        where: whose account it is.
        role: a name or an ARN.

    Raises:
        MissingError: there is none, or SageMaker may not assume it; the message has the command that helps.
        botocore.exceptions.ClientError: IAM refuses for another reason.
    """
    name = role.rpartition("/")[2]
    arn = role if role.startswith("arn:") else f"arn:{where.partition}:iam::{where.account}:role/{name}"
    if arn.split(":")[4] != where.account:
        return arn, (f"The role {arn} is another account's: whether SageMaker may assume it is unknown.",)
    try:
        found = aws.client("iam").get_role(RoleName=name)["Role"]
    except ClientError as error:
        if is_denied(error):
            return arn, (f"You may not look at the role {arn}: whether it is there is unknown.",)
        if not refused(error, "NoSuchEntity"):
            raise
        raise MissingError(
            f"There is no role {name} in account {where.account}. {_remedy(aws, aws.remedies.role, name)}"
        ) from None
    if not may_assume(found.get("AssumeRolePolicyDocument") or {}):
        raise MissingError(
            f"SageMaker may not assume the role {name}: its trust policy does not name {PRINCIPAL}. "
            f"{_remedy(aws, aws.remedies.trust, name)}"
        )
    return str(found["Arn"]), ()


def may_assume(policy: Mapping[str, Any]) -> bool:
    """Return whether a trust policy lets SageMaker assume its role, conditions aside."""
    statements = policy.get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and any(_is_assuming(action) for action in _listed(statement.get("Action")))
        and _names_sagemaker(statement.get("Principal"))
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _is_assuming(action: str) -> bool:
    """Return whether an action's name, of any case and with * and ?, is that of assuming a role."""
    return fnmatchcase("sts:assumerole", action.lower())


def _names_sagemaker(principal: object) -> bool:
    if isinstance(principal, dict):
        return bool({PRINCIPAL, "*"} & set(_listed(principal.get("Service"))))
    return principal == "*"


def _listed(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _remedy(aws: Aws, remedy: str, name: str) -> str:
    return remedy.format(name=name, trust=shlex.quote(json.dumps(_TRUST)), options=aws.options)
