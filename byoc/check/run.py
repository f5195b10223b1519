"""Tests rules one after the other."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from byoc.check.exchange import BrokenCallError
from byoc.check.lab import Lab
from byoc.check.question import Address
from byoc.check.rule import Rule
from byoc.check.serving import NotServingError
from byoc.check.verdict import Verdict, untested
from byoc.errors import ByocError


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
    for rule in rules:
        began = time.monotonic()
        begin(rule.id)
        yield Result(rule, _verdict(rule, lab), time.monotonic() - began)


def _verdict(rule: Rule, lab: Lab) -> Verdict:
    if isinstance(lab.question.target, Address) and not rule.by_url:
        return untested("Only a running server was given: name its image or its folder to have this tested.")
    try:
        return rule.test(lab)
    except NotServingError:
        return untested("serve does not start: see serve-starts.")
    except BrokenCallError as error:
        return untested(f"{error}.")
    except ByocError as error:  # such as of an engine that has gone: the other rules are tested all the same
        return untested(str(error))
