"""Inference scripts written for AWS's own containers drop into apps/ unchanged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from byoc_serving.invocation import Invocations, Request
from byoc_serving.settings import Settings

SCRIPTS = Path(__file__).parent / "fixtures" / "script_mode"


@pytest.fixture(autouse=True)
def own_modules():
    """Each test imports its own `inference`."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def ask(tmp_path):
    """Return a function that sends a body to a script and returns its answer."""
    (tmp_path / "model").mkdir()

    def ask(script, body, content_type="application/json", accept=None, program="inference.py", **headers):
        settings = Settings(base_dir=tmp_path, apps_dir=SCRIPTS / script, program=program)
        invocations = Invocations(settings)
        invocations.load()
        return invocations.respond(Request(body, content_type, accept, headers, "an-id"))

    return ask


def test_a_script_with_only_model_fn_uses_the_models_own_predict(ask, tmp_path):
    (tmp_path / "model" / "factor.json").write_text('{"factor": 2}')
    response = ask("only_model_fn", b"1,2\n3,4\n", "text/csv")
    assert (response.status, json.loads(response.body)) == (200, [6.0, 14.0])


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_all_four_functions_are_used_and_json_is_the_default_accept(ask, accept):
    response = ask("all_four", b'{"values": [1, 2]}', accept=accept)
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == {"predictions": [10, 20]}


def test_output_fn_may_answer_with_body_and_content_type(ask):
    response = ask("all_four", b'{"values": [1, 2]}', accept="text/csv")
    assert (response.body, response.content_type.partition(";")[0]) == (b"10,20", "text/csv")


def test_what_input_fn_raises_is_answered_500_with_the_id_alone(ask):
    response = ask("all_four", b"1", "text/csv")
    assert response.status == 500
    assert b"unsupported" not in response.body


@pytest.mark.parametrize(
    ("content_type", "type_name"),
    [
        ("application/json", "str"),
        ("text/csv", "str"),
        ("text/csv; charset=utf-8", "str"),
        ("application/octet-stream", "bytes"),
        ("application/x-npy", "bytes"),
        ("image/png", "bytes"),
    ],
)
def test_text_types_reach_input_fn_as_text_and_all_else_as_bytes(ask, content_type, type_name):
    response = ask("body_types", b"[1]", content_type)
    assert (response.status, response.body) == (200, type_name.encode())


def test_the_context_is_passed_where_it_is_asked_for(ask):
    headers = {"x-amzn-sagemaker-custom-attributes": "trace=1"}
    response = ask("with_context", b"{}", **headers)
    assert response.content_type.partition(";")[0] == "text/plain"
    assert response.body == (
        b"[('attributes', 'trace=1'), ('content_type', 'application/json'), ('model_dir_told', True)]"
    )


def test_transform_fn_does_the_work_of_all_three(ask):
    response = ask("transforms", b"quiet", "text/plain")
    assert (response.body, response.content_type.partition(";")[0]) == (b"QUIET", "text/plain")


def test_a_pickle_may_name_the_scripts_own_module_and_its_packages(ask, tmp_path):
    target = tmp_path / "model" / "deep" / "er" / "model.pkl"
    target.parent.mkdir(parents=True)
    make = (
        "import pickle, sys, inference\n"
        "with open(sys.argv[1], 'wb') as file:\n    pickle.dump(inference.Doubler(), file)"
    )
    subprocess.run([sys.executable, "-c", make, str(target)], cwd=SCRIPTS / "own_pickle", check=True)
    response = ask("own_pickle", b"[[1], [2]]")
    assert (response.status, json.loads(response.body)) == (200, [False, True])


def test_sagemaker_program_names_another_script(ask):
    response = ask("another_name", b'{"name": "SageMaker"}', program="train_and_serve.py")
    assert (response.status, json.loads(response.body)) == (200, "hello SageMaker")


def test_a_model_may_be_anything_even_empty(ask):
    response = ask("empty_model", b'{"input": 1}')
    assert (response.status, json.loads(response.body)) == (200, {"input": 1})
