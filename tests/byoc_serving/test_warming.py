"""warming: what a model is tried with before its first request, and what is decided by it."""

import pytest

from byoc_serving.errors import AlgorithmError
from byoc_serving.invocation import Invocations, Request
from byoc_serving.settings import Settings
from byoc_serving.warming import warmed
from flask_server import apps_with, own_imports, write_manifest

SUMS = """
    def model_fn(model_dir): return []
    def predict_fn(data, model):
        model.append(len(data))
        return data.sum(axis=1)
"""
ROWS = [[float(row), 1.0] for row in range(8)]


@pytest.fixture
def warm(tmp_path):
    """A function that loads and warms a script up, over a model version with those sample rows."""

    def load(script=SUMS, rows=ROWS, **settings):
        write_manifest(tmp_path / "ml" / "model", sample_rows=tuple(rows))
        given = Settings(base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, script), **settings)
        told = []
        return warmed(Invocations(given).loading.load(), given, told.append), told

    with own_imports():
        yield load


def test_a_model_is_warmed_up_with_its_sample_rows_and_asked_for_them_in_company(warm):
    model, told = warm()
    assert model.batch_rows == 1024
    assert model.model[0] == 8
    assert model.model[1:9] == [1] * 8
    assert max(model.model[9:]) > 1
    assert told == model.model  # who prepares for a prediction knows of each


@pytest.mark.parametrize(
    ("script", "settings", "why"),
    [
        (SUMS, {"batching": "off"}, "MODEL_SERVER_BATCHING is off"),
        (SUMS.replace("sum(axis=1)", "sum(axis=1) / len(data)"), {}, "otherwise alone than among others"),
        (SUMS.replace("(data, model)", "(data, model, context)"), {"batching": "on"}, "takes the context"),
        (SUMS + "    def input_fn(body, content_type): return body", {"batching": "on"}, "has input_fn"),
        (
            "def model_fn(d): return []\ndef transform_fn(model, data, content_type, accept): return data\n",
            {"batching": "on"},
            "has transform_fn",
        ),
        (
            SUMS.replace("model.append(len(data))", "raise ValueError(3)"),
            {},
            "cannot be predicted: ValueError: 3",
        ),
    ],
)
def test_requests_stay_apart_where_their_company_could_change_an_answer(warm, caplog, script, settings, why):
    caplog.set_level("INFO")
    model, _ = warm(script, **settings)
    assert model.batch_rows == 0
    assert why in caplog.text


@pytest.mark.parametrize("rows", [[], ROWS[:7], [ROWS[0]] * 20, [["a", "b"]] * 8, [[1.0]] * 8])
def test_too_few_different_rows_of_numbers_decide_nothing(warm, caplog, rows):
    caplog.set_level("INFO")
    assert warm(SUMS, rows)[0].batch_rows == 0
    assert "not 8 different sample rows of numbers" in caplog.text


def test_a_setting_joins_without_samples(warm):
    assert warm(SUMS, [], batching="on", batch_rows=7)[0].batch_rows == 7


def test_samples_that_cannot_be_predicted_are_told_and_the_model_serves(warm, caplog):
    model, _ = warm(SUMS.replace("model.append(len(data))", "raise ValueError(3)"))
    assert "the sample rows of the model version cannot be predicted: ValueError: 3" in caplog.text
    assert model.algorithm.predict_fn


def test_what_the_user_warms_up_with_comes_before_the_sample_rows(warm):
    warmup = "    def model_warmup_fn(model): model.append('warm')\n"
    model, _ = warm(SUMS + warmup)
    assert model.model[:2] == ["warm", 8]


def test_a_model_that_cannot_be_warmed_up_is_not_served(warm):
    with pytest.raises(AlgorithmError, match="model_warmup_fn failed: ZeroDivisionError"):
        warm(SUMS + "    def model_warmup_fn(model, context): 1 / 0\n")


def request(body):
    return Request(body, "text/csv", None, {}, "id")


def all_of(invocations, requests):
    """Return the calls of requests that were taken together, and which of them each step answered."""
    batch = invocations.take(requests)
    calls, answered = list(batch.calls), []
    while batch.calls:
        done = {id(call) for call in invocations.go_on(batch)}
        answered.append([place for place, call in enumerate(calls) if id(call) in done])
    return calls, answered


def test_a_bad_row_fails_its_own_request_only(tmp_path, caplog):
    script = """
        def model_fn(model_dir): return {}
        def predict_fn(data, model):
            if (data == 13).any():
                raise ValueError("unlucky")
            return data[:, 0].tolist()
    """
    with own_imports():
        settings = Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, script), batching="on")
        invocations = Invocations(settings)
        invocations.loading.change(lambda model: warmed(model, settings, lambda _rows: None))
        assert invocations.together > 1
        bodies = (b"1,2", b"3,4\n5,6", b"13,0", b"x,y,z", b"")
        calls, answered = all_of(invocations, [request(body) for body in bodies])
    assert [call.answer.status for call in calls] == [200, 200, 500, 200, 400]
    assert [call.answer.body for call in calls[:2]] == [b"[1.0]", b"[3.0,5.0]"]
    # Nothing is to be predicted for the last one. The first three failed together, then the second half of
    # them. What has another width is another prediction.
    assert answered == [[4], [0], [], [1], [2], [3]]


def test_what_is_predicted_together_is_encoded_for_each_as_it_asked(tmp_path):
    script = """
        def model_fn(model_dir): return {}
        def predict_fn(data, model): return data[:, 0]
        def output_fn(prediction, accept): return f"{accept}: {prediction.tolist()}"
    """
    with own_imports():
        settings = Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, script), batching="on")
        invocations = Invocations(settings)
        invocations.loading.change(lambda model: warmed(model, settings, lambda _rows: None))
        asked = [request(b"1,2")._replace(accept=accept) for accept in ("text/plain", "image/png")]
        calls, _ = all_of(invocations, asked)
    assert [call.answer.body for call in calls] == [b"text/plain: [1.0]", b"image/png: [1.0]"]
    assert {call.stages.together for call in calls} == {2}
