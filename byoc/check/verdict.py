"""What a rule comes to."""

from dataclasses import dataclass
from enum import StrEnum

from byoc.errors import ByocError


class Outcome(StrEnum):
    """The four ways in which a rule can end."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    WARN = "warn"
    UNTESTED = "untested"


@dataclass(frozen=True)
class Verdict:
    """An outcome, and what was seen: a sentence of its own with the values that led to it.

    Attributes:
        mend: how to mend it, where that depends on what was seen; the rule's own words otherwise.
        hangs_on: the id of the rule that has to be kept first, where this one is untested for that alone.
    """

    outcome: Outcome
    seen: str
    mend: str = ""
    hangs_on: str = ""


class CannotTestError(ByocError):
    """A rule cannot be tested here; the message says why, and what would make it possible.

    Attributes:
        hangs_on: the id of the rule that has to be kept first, "" where it is something else.
    """

    def __init__(self, message: str, hangs_on: str = "") -> None:
        super().__init__(message)
        self.hangs_on = hangs_on


def capital(sentence: str) -> str:
    """Return a sentence with a capital as its first letter."""
    return sentence[:1].upper() + sentence[1:]


def passed(seen: str) -> Verdict:
    """SageMaker will be content."""
    return Verdict(Outcome.PASS, seen)


def failed(seen: str, mend: str = "") -> Verdict:
    """SageMaker will not start it, or will and then some calls or jobs fail: the rule's `so` says which."""
    return Verdict(Outcome.FAIL, seen, mend)


def warned(seen: str, mend: str = "") -> Verdict:
    """It works, until it does not: it is slower, harder to run or to understand than it has to be."""
    return Verdict(Outcome.WARN, seen, mend)


def untested(why: str, hangs_on: str = "") -> Verdict:
    """Nothing is known; `why` says what would be needed, `hangs_on` the rule that has to be kept first."""
    return Verdict(Outcome.UNTESTED, why, hangs_on=hangs_on)
