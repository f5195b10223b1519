"""An error as AWS answers it: a code, a message fit for the caller, an HTTP status."""

from collections.abc import Mapping


class AwsError(Exception):
    """What an operation refuses; each protocol has its own way to write it down.

    Args:
        code: AWS's own name for it, such as "ValidationException".
        message: AWS's own words where they are known.
        status: the HTTP status, never in the 500s, which clients would try again.
        members: further members of the answer, such as OriginalStatusCode of a ModelError.
    """

    def __init__(
        self, code: str, message: str, status: int = 400, members: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


def validation(message: str) -> AwsError:
    """Return the error that SageMaker answers to almost everything that is wrong with a request."""
    return AwsError("ValidationException", message)


def unknown_operation(name: str) -> AwsError:
    """Return the answer to an operation that is not there; a 5xx would have clients try it again."""
    return AwsError("UnknownOperationException", f"The local SageMaker has no {name} yet (docs/local.md).")
