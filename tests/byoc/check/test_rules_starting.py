"""A model with a file that nobody needs hides nothing of how the others are loaded."""

from contextlib import nullcontext

import pytest
from faults_starting import FAULTS
from faulty import GOOD, SAMPLE

from byoc.check.exchange import Answer
from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules import starting
from byoc.check.rules.starting import model_is_read, ping_while_loading, ping_without_model, serve_starts
from byoc.check.stuck import Stuck
from byoc.check.verdict import Outcome
from byoc.check.waiting import NotServingError, Ping
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


@pytest.mark.parametrize(("is_opened", "outcome"), [(True, Outcome.PASS), (False, Outcome.UNTESTED)])
def test_who_takes_a_pipe_for_no_file_has_not_been_seen_to_load_its_model(
    monkeypatch, is_opened, outcome, tmp_path
):
    ping = Ping(0.1, 503, "/ping answered 503", 0.01, connected=True)
    stuck = Stuck("model.txt", [ping], "/ping answered 503.", None, is_opened)
    for attempt in ("without_largest", "without_any"):
        monkeypatch.setattr(starting, attempt, lambda _lab: stuck)
    for name in ("server", "good_answer"):
        monkeypatch.setattr(Lab, name, lambda _lab: None)
    monkeypatch.setattr(starting, "model_of", lambda _lab: tmp_path)
    lab = Lab(Question(Folder(GOOD)), tmp_path)
    assert ping_while_loading(lab).outcome is outcome
    assert model_is_read(lab).outcome is outcome


@pytest.mark.parametrize(("unasked", "outcome"), [(True, Outcome.WARN), (False, Outcome.FAIL)])
def test_a_model_that_is_loaded_before_anything_is_answered_is_not_loaded_for_a_ping(
    monkeypatch, unasked, outcome, tmp_path
):
    ping = Ping(0.1, 0, "no answer", 2.0, connected=True)
    stuck = Stuck("model.txt", [ping], "no answer.", None, is_opened=True)
    monkeypatch.setattr(starting, "without_largest", lambda _lab: stuck)
    monkeypatch.setattr(starting, "is_opened_unasked", lambda _lab: unasked)
    monkeypatch.setattr(Lab, "server", lambda _lab: None)
    assert ping_while_loading(Lab(Question(Folder(GOOD)), tmp_path)).outcome is outcome


def test_an_entrypoint_that_takes_no_word_serve_is_told_from_a_model_that_is_missing(monkeypatch, tmp_path):
    def ended(_lab):
        raise NotServingError("It ended.", ended=True, log="Error: Got unexpected extra argument (serve)\n")

    (tmp_path / "Dockerfile").write_text('FROM python:3.12\nENTRYPOINT ["uvicorn", "app:app"]\n')
    monkeypatch.setattr(Lab, "server", ended)
    found = serve_starts(Lab(Question(Folder(tmp_path)), tmp_path))
    assert found.outcome is Outcome.FAIL
    assert "docker run IMAGE serve" in found.mend


@pytest.mark.parametrize(
    ("is_opened", "spoilt", "read", "without"),
    [
        (True, None, Outcome.PASS, Outcome.WARN),
        (False, None, Outcome.PASS, Outcome.WARN),  # it takes a pipe for no file
        (False, b"2", Outcome.UNTESTED, Outcome.WARN),
        (False, b"1", Outcome.WARN, Outcome.PASS),  # one fault is told once
    ],
)
def test_a_model_of_the_image_that_stands_in_for_one_that_is_missing_is_told(
    monkeypatch, is_opened, spoilt, read, without, tmp_path
):
    good = Answer(200, {}, b"1", 0.1)
    stuck = Stuck("model.txt", [Ping(0.1, 200, "", 0.01, connected=True)], "", good, is_opened)
    for attempt in ("without_largest", "without_any"):
        monkeypatch.setattr(starting, attempt, lambda _lab: stuck)
    monkeypatch.setattr(starting, "spoilt", lambda _lab: Answer(200, {}, spoilt, 0.1) if spoilt else None)
    monkeypatch.setattr(starting, "model_of", lambda _lab: tmp_path)
    monkeypatch.setattr(starting, "watch", lambda *_: stuck.pings)
    monkeypatch.setattr(Lab, "good_answer", lambda _lab: good)
    monkeypatch.setattr(Lab, "starting", lambda *_: nullcontext(Served()))
    lab = Lab(Question(Folder(GOOD), SAMPLE), tmp_path)
    assert (model_is_read(lab).outcome, ping_without_model(lab).outcome) == (read, without)


class Served:
    """A server that answers the sample request as ever."""

    def invoke(self, _sample):
        return Answer(200, {}, b"1", 0.1)
