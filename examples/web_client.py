"""How a web backend asks the endpoint: one client for all threads, with timeouts and retries that are meant.

Copy it: it needs boto3 and nothing of this repository. Make one Endpoint when the process starts (after a
fork), and call it from every thread:

    endpoint = Endpoint("breast-cancer")
    predictions = endpoint.predict([[17.99, 10.38, ...]])

Who calls needs sagemaker:InvokeEndpoint on the endpoint. boto3.client("runtime.sagemaker"), the name in older
code, is the same client.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

# The model has not seen the request, or another instance will take it: it is sent again. A ModelError is the
# model's own answer, and after a read timeout it may still be at work: neither is.
SENT_AGAIN = {
    "ModelNotReadyException",  # serverless and multi-model endpoints, while they load: 429
    "ThrottlingException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalDependencyException",
}


class ModelFailedError(Exception):
    """The model answered with an error; `status` and the message are the container's own."""

    def __init__(self, status: int, message: str, log: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.log = log


class Endpoint:
    """One endpoint; safe to be called from many threads at once.

    Args:
        name: of the endpoint.
        connections: how many threads call at the same time; more of them wait for a connection.
        patience_s: begin no further attempt after so many seconds.
        client: of sagemaker-runtime, where the default one does not suit.
    """

    def __init__(
        self,
        name: str,
        *,
        connections: int = 32,
        patience_s: float = 30.0,
        client: BaseClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._name = name
        self._patience_s = patience_s
        self._sleep = sleep
        self._runtime = client or new_client(connections)

    def predict(self, rows: object) -> object:
        """Return the model's answer to rows, as JSON on the way there and back (errors as invoke)."""
        return json.loads(self.invoke(json.dumps(rows).encode(), "application/json", "application/json"))

    def invoke(self, body: bytes, content_type: str, accept: str) -> bytes:
        """Return the model's answer to a body.

        Raises:
            ModelFailedError: the model answered with an error; a status in the 400s is the request's fault.
            botocore.exceptions.ReadTimeoutError: it did not answer within 70 s.
            botocore.exceptions.ClientError: AWS refused, at last.
        """
        give_up = time.monotonic() + self._patience_s
        pause = 0.1
        while True:
            try:
                answer = self._runtime.invoke_endpoint(
                    EndpointName=self._name, Body=body, ContentType=content_type, Accept=accept
                )
                return answer["Body"].read()
            except (ClientError, ConnectTimeoutError, EndpointConnectionError) as error:
                _raise_what_is_final(error)
                if time.monotonic() + pause > give_up:
                    raise
            self._sleep(random.uniform(pause / 2, pause))  # noqa: S311 - so that callers do not come back together
            pause = min(pause * 2, 5.0)


def new_client(connections: int) -> BaseClient:
    """Return a client that keeps connections open, waits longer than a model may take, repeats nothing."""
    return boto3.client(
        "sagemaker-runtime",
        config=Config(
            connect_timeout=3,
            read_timeout=70,  # the container has 60 s
            max_pool_connections=connections,
            tcp_keepalive=True,
            retries={"total_max_attempts": 1},  # botocore's own would repeat some failures and not others
        ),
    )


def _raise_what_is_final(error: Exception) -> None:
    if not isinstance(error, ClientError):
        return
    response: Any = error.response
    code = response["Error"]["Code"]
    if code == "ModelError":
        status, message = response.get("OriginalStatusCode", 0), response.get("OriginalMessage", str(error))
        raise ModelFailedError(status, message, response.get("LogStreamArn", "")) from error
    if code not in SENT_AGAIN:
        raise error


def main(arguments: list[str]) -> int:
    """Send rows from standard input, as JSON, to an endpoint; print the answer, return the exit status."""
    if len(arguments) != 1:
        print("usage: python web_client.py ENDPOINT < rows.json", file=sys.stderr)
        return 2
    try:
        print(json.dumps(Endpoint(arguments[0]).predict(json.load(sys.stdin))))
    except ValueError as error:
        print(f"web_client.py: what was given, or came back, is no JSON: {error}", file=sys.stderr)
        return 1
    except (ModelFailedError, BotoCoreError, ClientError) as error:
        print(f"web_client.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
