"""The last lines of a container's log, from CloudWatch Logs."""

from botocore.exceptions import BotoCoreError, ClientError

from byoc.aws import Aws, refused

LINES = 15


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
    if lines[-1].strip() in known:
        return f"\nIts log is in group {group}, stream {stream}."
    return f"\nThe last lines of its log (group {group}, stream {stream}):\n" + "\n".join(
        f"  {line}" for line in lines
    )


def _newest_stream(aws: Aws, group: str, prefix: str) -> str:
    logs = aws.client("logs")
    if prefix:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    else:
        streams = logs.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=5
        )["logStreams"]
    streams.sort(key=lambda stream: stream.get("lastEventTimestamp", 0))
    return str(streams[-1]["logStreamName"]) if streams else ""


def _tail(aws: Aws, group: str, stream: str) -> list[str]:
    events = aws.client("logs").get_log_events(
        logGroupName=group, logStreamName=stream, limit=LINES, startFromHead=False
    )["events"]
    return [str(event["message"]).rstrip() for event in events]
