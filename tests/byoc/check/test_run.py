"""Whatever a rule meets, there is a result of it, and the others are tested all the same."""

from types import SimpleNamespace

import pytest
from faulty import GOOD

from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rule import Part, Rule
from byoc.check.rules import batch
from byoc.check.run import results
from byoc.check.runs import TrainSetup
from byoc.check.verdict import CannotTestError, Outcome, failed, passed
from byoc.runtime.images import Folder


def rule(name, test):
    return Rule(name, Part.IMAGE, "says", "why", "so", "mend", "source", test)


def verdicts(*rules, **options):
    question = SimpleNamespace(target=None, environment={"HF": "hf_supersecret"}, **options)
    lab = SimpleNamespace(question=question, never=None, ended="", forget_end=bool)
    return [result.verdict for result in results(rules, lab)]


def test_a_rule_that_breaks_says_whose_fault_that_is_and_the_next_is_tested():
    broken, fine = verdicts(
        rule("one-rule", lambda _lab: {}["a key"]), rule("other-rule", lambda _lab: passed("So it is."))
    )
    assert broken.outcome is Outcome.UNTESTED
    assert broken.seen.startswith("The rule one-rule itself broke: KeyError ('a key') in test_run.py:")
    assert "a fault of byoc check, not of the container" in broken.seen
    assert fine.seen == "So it is."


def test_what_a_container_writes_of_its_variables_is_not_reported():
    [verdict] = verdicts(rule("one-rule", lambda _lab: failed("t: hf_supersecret", "not hf_supersecret")))
    assert (verdict.seen, verdict.mend) == ("t: ***", "not ***")


def test_execution_parameters_without_an_end_are_no_json():
    assert "nested too deep" in batch._wrong_with(b"[" * 200_000)


def test_a_link_that_leads_nowhere_in_a_channel_is_named(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lost.csv").symlink_to("nowhere.csv")
    (tmp_path / "lab").mkdir()
    question = Question(Folder(GOOD), channels={"train": tmp_path / "data"})
    with (
        Lab(question, tmp_path / "lab") as lab,
        pytest.raises(CannotTestError, match=r"cannot be laid out: \S+/data/lost.csv: \[Errno 2\] No such"),
    ):
        lab.train(TrainSetup())
