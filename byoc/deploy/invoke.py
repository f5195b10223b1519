"""Asks an endpoint once, and says what went wrong in the container's own words."""

import json
import re
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from byoc.aws import Aws, is_loopback, refused
from byoc.config import Target
from byoc.deploy.absent import why_nobody_answers
from byoc.deploy.errors import DeployError
from byoc.errors import ReaderGoneError
from byoc.predictions import CONTENT_TYPES, requests_in

_OTHER_TYPE = "application/octet-stream"
_UNSUPPORTED = 415


@dataclass(frozen=True)
class Answer:
    """What an endpoint answered, which variant did, and how long it took, in milliseconds."""

    body: bytes
    content_type: str
    variant: str
    ms: float


def sample_of(target: Target) -> Path:
    """Return the file to ask with: smoke_file, or the first request of dummy_data.

    Raises:
        DeployError: it cannot be read, or dummy_data is no folder.
        byoc.errors.DemoError: dummy_data has none.
    """
    if not (target.smoke_file or target.dummy_data.is_dir()):
        what = "which is no folder" if target.dummy_data.exists() else "which is not there"
        raise DeployError(
            f"dummy_data is {target.dummy_data}, {what}. Give the folder with the requests for your model."
        )
    file = target.smoke_file or requests_in(target.dummy_data)[0]
    body_of(file)
    return file


def body_of(file: Path) -> bytes:
    """Return what to send: the bytes of a file, or of standard input for -.

    Raises:
        DeployError: it cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise DeployError(f"{file} cannot be read: {error.strerror}. Give another file to send.") from None


def content_type_of(file: Path) -> str:
    """Return the content type that goes with a file's suffix.

    Raises:
        DeployError: the file is standard input, which has none.
    """
    if str(file) == "-":
        raise DeployError(
            "Standard input has no suffix that says what it is. Give --content-type, such as "
            f"{', '.join(CONTENT_TYPES.values())}."
        )
    return CONTENT_TYPES.get(file.suffix.lower(), _OTHER_TYPE)


def invoke(aws: Aws, name: str, body: bytes, content_type: str, accept: str | None = None) -> Answer:
    """Send a body to an endpoint and return what it answers.

    Raises:
        DeployError: there is no such endpoint, or it is not up, or its container answered with an error.
        botocore.exceptions.ClientError: AWS refuses for another reason.
    """
    wanted = {"Accept": accept} if accept else {}
    client = aws.client("sagemaker-runtime")
    began = time.perf_counter()
    try:
        answer = client.invoke_endpoint(EndpointName=name, Body=body, ContentType=content_type, **wanted)
        said = answer["Body"].read()
    except ClientError as error:
        if refused(error, "ModelError"):
            raise DeployError(explain(error.response, name, content_type)) from error
        if refused(error, "ValidationError") and "not found" in str(error):
            raise DeployError(why_nobody_answers(aws, name)) from error
        raise
    ms = (time.perf_counter() - began) * 1000
    return Answer(said, answer.get("ContentType", ""), answer.get("InvokedProductionVariant", ""), ms)


def print_answer(answers: Sequence[Answer], name: str, aws: Aws) -> None:
    """Print the first answer's body as it is; on stderr, who gave it, where, and how soon all came.

    Raises:
        ReaderGoneError: nobody reads it.
    """
    url = str(aws.client("sagemaker-runtime").meta.endpoint_url)
    side = "LOCAL" if is_loopback(url) else "AWS"
    answer, all_ms = answers[0], [each.ms for each in answers]
    soon = f", p50 {statistics.median(all_ms):.1f} ms of {len(answers)} calls" if len(answers) > 1 else ""
    told = (
        f"{name} ({answer.variant}) answered in {answer.ms:.0f} ms{soon}: {answer.content_type}; {side} {url}"
    )
    sys.stderr.write(f"{told}\n")
    ended = answer.content_type == "application/x-npy" or answer.body.endswith(b"\n")
    try:
        sys.stdout.buffer.write(answer.body if ended else answer.body + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        raise ReaderGoneError("Nobody reads the output any more.") from error


def explain(response: Any, name: str, sent_as: str = "") -> str:  # noqa: ANN401 - botocore's, of any members
    """Return what a ModelError says: the container's status and its own message, and where its log is.

    The members stand beside Error, at the top of the response (boto3 1.44, seen).
    """
    status = response.get("OriginalStatusCode", "no status")
    message = message_in(str(response.get("OriginalMessage") or response["Error"].get("Message", "")))
    arn = str(response.get("LogStreamArn", ""))
    match = re.search(r":log-group:([^:]+)", arn)
    group = match[1] if match else f"/aws/sagemaker/Endpoints/{name}"
    log = f"aws logs filter-log-events --log-group-name {group} --query 'events[].message' --output text"
    told = f"The container of {name} answered {status}: {message}"
    if status == _UNSUPPORTED and sent_as == _OTHER_TYPE:
        told += f"\nWhat is sent is told by the file's ending ({', '.join(CONTENT_TYPES)}); "
        told += f"any other is sent as {_OTHER_TYPE}. test_endpoint.py takes --content-type."
    return f"{told}\nIts log: {log}"


def message_in(text: str) -> str:
    """Return the message of the container's JSON error, or the text itself."""
    try:
        error = json.loads(text)["error"]
        return f"{error['message']} (id {error['id']})" if "id" in error else str(error["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip() or "nothing"
