"""What no single fault of the good program shows of the rules on train."""

import signal
from dataclasses import replace

import pytest
from faulty import GOOD, Fault

from byoc.check.flight import wait_until
from byoc.check.lab import Lab
from byoc.check.question import Question
from byoc.check.rules import training
from byoc.check.training import Trained
from byoc.check.verdict import CannotTestError, Outcome
from byoc.runtime.images import Folder
from byoc.runtime.opt_ml import OptMl

pytestmark = pytest.mark.check

IGNORES = Fault(
    "train-sigterm",
    (("train", "signal.signal(signal.SIGTERM, stop)\n", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"),),
)


def lab_of(program, work, **options):
    work.mkdir()
    return Lab(Question(Folder(program), patience_s=20.0, **options), work)


def test_a_train_that_ignores_sigterm_is_noticed_once_it_has_been_watched(tmp_path, monkeypatch):
    program = IGNORES.program(tmp_path / "program")
    monkeypatch.setattr(training, "_WATCHED_S", 0.3)
    monkeypatch.setattr(training, "_GRACE_S", 0.4)
    with lab_of(program, tmp_path / "lab", hyperparameters={"seconds": "4"}) as lab:
        soon, late = training.sigterm(lab), training.sigterm_120(lab)
    assert (soon.outcome, late.outcome) == (Outcome.WARN, Outcome.FAIL)
    assert "0.4 s later it still ran" in late.seen


def test_a_train_that_is_over_too_soon_tells_nothing_about_sigterm(tmp_path):
    program = IGNORES.program(tmp_path / "program")
    with (
        lab_of(program, tmp_path / "lab", hyperparameters={"seconds": "0.5"}) as lab,
        pytest.raises(CannotTestError, match="give hyperparameters with which it takes longer"),
    ):
        training.sigterm(lab)


def test_a_short_train_without_a_handler_may_only_not_have_come_to_it(tmp_path):
    deaf = Fault("", (("train", "signal.signal(signal.SIGTERM, stop)\n", ""),)).program(tmp_path / "deaf")
    with (
        lab_of(deaf, tmp_path / "lab", hyperparameters={"seconds": "1.2"}) as lab,
        pytest.raises(CannotTestError, match="give hyperparameters with which it takes longer"),
    ):
        training.sigterm(lab)


def test_a_run_that_is_over_before_its_sigterm_is_followed_by_another_with_less_patience(tmp_path):
    first = "    given = hyperparameters()\n"
    edit = ("train", first, f'{first}    time.sleep(0 if (ML / "quick").exists() else 2)\n')
    program = Fault("", (edit,)).program(tmp_path / "program")
    with lab_of(program, tmp_path / "lab", hyperparameters={"seconds": "0.9"}) as lab:
        assert lab.completed.seconds > 2
        ordinary = lab.training
        lab.training = lambda setup: ordinary(
            replace(setup, alter=lambda tree: (tree.root / "quick").touch())
        )
        verdict = training.sigterm(lab)
    assert verdict.seen.startswith("It ended with status 143")


def test_a_train_that_serves_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("byoc.check.training._SERVES_S", 0.1)
    listens = '    __import__("socket").create_server(("", 8080)).accept()\n'
    start = "    given = hyperparameters()\n"
    program = Fault("", (("train", start, start + listens),)).program(tmp_path / "program")
    with (
        lab_of(program, tmp_path / "lab") as lab,
        pytest.raises(CannotTestError, match="it serves, and trains not"),
    ):
        training.completes(lab)


def test_a_train_that_says_that_it_lacks_the_network_passes(tmp_path):
    says = 'print("no route: " + str(OSError(101, "Network is unreachable")), flush=True)'
    only = 'len(__import__("socket").if_nameindex()) == 1'
    start = "    given = hyperparameters()\n"
    edit = ("train", start, f"{start}    if {only}:\n        {says}\n        sys.exit(1)\n")
    program = Fault("train-isolated", (edit,)).program(tmp_path / "program")
    with lab_of(program, tmp_path / "lab") as lab:
        verdict = training.isolated(lab)
    assert verdict.outcome is Outcome.PASS
    assert "EnableNetworkIsolation cannot be used" in verdict.seen


def test_a_train_that_cannot_be_started_does_not_complete(tmp_path):
    program = tmp_path / "program"
    program.mkdir()
    (program / "Dockerfile").write_text((GOOD / "Dockerfile").read_text())
    with lab_of(program, tmp_path / "lab") as lab:
        assert training.completes(lab).outcome is Outcome.FAIL


def test_without_hyperparameters_their_encoding_is_untested(tmp_path):
    with (
        lab_of(GOOD, tmp_path / "lab") as lab,
        pytest.raises(CannotTestError, match="--hyperparameter NAME=VALUE"),
    ):
        training.hyperparameters(lab)


def trained(root, model, failure=None):
    tree = OptMl(root)
    tree.model.mkdir(parents=True)
    (tree.model / "model.txt").write_text(model)
    return Trained(1 if failure else 0, 1.0, failure, "", tree)


@pytest.mark.parametrize(
    ("models", "outcome", "seen"),
    [
        (["2", "2"], Outcome.PASS, "and left the same model."),
        (
            ["2", "1", "2"],
            Outcome.WARN,
            'With {"up": "True"}, as SDK v2\'s Estimator sends them, it leaves',
        ),
        (["2", "1", "3"], Outcome.PASS, "is not known: no two runs leave the same model."),
    ],
)
def test_another_model_with_the_same_hyperparameters_is_noticed(tmp_path, models, outcome, seen):
    runs = iter([trained(tmp_path / str(number), model) for number, model in enumerate(models)])
    with lab_of(GOOD, tmp_path / "lab", hyperparameters={"up": "true"}) as lab:
        lab.trained = next(runs)
        lab.train = lambda _setup: next(runs)
        verdict = training.hyperparameters(lab)
    assert verdict.outcome is outcome, verdict.seen
    assert seen in verdict.seen


@pytest.mark.parametrize(
    ("failure", "outcome", "seen"),
    [
        ("OSError: [Errno 30] Read-only file system", Outcome.PASS, "says 'OSError"),
        ("Training failed.", Outcome.WARN, "says 'Training failed.', and not that"),
        ("Training failed.\n" * 80 + "OSError: [Errno 30]", Outcome.WARN, "comes after 1,360 characters"),
    ],
)
def test_a_failure_that_names_no_cause_is_noticed(tmp_path, failure, outcome, seen):
    with lab_of(GOOD, tmp_path / "lab") as lab:
        lab.hindered = trained(tmp_path / "run", "", failure)
        verdict = training.failure_file(lab)
    assert verdict.outcome is outcome
    assert seen in verdict.seen


def test_a_handler_for_sigterm_is_seen_before_the_signal(tmp_path):
    deaf = Fault("", (("train", "signal.signal(signal.SIGTERM, stop)\n", ""),)).program(tmp_path / "deaf")
    for program, hears in ((GOOD, True), (deaf, False)):
        with (
            lab_of(program, tmp_path / f"lab-{hears}", hyperparameters={"seconds": "5"}) as lab,
            lab.training(training.TrainSetup()) as run,
        ):
            assert run.wait_until_under_way(0)
            assert hears == wait_until(lambda: run.hears_sigterm, 10.0 if hears else 0.0)
            status = run.stop(5.0).status
        assert status in (143, -signal.SIGTERM)
