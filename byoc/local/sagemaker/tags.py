"""AddTags, ListTags and DeleteTags, for whatever has an ARN here."""

from collections.abc import Mapping
from typing import cast

from byoc.local.errors import validation
from byoc.local.sagemaker.kinds import need_arn, tags_in, text
from byoc.local.sagemaker.store import Document
from byoc.local.world import Operation, World

_MOST = 50  # tags per resource (AWS, "Tag editor: tag naming limits")


def add_tags(world: World, request: Document) -> Document:
    """Add tags, in place of those with the same key, and answer all there are."""
    arn = _arn(world, request)
    tags = {**world.store.tags(arn), **tags_in(request)}
    if len(tags) > _MOST:
        raise validation(f"A resource has at most {_MOST} tags, and {arn} would have {len(tags)}.")
    world.store.tag(arn, tags_in(request))
    return {"Tags": _answer(tags)}


def list_tags(world: World, request: Document) -> Document:
    """Answer the tags, by key; there are never more than one page of them."""
    return {"Tags": _answer(world.store.tags(_arn(world, request)))}


def delete_tags(world: World, request: Document) -> Document:
    """Remove tags by their keys."""
    world.store.untag(_arn(world, request), cast("list[str]", request["TagKeys"]))
    return {}


def _arn(world: World, request: Document) -> str:
    arn = text(request, "ResourceArn")
    need_arn(world, arn)
    resource, slash, name = arn.partition("/")
    return f"{resource}{slash}{name.lower()}"


def _answer(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


OPERATIONS: Mapping[str, Operation] = {
    "AddTags": add_tags,
    "ListTags": list_tags,
    "DeleteTags": delete_tags,
}
