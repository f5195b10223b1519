"""Whatever has an ARN has tags."""

import pytest

from byoc.local.errors import AwsError

HERE = "arn:aws:sagemaker:us-east-1:123456789012"


@pytest.mark.parametrize("kind", ["model", "endpoint-config", "endpoint", "training-job"])
def test_everything_can_be_tagged(world, ask, kind):
    world.store.insert(kind, "Mine", {})
    arn = f"{HERE}:{kind}/mine"
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    assert ask("AddTags", ResourceArn=arn, Tags=tags) == {"Tags": tags}
    assert ask("AddTags", ResourceArn=f"{HERE}:{kind}/Mine", Tags=[{"Key": "a", "Value": "2"}]) == {
        "Tags": [{"Key": "a", "Value": "2"}, tags[1]]
    }
    assert ask("DeleteTags", ResourceArn=arn, TagKeys=["a", "c"]) == {}
    assert ask("ListTags", ResourceArn=arn) == {"Tags": [tags[1]]}


@pytest.mark.parametrize(
    ("arn", "message"),
    [
        (f"{HERE}:endpoint/no", f'Could not find endpoint "{HERE}:endpoint/no".'),
        (f"{HERE}:training-job/no", "Requested resource not found."),
        (f"{HERE}:pipeline/no", f'Could not find resource "{HERE}:pipeline/no".'),
    ],
)
def test_nothing_has_no_tags(ask, arn, message):
    with pytest.raises(AwsError) as refused:
        ask("ListTags", ResourceArn=arn)
    assert (refused.value.code, refused.value.message) == ("ValidationException", message)


def test_there_are_at_most_fifty(world, ask):
    world.store.insert("model", "m", {})
    arn = f"{HERE}:model/m"
    ask("AddTags", ResourceArn=arn, Tags=[{"Key": str(i), "Value": ""} for i in range(50)])
    with pytest.raises(AwsError, match="at most 50 tags"):
        ask("AddTags", ResourceArn=arn, Tags=[{"Key": "one more", "Value": ""}])
    assert len(ask("ListTags", ResourceArn=arn)["Tags"]) == 50
