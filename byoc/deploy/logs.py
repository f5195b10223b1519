"""The last lines of a container's log, from CloudWatch Logs."""

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from byoc.aws import Aws, refused

LINES = 15

_BY_LAST_EVENT = {"orderBy": "LastEventTime", "descending": True}  # a page of 50 of them


def last_lines(aws: Aws, group: str, prefix: str = "", known: str = "") -> str:
    """Return the last lines of a group's newest stream, as text to put behind a message.

    Where there are none, or they cannot be had, the text says so: the message in front matters more.

    Args:
        aws: its CloudWatch Logs is asked.
        group: such as /aws/sagemaker/Endpoints/my-endpoint.
        prefix: what the stream's name begins with.
        known: what was said already; if the last line is in it, none is said again.
    """
    try:
        stream = _newest_stream(aws, group, prefix)
        lines = _tail(aws, group, stream) if stream else []
    except (ClientError, BotoCoreError) as error:
        if not refused(error, "ResourceNotFoundException"):
            return f"\nIts log, group {group}, cannot be read: {error}"
        stream, lines = "", []
    if not lines:
        return f"\nIts log, group {group}, is empty: the container did not get as far as saying anything."
    if _said_in(lines[-1]) in known:
        return f"\nIts log is in group {group}, stream {stream}."
    return f"\nThe last lines of its log (group {group}, stream {stream}):\n" + "\n".join(
        f"  {line}" for line in lines
    )


def _said_in(line: str) -> str:
    """Return the message of a JSON log's line, or the line."""
    try:
        return str(json.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line.strip()


def _newest_stream(aws: Aws, group: str, prefix: str) -> str:
    """Return the name of the stream that was created last, as those of the old instances go on meanwhile."""
    chosen: dict[str, Any] = {"logStreamNamePrefix": prefix} if prefix else _BY_LAST_EVENT
    streams = aws.client("logs").describe_log_streams(logGroupName=group, **chosen)["logStreams"]
    newest: dict[str, Any] = max(streams, key=lambda stream: stream.get("creationTime", 0), default={})
    return str(newest.get("logStreamName", ""))


def _tail(aws: Aws, group: str, stream: str) -> list[str]:
    events = aws.client("logs").get_log_events(
        logGroupName=group, logStreamName=stream, limit=LINES, startFromHead=False
    )["events"]
    return [str(event["message"]).rstrip() for event in events]
