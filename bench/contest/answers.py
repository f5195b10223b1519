"""Checks that a server predicts what the model itself does: a fast wrong answer counts for nothing."""

from collections.abc import Callable

import numpy as np

from bench.contest.bodies import Table
from bench.contest.errors import NotMeasuredError

TOLERANCE = 1e-9  # relative; what a decimal number may lose on its way through a parser
_SHOWN = 100  # bytes of an answer that nobody can read


def check(answer: bytes, read: Callable[[bytes], Table], expected: Table) -> None:
    """See that an answer holds the expected predictions [rows], in their order.

    Raises:
        NotMeasuredError: it does not.
    """
    try:
        said = read(answer)
    except (ValueError, TypeError, LookupError, StopIteration):
        raise NotMeasuredError(f"the answer is {answer[:_SHOWN]!r}, which holds no predictions") from None
    if said.shape != expected.shape:
        raise NotMeasuredError(f"the answer holds {said.size} predictions for {expected.size} rows")
    if not np.allclose(said, expected, rtol=TOLERANCE, atol=0):
        raise NotMeasuredError(f"the answer begins with {said[:3]}, the model's with {expected[:3]}")
