"""Which rules are tested: by part, by id, by patience."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from byoc.check.facts import Facts
from byoc.check.rule import Part, Rule


@dataclass(frozen=True)
class Choice:
    """What the user wants tested.

    Attributes:
        parts: empty: those that the container is found to have.
        only: ids; empty: all of the parts.
        slow: whether also what takes minutes.
    """

    parts: Collection[Part] = ()
    only: Collection[str] = ()
    skip: Collection[str] = ()
    slow: bool = False


def chosen(rules: Sequence[Rule], choice: Choice, found: Collection[Part]) -> list[Rule]:
    """Return the rules to test, in their order; one that is named whatever its part and patience."""
    if choice.only:
        return [rule for rule in rules if rule.id in choice.only and rule.id not in choice.skip]
    parts = choice.parts or found
    return [
        rule
        for rule in rules
        if rule.part in parts and rule.id not in choice.skip and (choice.slow or not rule.slow)
    ]


def unknown_in(rules: Sequence[Rule], choice: Choice) -> str:
    """Return that a name which was given is no rule's, and what may be meant; "" where all are known."""
    known = [rule.id for rule in rules]
    for name in (*choice.only, *choice.skip):
        if name not in known:
            return f"There is no rule {name}. {_meant(difflib.get_close_matches(name, known, 3))}"
    return ""


def parts_of(facts: Facts | None) -> list[Part]:
    """Return what a container is found to be for; without facts, of a running server, serving."""
    if facts is None:
        return [Part.SERVE, Part.BATCH]
    found = [Part.IMAGE]
    found += [Part.TRAIN] if facts.has("train") else []
    found += [Part.SERVE, Part.BATCH] if facts.has("serve") else []
    found += [Part.MULTI_MODEL] if facts.is_multi_model else []
    return found


def _meant(near: Sequence[str]) -> str:
    return f"Is it {' or '.join(near)}?" if near else "`byoc check --list --all` names them all."
