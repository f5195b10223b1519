"""Says of an endpoint that nobody answers for what it is instead, or which others there are."""

import difflib
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from byoc.aws import Aws, is_missing
from byoc.deploy.reason import parted
from byoc.deploy.seen import MOVING

_CREATE = "Create it: python generate_endpoint.py"
_MOST_NAMES = 8


def why_nobody_answers(aws: Aws, name: str) -> str:
    """Return what to tell of an endpoint that InvokeEndpoint has not found, and what to do.

    It says "not found" of one that is Creating or Failed too. Who may only invoke is told what it said.
    """
    try:
        endpoint = aws.client("sagemaker").describe_endpoint(EndpointName=name)
    except (ClientError, BotoCoreError) as error:
        others = others_than(aws, name) if is_missing(error) else ""
        return " ".join(filter(None, [f"There is no endpoint {name} in {aws.region}.", others, _CREATE]))
    return _told(aws, name, endpoint)


def others_than(aws: Aws, name: str) -> str:
    """Return a sentence with the endpoints whose names are nearest to one, or "" where there are none."""
    try:
        listed = aws.client("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]
    except (ClientError, BotoCoreError):
        return ""
    names = [str(endpoint["EndpointName"]) for endpoint in listed]
    near = difflib.get_close_matches(name, names, _MOST_NAMES, 0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    more = ", ..." if len(names) > _MOST_NAMES else ""
    return f"There are: {', '.join(sorted(names)[:_MOST_NAMES])}{more}." if names else ""


def _told(aws: Aws, name: str, endpoint: dict[str, Any]) -> str:
    status = str(endpoint["EndpointStatus"])
    if status in MOVING:
        wait = f"aws sagemaker wait endpoint-in-service --endpoint-name {name}{aws.options}"
        return f"Endpoint {name} is {status}, and does not answer yet. Wait for it: {wait}"
    if status == "InService":
        return f"Endpoint {name} has come up this moment. Ask it again."
    if status == "Failed":
        why, _ = parted(endpoint.get("FailureReason") or "No reason was given.")
        anew = "python generate_endpoint.py deletes it and creates it anew."
        return f"Endpoint {name} is Failed: {why} Once that is mended, {anew}"
    return f"Endpoint {name} is {status}. {_CREATE}"
