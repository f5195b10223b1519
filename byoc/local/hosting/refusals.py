"""How InvokeEndpoint refuses: AWS's codes and words where they are known."""

import json
from dataclasses import dataclass

from byoc.local.errors import AwsError
from byoc.local.hosting.upstream import MOST_BYTES

MOST_TEXT = 2048  # botocore's model of the service: Message and OriginalMessage of ModelError
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency "
    "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass(frozen=True)
class Where:
    """The endpoint that is called, and whose it is."""

    endpoint: str
    region: str
    account: str

    @property
    def log_group(self) -> str:
        """What its containers write goes here."""
        return f"/aws/sagemaker/Endpoints/{self.endpoint}"


def no_such_endpoint(where: Where, status: str | None) -> AwsError:
    """Return AWS's answer, the same to an endpoint that is not there and to one that does not serve (yet)."""
    # In service and not found: its name is in other letters. AWS tells those apart here, and only here.
    note = "" if status in (None, "InService") else f" It is there, but its status is {status}."
    return AwsError(
        "ValidationError", f"Endpoint {where.endpoint} of account {where.account} not found.{note}"
    )


def no_such_variant(variant: str, where: Where, variants: list[str]) -> AwsError:
    """Return the answer to a TargetVariant that the endpoint has not."""
    return AwsError(
        "ValidationError",
        f"Variant {variant} not found for endpoint {where.endpoint}. Its variants: {', '.join(variants)}.",
    )


def no_multi_model(endpoint: str) -> AwsError:
    """Return AWS's answer to a TargetModel."""
    return AwsError(
        "ValidationError",
        f"Endpoint {endpoint} is not a multi-model endpoint and does not support target model header.",
        members={"ErrorCode": "TARGET_MODEL_HEADER_NOT_SUPPORTED"},
    )


def no_such_feature(endpoint: str, header: str) -> AwsError:
    """Return the answer to a header of a kind of endpoint that is not here."""
    return AwsError("ValidationError", f"Endpoint {endpoint} does not support the header {header}.")


def malformed(name: str, value: str, constraint: str) -> AwsError:
    """Return the answer to a member of the request that botocore's model of the service rules out."""
    wrong = f"Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
    return AwsError("ValidationError", f"1 validation error detected: {wrong}")


def too_large() -> AwsError:
    """Return the answer to a body over the limit."""
    return AwsError("ValidationError", f"HTTP content length exceeded {MOST_BYTES} bytes.", 413)


def model_error(where: Where, status: int, body: str) -> AwsError:
    """Return AWS's answer, HTTP 424, where the container answered anything but a 2xx, or nothing (status 0).

    Source: contract B6; ErrorCode stands in the body of AWS's answers, but not in its model.
    """
    kind = "client" if 400 <= status < 500 else "server"
    see = (
        f"See https://{where.region}.console.aws.amazon.com/cloudwatch/home?region={where.region}"
        f"#logEventViewer:group={where.log_group} in account {where.account} for more information."
    )
    told = f'Received {kind} error ({status}) from primary with message "'
    room = MOST_TEXT - len(told) - len(see) - len('". ')
    members: dict[str, object] = {
        "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if kind == "client" else "INTERNAL_FAILURE_FROM_MODEL",
        "OriginalStatusCode": status,
        "OriginalMessage": body[:MOST_TEXT],
        "LogStreamArn": f"arn:aws:logs:{where.region}:{where.account}:log-group:{where.log_group}",
    }
    return AwsError("ModelError", f'{told}{body[:room]}". {see}', 424, members)


def timed_out(where: Where) -> AwsError:
    """Return AWS's answer where the container took longer than 60 s."""
    return model_error(where, 0, _TIMED_OUT)


def encoded(error: AwsError) -> bytes:
    """Return the body of an error as the runtime's protocol (REST JSON) has it."""
    return json.dumps({**error.members, "Message": error.message}).encode()
