"""The role: found by name or ARN, and refused where SageMaker may not assume it."""

import json

import pytest
from botocore.exceptions import ClientError

from byoc.aws import Where
from byoc.deploy.errors import MissingError
from byoc.deploy.role import find_role, may_assume

WHERE = Where("123456789012", "us-east-1", "http://127.0.0.1:1", local=True, partition="aws")


def trust(service, effect="Allow", action="sts:AssumeRole"):
    return {"Statement": [{"Effect": effect, "Action": action, "Principal": {"Service": service}}]}


@pytest.fixture
def role(aws, request):
    """Return a function that creates a role with a trust policy."""
    name = f"role-{abs(hash(request.node.nodeid)):x}"

    def create(policy, path="/"):
        aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy), Path=path)
        return name

    return create


@pytest.mark.parametrize(
    ("policy", "may"),
    [
        (trust("sagemaker.amazonaws.com"), True),
        (trust("sagemaker.amazonaws.com", action="STS:assume*"), True),
        (trust(["ec2.amazonaws.com", "sagemaker.amazonaws.com"], action=["sts:TagSession", "sts:*"]), True),
        ({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}}, True),
        (trust("ec2.amazonaws.com"), False),
        (trust("sagemaker.amazonaws.com", effect="Deny"), False),
        (trust("sagemaker.amazonaws.com", action="sts:TagSession"), False),
        ({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}, False),
        ({}, False),
    ],
)
def test_a_trust_policy_lets_sagemaker_in_or_not(policy, may):
    assert may_assume(policy) is may


def test_a_role_is_found_by_name_and_by_arn(aws, role):
    name = role(trust("sagemaker.amazonaws.com"), path="/service-role/")
    arn = f"arn:aws:iam::123456789012:role/service-role/{name}"
    assert find_role(aws, WHERE, name) == (arn, ())
    assert find_role(aws, WHERE, arn) == (arn, ())


@pytest.mark.bad_input
def test_a_role_that_sagemaker_may_not_assume_is_refused_with_the_remedy(aws, role):
    name = role(trust("ec2.amazonaws.com"))
    with pytest.raises(MissingError, match=f"aws iam update-assume-role-policy --role-name {name} --policy-"):
        find_role(aws, WHERE, name)


@pytest.mark.bad_input
def test_a_missing_role_is_named_with_the_command_that_creates_it(aws):
    with pytest.raises(MissingError) as raised:
        find_role(aws, WHERE, "Nobody")
    assert "There is no role Nobody in account 123456789012. Take SageMakerExec" in str(raised.value)
    command = str(raised.value).partition("--assume-role-policy-document ")[2]
    assert may_assume(json.loads(command.strip("'")))


def test_another_accounts_role_is_taken_as_it_is_with_a_note(aws):
    arn = "arn:aws:iam::999999999999:role/x"
    assert find_role(aws, WHERE, arn)[0] == arn
    assert "another account's" in find_role(aws, WHERE, arn)[1][0]


class DeniesAll:
    """An AWS whose caller may not look at roles."""

    def client(self, _service):
        return self

    def get_role(self, **_):
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetRole")


def test_who_may_not_look_at_roles_goes_on_with_a_note():
    arn, (note,) = find_role(DeniesAll(), WHERE, "TheRole")
    assert arn == "arn:aws:iam::123456789012:role/TheRole"
    assert "You may not look at the role" in note
