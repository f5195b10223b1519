"""Whole containers: our own, one arranged as AWS's sample is, a model server of others, one by its URL."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from faulty import BRIEF, GOOD, SAMPLE, briefly, checked

from byoc.check.lab import Lab
from byoc.check.question import Question, Sample, address_of
from byoc.check.rule import Part
from byoc.check.run import results
from byoc.check.table import RULES
from byoc.check.verdict import Outcome
from byoc.runtime.images import Folder
from byoc.runtime.network import free_port

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
LITSERVE = "litserve==0.2.19"

pytestmark = pytest.mark.check


def outcomes(verdicts, outcome):
    return {rule for rule, verdict in verdicts.items() if verdict.outcome is outcome}


def test_every_rule_passes_on_our_own_folder_or_says_why_it_could_not_be_tested(tmp_path):
    body = (ROOT / "dummy_data" / "breast_cancer.csv").read_bytes()
    verdicts = checked(
        ROOT / "container" / "custom_algorithm",
        tmp_path / "lab",
        sample=Sample(body, "text/csv"),
        hyperparameters={"mode": "train"},
        patience_s=120.0,
    )
    others = {rule: verdict for rule, verdict in verdicts.items() if verdict.outcome is not Outcome.PASS}
    # What only an image has, and a timeout that serve computes.
    assert others.keys() >= {"image-architecture", "image-manifest", "image-size", "proxy-limits"}
    # On a busy machine others may not be testable either, such as a training that ended before its SIGTERM.
    assert {verdict.outcome for verdict in others.values()} == {Outcome.UNTESTED}, others


@pytest.mark.nginx
def test_the_known_faults_of_awss_sample_are_named(tmp_path):
    if shutil.which("nginx") is None and "CI" not in os.environ:
        pytest.skip("nginx is not installed")
    verdicts = checked(
        HERE / "scikit_example",
        tmp_path / "lab",
        [Part.SERVE],
        BRIEF.keys(),
        sample=Sample(b"1,2\n3,4\n", "text/csv"),
        hyperparameters={"columns": "2"},
        patience_s=60.0,
    )
    assert outcomes(verdicts, Outcome.FAIL) == {
        "body-25mb",
        "body-6mb",
        "content-type-parameters",
        "crash-ends-container",  # with status 0
        "garbage",
        "ping-while-loading",
        "sigterm-loses-nothing",
    }
    # On a busy machine the first ping, which loads the model, may be slow as well.
    assert outcomes(verdicts, Outcome.WARN) - {"ping-cold"} == {"ping-frozen", "ping-post", "proxy-limits"}
    assert "status 0" in verdicts["crash-ends-container"].seen
    assert "413" in verdicts["body-6mb"].seen


@pytest.fixture(scope="module")
def python_with_litserve(tmp_path_factory):
    """The Python of an environment that has a model server which is not ours."""
    folder = tmp_path_factory.mktemp("litserve") / "venv"
    if shutil.which("uv"):
        subprocess.run(["uv", "venv", "-q", "--python", sys.executable, folder], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "-p", folder / "bin/python", LITSERVE], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "-q", LITSERVE], check=True)
    return folder / "bin/python"


def test_a_model_server_that_is_not_ours_gets_useful_lines(python_with_litserve, tmp_path):
    question = Question(
        Folder(HERE / "litserve_example", python_with_litserve),
        sample=Sample(b'{"input": 2.0}', "application/json"),
        patience_s=60.0,
    )
    rules = [rule for rule in RULES if rule.part is Part.SERVE and not rule.slow]
    (tmp_path / "lab").mkdir()
    with briefly(), Lab(question, tmp_path / "lab") as lab:
        verdicts = {result.rule.id: result.verdict for result in results(rules, lab)}
    assert verdicts["serve-starts"].outcome is Outcome.PASS
    assert verdicts["body-25mb"].outcome is Outcome.PASS
    assert verdicts["empty-body"].outcome is Outcome.FAIL
    assert verdicts["sigterm-loses-nothing"].outcome is Outcome.FAIL
    assert "--model" in verdicts["ping-while-loading"].seen


@pytest.fixture
def url(tmp_path):
    """The address of a good server that this test has started itself."""
    (tmp_path / "ml" / "model").mkdir(parents=True)
    (tmp_path / "ml" / "model" / "model.txt").write_text("2.0")
    port = free_port()
    environment = {"SAGEMAKER_BASE_DIR": str(tmp_path / "ml"), "SAGEMAKER_BIND_TO_PORT": str(port)}
    with subprocess.Popen([sys.executable, GOOD / "serve"], env=environment) as server:
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_by_its_url_a_server_is_asked_and_not_touched(url, tmp_path):
    (tmp_path / "lab").mkdir()
    with briefly(), Lab(Question(address_of(url), SAMPLE), tmp_path / "lab") as lab:
        verdicts = {result.rule.id: result.verdict for result in results(RULES, lab)}
        assert lab.server().is_alive()
    asked = {rule.id for rule in RULES if rule.by_url}
    assert outcomes(verdicts, Outcome.FAIL) == outcomes(verdicts, Outcome.WARN) == set()
    assert outcomes(verdicts, Outcome.PASS) <= asked
    assert {"serve-starts", "ping-warm", "body-25mb"} <= outcomes(verdicts, Outcome.PASS)
