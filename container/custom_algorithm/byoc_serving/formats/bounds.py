"""How much a body may become."""

from byoc_serving.errors import BadRequestError

_LEAST_BOUND = 64 << 20
_TIMES_THE_BODY = 20


def refuse_expansion(claimed_bytes: int, sent_bytes: int, what: str) -> None:
    """Hold what a body says that it becomes against its length, before memory is taken.

    Args:
        claimed_bytes: of all that it becomes in memory.
        sent_bytes: the length of the body.
        what: it is, for the message.

    Raises:
        BadRequestError: it is over 64 MB, and over 20 times the body's length.
    """
    limit = max(_LEAST_BOUND, _TIMES_THE_BODY * sent_bytes)
    if claimed_bytes > limit:
        raise BadRequestError(
            f"The {what} of {sent_bytes} bytes would become {claimed_bytes} bytes. Send what becomes at most "
            f"{_LEAST_BOUND}, or {_TIMES_THE_BODY} times its length: fewer rows at once.",
            claimed_bytes=claimed_bytes,
            limit_bytes=limit,
        )
