"""IAM as SageMaker needs it: a role that it may assume, the check of one, the simulation that moto lacks."""

import json
import urllib.parse
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from byoc.local.errors import validation
from byoc.local.outside import Ask, Outside, operation_of
from byoc.local.wsgi import Answer, Call

ROLE = "SageMakerExecutionRole"
SAGEMAKER = "sagemaker.amazonaws.com"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": SAGEMAKER}, "Action": "sts:AssumeRole"},
    ],
}
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"


def seed_role(outside: Outside) -> None:
    """Create the role that SageMaker may assume. Safe to repeat."""
    iam = outside.client("iam")
    try:
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(_TRUST))
    except iam.exceptions.EntityAlreadyExistsException:
        return


def role_arn(account: str) -> str:
    """Return the ARN of the seeded role."""
    return f"arn:aws:iam::{account}:role/{ROLE}"


class IamRoles:
    """The roles in moto's IAM, as SageMaker looks at them."""

    def __init__(self, outside: Outside, account: str) -> None:
        self._outside = outside
        self._account = account

    def check(self, role_arn: str) -> None:
        """Raise AWS's error where SageMaker may not assume a role: another account's, missing, untrusting."""
        account = role_arn.split(":")[4:5]
        if account != [self._account]:
            raise validation(
                f"Cross-account pass role is not allowed. {role_arn} is not of account {self._account}, "
                f"which is the local SageMaker's; its role is {ROLE}."
            )
        iam = self._outside.client("iam")
        try:
            role = iam.get_role(RoleName=role_arn.rpartition("/")[2])["Role"]
        except iam.exceptions.NoSuchEntityException:
            role = None
        if role is None or role["Arn"] != role_arn or not _trusts(role["AssumeRolePolicyDocument"]):
            raise validation(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{SAGEMAKER}' to assume the role."
            )


def simulate(call: Call, ask: Ask) -> Answer:
    """Answer SimulatePrincipalPolicy, which SDK v3 asks before it trains: here every action is allowed.

    Source: IAM API reference, SimulatePrincipalPolicy. Everything else goes on to moto.
    """
    if operation_of(call) != "SimulatePrincipalPolicy":
        return ask(call)
    fields = urllib.parse.parse_qs(call.body.decode())
    actions = _members(fields, "ActionNames")
    resources = _members(fields, "ResourceArns") or ["*"]
    results = "".join(
        f"<member><EvalActionName>{escape(action)}</EvalActionName>"
        f"<EvalResourceName>{escape(resource)}</EvalResourceName><EvalDecision>allowed</EvalDecision></member>"
        for action in actions
        for resource in resources
    )
    body = (
        f'<SimulatePrincipalPolicyResponse xmlns="{_NAMESPACE}"><SimulatePrincipalPolicyResult>'
        f"<IsTruncated>false</IsTruncated><EvaluationResults>{results}</EvaluationResults>"
        f"</SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId>"
        "</ResponseMetadata></SimulatePrincipalPolicyResponse>"
    )
    return Answer(200, {"Content-Type": "text/xml"}, body.encode())


def _members(fields: Mapping[str, list[str]], name: str) -> list[str]:
    """Return a list of the query protocol: NAME.member.1, NAME.member.2, ..."""
    return [values[0] for field, values in fields.items() if field.startswith(f"{name}.member.")]


def _trusts(policy: Mapping[str, Any]) -> bool:
    """Whether a trust policy lets SageMaker assume its role."""
    return any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
        and SAGEMAKER in _services_of(statement.get("Principal"))
        for statement in _listed(policy.get("Statement"))
    )


def _services_of(principal: Any) -> list[Any]:  # noqa: ANN401 - users write their policies as they like
    return _listed(principal.get("Service")) if isinstance(principal, Mapping) else []


def _listed(value: Any) -> list[Any]:  # noqa: ANN401
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
