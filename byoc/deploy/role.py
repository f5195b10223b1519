"""Finds the role that SageMaker is to assume, and whether it may."""

import json
import shlex
from collections.abc import Mapping
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
            f"There is no role {name} in account {where.account}. Create one, and let it read the model "
            f"version and write logs: aws iam create-role --role-name {name} --assume-role-policy-document "
            f"{_document()}"
        ) from None
    if not may_assume(found.get("AssumeRolePolicyDocument") or {}):
        raise MissingError(
            f"SageMaker may not assume the role {name}: its trust policy does not name {PRINCIPAL}. Add it: "
            f"aws iam update-assume-role-policy --role-name {name} --policy-document {_document()}"
        )
    return str(found["Arn"]), ()


def may_assume(policy: Mapping[str, Any]) -> bool:
    """Return whether a trust policy lets SageMaker assume its role, conditions aside."""
    statements = policy.get("Statement", [])
    return any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
        and _names_sagemaker(statement.get("Principal"))
        for statement in (statements if isinstance(statements, list) else [statements])
    )


def _names_sagemaker(principal: object) -> bool:
    if isinstance(principal, dict):
        return bool({PRINCIPAL, "*"} & set(_listed(principal.get("Service"))))
    return principal == "*"


def _listed(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _document() -> str:
    return shlex.quote(json.dumps(_TRUST))
