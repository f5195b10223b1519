"""A model with a file that nobody needs hides nothing of how the others are loaded."""

import pytest
from faults_starting import FAULTS
from faulty import GOOD, SAMPLE

from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules.starting import model_is_read, ping_while_loading
from byoc.check.verdict import Outcome
from byoc.runtime.images import Folder

pytestmark = pytest.mark.check

IN_PING = next(fault for fault in FAULTS if fault.rule == "ping-while-loading")


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.txt").write_text("2.0")
    (folder / "optimizer").write_bytes(bytes(1000))
    return folder


@pytest.mark.parametrize(("fault", "outcome"), [(IN_PING, Outcome.FAIL), (None, Outcome.PASS)])
def test_the_largest_file_may_be_one_that_is_not_needed(model, fault, outcome, tmp_path):
    program = fault.program(tmp_path / "program") if fault else GOOD
    (tmp_path / "lab").mkdir()
    with Lab(Question(Folder(program), SAMPLE, model, patience_s=20.0), tmp_path / "lab") as lab:
        loading, read = ping_while_loading(lab), model_is_read(lab)
    assert loading.outcome is outcome, loading.seen
    assert "any file of /opt/ml/model" in loading.seen
    assert (read.outcome, read.seen) == (Outcome.PASS, "It opens files of its model.")
