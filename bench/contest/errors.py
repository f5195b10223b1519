"""What the harness could not do, in words for the person who runs it."""


class BenchError(Exception):
    """Something is missing or failed; the message says what, and what to do."""


class NotMeasuredError(BenchError):
    """One server cannot be measured; the others go on, and the table shows the message as the reason."""
