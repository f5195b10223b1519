"""Programs with exactly one fault: the good one of this folder, changed."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from byoc.check.choice import Choice, chosen
from byoc.check.lab import Lab
from byoc.check.question import Question, Sample
from byoc.check.rule import Part
from byoc.check.run import results
from byoc.check.table import RULES
from byoc.runtime.images import Folder

GOOD = Path(__file__).with_name("good")
SAMPLE = Sample(b"1\n2.5\n", "text/csv")


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


def checked(program, work, parts=(Part.IMAGE, Part.TRAIN, Part.SERVE, Part.BATCH), **options):
    """Return the verdict of each rule on a program, by its id."""
    work.mkdir()
    question = Question(**{"target": Folder(program), "sample": SAMPLE, "patience_s": 20.0, **options})
    choice = Choice(parts, options.pop("only", ()), (), slow=False)
    with Lab(question, work) as lab:
        return {result.rule.id: result.verdict for result in results(chosen(RULES, choice, ()), lab)}


def part_of(rule):
    return next(one.part for one in RULES if one.id == rule)
