"""Tests rules one after the other."""

import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from byoc.check.exchange import BrokenCallError
from byoc.check.lab import Lab
from byoc.check.masking import masked
from byoc.check.question import Address
from byoc.check.rule import Rule
from byoc.check.verdict import CannotTestError, Outcome, Verdict, untested
from byoc.check.waiting import NotServingError
from byoc.errors import ByocError

STOPPED = untested("The check was stopped before this was judged.")
_STARTS = "serve-starts"
_MOST_SHOWN = 200


@dataclass(frozen=True)
class Result:
    """A rule and what it came to, with the seconds that this took."""

    rule: Rule
    verdict: Verdict
    seconds: float


def results(
    rules: Iterable[Rule], lab: Lab, begin: Callable[[str], None] = lambda _rule: None
) -> Iterator[Result]:
    """Yield the result of each rule, in their order; `begin` hears the id of each before it is tested."""
    tested = list(rules)
    is_told = any(rule.id == _STARTS for rule in tested)
    for rule in tested:
        began = time.monotonic()
        begin(rule.id)
        verdict = _masked(_verdict(rule, lab, is_told=is_told), lab.question.environment.values())
        yield Result(rule, verdict, time.monotonic() - began)


def stopped(rules: Iterable[Rule]) -> list[Result]:
    """Return the results of rules that a check which was stopped did not come to."""
    return [Result(rule, STOPPED, 0.0) for rule in rules]


def _verdict(rule: Rule, lab: Lab, *, is_told: bool) -> Verdict:
    if isinstance(lab.question.target, Address) and not rule.by_url:
        return untested("Only a running server was given: name its image or its folder to have this tested.")
    had_ended = bool(lab.ended)
    try:
        verdict = rule.test(lab)
    except ByocError as error:  # such as of an engine that has gone: the other rules are tested all the same
        verdict = _untested(error, lab, is_told=is_told)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other rules are tested all the same
        verdict = untested(
            f"The rule {rule.id} itself broke: {_shown(error)}. That is a fault of byoc check, not of the "
            "container: please report it with this line."
        )
    if verdict.outcome is Outcome.FAIL and not had_ended:
        lab.forget_end()  # this rule tells it
    return verdict


def _masked(verdict: Verdict, values: Collection[str]) -> Verdict:
    """Return a verdict that shows none of the user's variables, such as in the last lines of a log."""
    return replace(verdict, seen=masked(verdict.seen, values), mend=masked(verdict.mend, values))


def _shown(error: Exception) -> str:
    """Return an error's kind and words, shortened, and where it was raised."""
    words = " ".join(str(error).split())[:_MOST_SHOWN]
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}{f' ({words})' if words else ''} in {Path(at.filename).name}:{at.lineno}"


def _untested(error: ByocError, lab: Lab, *, is_told: bool) -> Verdict:
    """Return what to say of a rule that could not be tested.

    Args:
        is_told: whether the rule that tells why there is no server is tested too.
    """
    match error:
        case NotServingError() if error is lab.never and lab.usual_s is None:
            why = f"see {_STARTS}." if is_told else str(error)
            return untested(f"No server answers /ping with 200: {why}", _STARTS)
        case NotServingError():
            return untested(f"It did not start once more: {error}")
        case BrokenCallError():
            return untested(f"{error}.")
        case CannotTestError():
            return untested(str(error), error.hangs_on)
        case _:
            return untested(str(error))
