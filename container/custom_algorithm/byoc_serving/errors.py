"""What can go wrong, each kind with the status or exit it leads to; every message says what to do."""

from collections.abc import Sequence
from http import HTTPStatus


class ServingError(Exception):
    """Something that the person who runs the container can fix; its message is fit to be shown as it is."""


class SettingsError(ServingError):
    """An environment variable or hyperparameter has a value that cannot be used."""


class AlgorithmError(ServingError):
    """apps/ cannot be used: a file or function is missing, an import or model_fn failed."""


class ModelFileError(AlgorithmError):
    """A model file cannot be served without code: there is none, or several, or its library is missing."""


class ModelVersionError(ServingError):
    """A model version is not what its manifest says, or its manifest is not what was promised (bad data)."""


class StorageError(ServingError):
    """A model version could not be fetched or stored: missing, denied, unreachable, disk full (bad wire)."""


class NotReadyError(ServingError):
    """The model is still loading, or could not be loaded."""


class ChildError(ServingError):
    """One of the models that answer a request together cannot be loaded, or failed."""


class RequestError(ServingError):
    """What the caller did wrong. Raise a subclass from input_fn or output_fn to answer with its status.

    Args:
        message: what was wrong, which value, what to do; it goes to the caller.
        details: further JSON values for the caller, such as the position in the body.

    Attributes:
        headers: of the answer.
    """

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details
        self.headers: dict[str, str] = {}


class BadRequestError(RequestError):
    """The body cannot be decoded, or is not what the model takes: 400."""


class ClientDisconnectedError(RequestError):
    """The request broke off: 400."""


class NotFoundError(RequestError):
    """No such path: 404."""

    status = HTTPStatus.NOT_FOUND


class MethodNotAllowedError(RequestError):
    """The path does not take this method: 405.

    Args:
        message: as any.
        allow: the methods that it takes (RFC 9110, 15.5.6: they are to be told).
        details: as any.
    """

    status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, message: str, allow: Sequence[str] = (), **details: object) -> None:
        super().__init__(message, **details)
        if allow:
            self.headers["Allow"] = ", ".join(allow)


class NotAcceptableError(RequestError):
    """Nothing that the Accept header allows can be produced: 406."""

    status = HTTPStatus.NOT_ACCEPTABLE


class ConflictError(RequestError):
    """What is asked for has been done already: 409."""

    status = HTTPStatus.CONFLICT


class PayloadTooLargeError(RequestError):
    """The body is over the limit: 413."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class UnsupportedMediaTypeError(RequestError):
    """The Content-Type is none that can be decoded: 415."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class UnprocessableError(RequestError):
    """The body is understood, and there is no model for a row of it: 422."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class InsufficientMemoryError(RequestError):
    """A model does not fit beside those in use: 507, on which SageMaker unloads others and tries again."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
