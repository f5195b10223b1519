"""A server that does not become ready is waited for once, whatever is tested."""

import os
import re
import signal
from dataclasses import replace

import pytest
from faulty import GOOD, SAMPLE, Fault

from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rule import Part
from byoc.check.run import results
from byoc.check.table import RULES
from byoc.check.verdict import Outcome, failed, passed
from byoc.runtime.images import Folder

_PING = '            self.answer(200 if pool.ready else 503)\n        elif self.path == "/exec'
NEVER = Fault("", (("serve", _PING, _PING.replace("200 if pool.ready else 503", "404")),))


@pytest.fixture
def lab(tmp_path):
    (tmp_path / "lab").mkdir()
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.txt").write_text("2.0")
    program = NEVER.program(tmp_path / "program")
    with Lab(Question(Folder(program), SAMPLE, model, patience_s=1.0), tmp_path / "lab") as lab:
        yield lab


def verdicts(lab, *ids):
    rules = [rule for rule in RULES if not ids or rule.id in ids]
    return {result.rule.id: result.verdict for result in results(rules, lab)}


def test_what_needs_a_server_is_untested_at_once_and_refers_to_the_rule_that_tells_why(lab):
    serving = {rule.id for rule in RULES if rule.part in (Part.SERVE, Part.BATCH, Part.MULTI_MODEL)}
    found = verdicts(lab, *serving - {"bidirectional-stream"})  # which needs one only where its label is
    assert found.pop("serve-starts").outcome is Outcome.FAIL
    assert {verdict.outcome for verdict in found.values()} == {Outcome.UNTESTED}, found
    assert {name for name, verdict in found.items() if verdict.hangs_on != "serve-starts"} == set()
    assert [place.name for place in lab.work.glob("*-serve")] == ["001-serve"]


def test_without_that_rule_each_says_why_itself(lab):
    seen = verdicts(lab, "ping-warm")["ping-warm"].seen
    assert seen.startswith("No server answers /ping with 200: /ping was not answered with 200 in 1 s: ")


def test_a_start_is_not_waited_for_much_longer_than_it_usually_takes(lab):
    lab.question.__dict__["patience_s"] = 480.0
    assert lab.patience_s == 480.0
    lab.usual_s = 2.0
    assert lab.patience_s == 40.0


@pytest.fixture
def good(lab):
    object.__setattr__(lab.question, "target", Folder(GOOD))
    return lab


def kill_the_shared_server(lab):
    running = lab.server().running
    os.kill(running.main(), signal.SIGKILL)
    running.process.wait(10.0)


def test_a_server_that_ended_by_itself_is_replaced_and_told_once(good):
    good.good_answer()
    kill_the_shared_server(good)
    found = verdicts(good, "worker-survives")["worker-survives"]
    assert found.outcome is Outcome.FAIL, found.seen
    assert re.match(r"After calls serve ended by itself, with status -?\d+:\n  ready", found.seen)
    assert verdicts(good, "unknown-path")["unknown-path"].outcome is Outcome.PASS
    assert not good.ended


@pytest.mark.parametrize(("verdict", "is_left"), [(passed(""), True), (failed(""), False)])
def test_a_rule_that_fails_tells_of_the_end_itself(good, verdict, is_left):
    def test(lab):  # its end is not seen at once
        os.kill(lab.server().running.main(), signal.SIGKILL)
        return verdict

    rule = replace(next(rule for rule in RULES if rule.id == "unknown-path"), test=test)
    list(results([rule], good))
    good.server()
    assert bool(good.ended) is is_left
