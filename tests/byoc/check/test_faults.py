"""Each rule catches the program with exactly its fault and no other; the good program passes all."""

import faults_batch
import faults_calls
import faults_confinement
import faults_errors
import faults_image
import faults_life
import faults_logs
import faults_multi_model
import faults_ping
import faults_proxies
import faults_serverless
import faults_starting
import faults_training
import pytest
from faulty import BRIEF, GOOD, checked, part_of

from byoc.check.rule import Part
from byoc.check.table import RULES
from byoc.check.verdict import Outcome

FAULTS = [
    *faults_image.FAULTS,
    *faults_training.FAULTS,
    *faults_starting.FAULTS,
    *faults_ping.FAULTS,
    *faults_calls.FAULTS,
    *faults_errors.FAULTS,
    *faults_life.FAULTS,
    *faults_confinement.FAULTS,
    *faults_logs.FAULTS,
    *faults_proxies.FAULTS,
    *faults_batch.FAULTS,
    *faults_multi_model.FAULTS,
    *faults_serverless.FAULTS,
]

pytestmark = pytest.mark.check


def fault_name(fault):
    return fault.name or "+".join(sorted(fault.rules))


def noticed(verdicts):
    return {rule for rule, verdict in verdicts.items() if verdict.outcome in (Outcome.FAIL, Outcome.WARN)}


@pytest.mark.parametrize("part", [Part.IMAGE, Part.TRAIN, Part.SERVE, Part.BATCH])
def test_the_good_program_keeps_every_rule(part, tmp_path):
    verdicts = checked(GOOD, tmp_path / "lab", [part])
    assert not {rule: verdicts[rule].seen for rule in noticed(verdicts)}
    assert len(verdicts) == sum(rule.part is part and not rule.slow for rule in RULES)


@pytest.mark.parametrize("fault", FAULTS, ids=fault_name)
def test_a_fault_is_caught_by_its_own_rule_and_by_no_other(fault, tmp_path):
    program = fault.program(tmp_path / "program")
    # Of what starts containers the fault's own part alone is tested: all parts take a minute a fault. The
    # image is only looked at; that no rule fails without cause is shown of all parts by the good program.
    parts = {Part.IMAGE, *map(part_of, fault.rules)}
    verdicts = checked(program, tmp_path / "lab", parts, BRIEF.keys() - fault.rules, **fault.options)
    assert noticed(verdicts) == fault.rules, {
        rule: verdicts[rule].seen for rule in noticed(verdicts) ^ fault.rules
    }


def test_every_rule_has_a_fault():
    shown = {rule for fault in FAULTS for rule in fault.rules} | faults_image.ONLY_IN_DOCKER
    shown |= faults_serverless.BY_HAND
    assert {rule.id for rule in RULES if not rule.slow} <= shown
