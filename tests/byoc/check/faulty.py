"""Programs with exactly one fault: the good one of this folder, changed."""

import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from byoc.check.choice import Choice, chosen
from byoc.check.lab import Lab
from byoc.check.question import Question, Sample
from byoc.check.rule import Part
from byoc.check.rules import crowds, life, ping, sigterm
from byoc.check.run import results
from byoc.check.table import RULES
from byoc.runtime.images import Folder

GOOD = Path(__file__).with_name("good")
SAMPLE = Sample(b"1\n2.5\n", "text/csv")
# Rules that call for seconds without pause, or several servers, and what has them do so for a moment only.
BRIEF = {
    "connects-in-time": (ping, {"_CONNECTIONS": 8, "_BETWEEN_CONNECTIONS_S": 0.01}),
    "ping-busy": (ping, {"_BUSY_S": 0.4, "_SIZES": ()}),
    "concurrent-calls": (crowds, {"_CALLS_S": 0.2}),
    "sigterm-loses-nothing": (sigterm, {"_ENDS": 1}),
    "memory-growth": (life, {"_WARM_CALLS": 20, "_CALLS": 40, "_FEWEST_CALLS": 20}),
}


@dataclass(frozen=True)
class Fault:
    """A change of the good program, and the one rule that it breaks.

    Attributes:
        rule: its id, or those of rules that one fault cannot but break together.
        edits: (file, what stands there, what shall stand there instead); None: the file is new.
        options: of the Question.
    """

    rule: str | tuple[str, ...]
    edits: tuple[tuple[str, str | None, str], ...] = ()
    name: str = ""
    options: dict = field(default_factory=dict)

    @property
    def rules(self):
        return {self.rule} if isinstance(self.rule, str) else set(self.rule)

    def program(self, folder):
        """Write the faulty program."""
        shutil.copytree(GOOD, folder)
        for name, old, new in self.edits:
            file = folder / name
            if old is None:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(new)
                continue
            text = file.read_text()
            assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times"
            file.write_text(text.replace(old, new))
        return folder


def checked(
    program, work, parts=(Part.IMAGE, Part.TRAIN, Part.SERVE, Part.BATCH), brief=frozenset(), **options
):
    """Return the verdict of each rule on a program, by its id; of those in `brief` after fewer calls."""
    work.mkdir()
    question = Question(**{"target": Folder(program), "sample": SAMPLE, "patience_s": 20.0, **options})
    with briefly(brief), Lab(question, work) as lab:
        return {result.rule.id: result.verdict for result in results(chosen(RULES, Choice(parts), ()), lab)}


@contextmanager
def briefly(rules=tuple(BRIEF)):
    """Have rules that take seconds take a moment only: enough where something else is shown."""
    with ExitStack() as stack:
        for rule in rules:
            module, settings = BRIEF[rule]
            stack.enter_context(patch.multiple(module, **settings))
        yield


def part_of(rule):
    return next(one.part for one in RULES if one.id == rule)
