"""What execution parameters may be, and bodies of a size that tests can afford."""

import json

import pytest
from faulty import GOOD, SAMPLE, Fault

from byoc.check.lab import Lab
from byoc.check.question import Question, Sample
from byoc.check.rules import batch
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.images import Folder


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 6},
        {"MaxConcurrentTransforms": 1000, "MaxPayloadInMB": 0},
        {"MaxPayloadInMB": 100},
    ],
)
def test_these_parameters_are_right(given):
    assert batch._wrong_with(json.dumps(given).encode()) == ""


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (b"<html>", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"MaxConcurrentTransforms": 0}', "at least 1"),
        (b'{"MaxConcurrentTransforms": "2"}', "a whole number"),
        (b'{"MaxConcurrentTransforms": true}', "a whole number"),
        (b'{"MaxPayloadInMB": 101}', "from 0 to 100"),
        (b'{"BatchStrategy": "MultiRecord"}', "MULTI_RECORD"),
        (b'{"MaxConcurrentTransforms": 20}', "is 120, over 100"),
    ],
)
def test_these_are_wrong_and_the_reason_is_given(given, word):
    assert word in batch._wrong_with(given)


@pytest.mark.check
def test_a_body_over_the_servers_limit_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_MOST_BYTES", 200_000)
    reads = "        body = self.read_body()\n"
    limit = (
        'if int(self.headers.get("Content-Length", "0")) > 100_000:\n            return self.answer(413)\n'
    )
    program = Fault("", (("serve", reads, f"{reads}        {limit}"),)).program(tmp_path / "program")
    outcomes = []
    for folder in (GOOD, program):
        work = tmp_path / f"lab-{folder.name}"
        work.mkdir()
        with Lab(Question(Folder(folder), SAMPLE), work) as lab:
            outcomes.append(batch.batch_100mb(lab).outcome)
    assert outcomes == [Outcome.PASS, Outcome.FAIL]


@pytest.mark.check
def test_what_is_not_split_by_lines_has_no_records_to_count(tmp_path):
    with (
        Lab(Question(Folder(GOOD), Sample(b"{}", "application/json")), tmp_path) as lab,
        pytest.raises(CannotTestError, match="is not split by lines"),
    ):
        batch.batch_records(lab)
