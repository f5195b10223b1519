"""testing: what a user's unit test sees of their inference.py is what a caller would."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from byoc_serving.errors import AlgorithmError
from byoc_serving.testing import Client
from flask_server import ECHO, apps_with, own_imports, write_manifest

ROOT = Path(__file__).parents[2]

SCRIPT = """
    def model_fn(model_dir): return model_dir
    def predict_fn(data, model, context):
        context.response_headers["X-Seen"] = context.custom_attributes or "none"
        return data
    def output_fn(prediction, accept):
        if accept == "text/event-stream":
            return (f"{row}\\n" for row in prediction[:, 0]), accept
        return prediction.tolist()
"""


@pytest.fixture(autouse=True)
def _own_imports():
    with own_imports():
        yield


@pytest.mark.parametrize("body", ["[[1, 2]]", b"[[1, 2]]", [[1, 2]], np.array([[1, 2]])])
def test_each_kind_of_body_is_sent_as_a_caller_would(tmp_path, body):
    answer = Client(apps_with(tmp_path, ECHO)).post(body)
    assert (answer.status, answer.json(), answer.text) == (200, [[1, 2]], answer.body.decode())
    assert answer.headers["Content-Type"] == "application/json"


def test_types_headers_and_streams_are_those_of_the_server(tmp_path):
    client = Client(apps_with(tmp_path, SCRIPT))
    attributes = {"X-Amzn-SageMaker-Custom-Attributes": "trace=1"}
    streamed = client.post("1,2\n3,4", "text/csv", accept="text/event-stream", headers=attributes)
    assert (streamed.body, streamed.headers["X-Seen"]) == (b"1.0\n3.0\n", "trace=1")


def test_what_a_caller_does_wrong_and_what_the_script_does_are_the_statuses_of_the_server(tmp_path, caplog):
    write_manifest(tmp_path / "model")
    client = Client(apps_with(tmp_path, ECHO.replace("return data", "1 / 0")), tmp_path / "model")
    assert client.post([[1, 2, 3]]).status == 400
    assert client.post("x", "image/png").status == 415
    assert client.post([[1, 2]]).status == 500
    assert "ZeroDivisionError" in caplog.text


def test_a_script_may_be_named_or_imported_and_two_may_be_tested_side_by_side(tmp_path):
    apps = apps_with(tmp_path / "one", ECHO)
    spec = importlib.util.spec_from_file_location("inference", apps / "inference.py")
    module = importlib.util.module_from_spec(spec)
    other = apps_with(tmp_path / "two", ECHO.replace("return data", "return [7]"))
    clients = [Client(module), Client(other / "inference.py"), Client(str(apps))]
    assert [client.post([[1]]).json() for client in clients] == [[[1]], [7], [[1]]]


def test_what_cannot_be_loaded_is_raised_at_once(tmp_path):
    with pytest.raises(AlgorithmError, match=r"inference.py has no model_fn"):
        Client(apps_with(tmp_path, "def predict_fn(data, model): return data"))


def test_settings_can_be_given(tmp_path):
    client = Client(apps_with(tmp_path, ECHO), default_accept="text/csv")
    assert client.post([[1, 2]]).text == "1.0,2.0\n"


def test_the_unit_test_of_the_document_passes(tmp_path, monkeypatch):
    document = (ROOT / "docs" / "serving.md").read_text()
    [example] = re.findall(r"```python\n(from byoc_serving.testing.*?)```", document, re.DOTALL)
    assert example.count("\n") <= 5
    apps = apps_with(tmp_path / "container" / "custom_algorithm", ECHO)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(example, found)
    [test] = [value for name, value in found.items() if name.startswith("test_")]
    test()
    assert sys.path[0] == str(apps)
