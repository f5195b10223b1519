"""The program of the folder multi keeps every rule on them, and one without the API fails."""

import pytest
from faults_multi_model import MULTI
from faulty import GOOD, Fault, checked

from byoc.check.choice import parts_of
from byoc.check.facts import facts_of
from byoc.check.rule import Part
from byoc.check.table import RULES
from byoc.check.verdict import Outcome
from byoc.runtime.images import Folder

pytestmark = pytest.mark.check

PARTS = (Part.MULTI_MODEL,)
IDS = [rule.id for rule in RULES if rule.part is Part.MULTI_MODEL]


@pytest.fixture(scope="module")
def multi(tmp_path_factory):
    return Fault("", MULTI).program(tmp_path_factory.mktemp("multi") / "program")


@pytest.fixture(scope="module")
def verdicts(multi, tmp_path_factory):
    return checked(multi, tmp_path_factory.mktemp("multi") / "lab", PARTS)


@pytest.mark.parametrize("rule", IDS)
def test_the_multi_model_program_keeps_the_rule(verdicts, rule):
    assert verdicts[rule].outcome is Outcome.PASS, verdicts[rule].seen


def test_the_label_alone_has_the_part_tested(multi):
    assert Part.MULTI_MODEL in parts_of(facts_of(Folder(multi)))
    assert Part.MULTI_MODEL not in parts_of(facts_of(Folder(GOOD)))


def test_a_container_without_the_api_fails_where_that_is_seen_and_the_rest_is_untested(tmp_path):
    verdicts = checked(GOOD, tmp_path / "lab", PARTS, patience_s=3.0)
    assert verdicts["multi-model-starts"].outcome is Outcome.FAIL
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.FAIL, Outcome.UNTESTED}
