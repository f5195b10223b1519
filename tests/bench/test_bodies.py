import io
import json

import numpy as np
import pytest

from bench.contest.answers import check
from bench.contest.bodies import CSV, JSON, MLFLOW, NPY, PARQUET, V2, read_csv, read_json
from bench.contest.errors import NotMeasuredError

ROWS = np.random.default_rng(1).normal(size=(3, 4))


@pytest.mark.parametrize(
    ("dialect", "decode"),
    [
        (JSON, lambda body: json.loads(body)["instances"]),
        (MLFLOW, lambda body: json.loads(body)["inputs"]),
        (
            V2,
            lambda body: np.reshape(
                json.loads(body)["inputs"][0]["data"], json.loads(body)["inputs"][0]["shape"]
            ),
        ),
        (CSV, lambda body: [line.split(",") for line in body.decode().splitlines()]),
        (NPY, lambda body: np.load(io.BytesIO(body))),
    ],
)
def test_numbers_travel_with_all_their_digits(dialect, decode):
    assert np.array_equal(np.array(decode(dialect.encode(ROWS)), dtype=float), ROWS)


def test_parquet_has_a_column_for_each_feature():
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(io.BytesIO(PARQUET.encode(ROWS)))
    assert table.column_names == ["f0", "f1", "f2", "f3"]
    assert np.array_equal(np.column_stack([column.to_numpy() for column in table.columns]), ROWS)


@pytest.mark.parametrize(
    "answer",
    [
        [0.5, 0.25],
        [[0.5], [0.25]],
        {"predictions": [0.5, 0.25]},
        {"output": [0.5, 0.25]},
        {"model_name": "bench", "outputs": [{"name": "predict", "data": [0.5, 0.25]}]},
    ],
)
def test_every_servers_shape_of_an_answer_is_read(answer):
    assert read_json(json.dumps(answer).encode()).tolist() == [0.5, 0.25]


def test_an_answer_in_lines_is_read():
    assert read_csv(b"0.5\n0.25\n").tolist() == [0.5, 0.25]


def test_the_models_own_predictions_are_right():
    check(b"[0.5, 0.25]", read_json, np.array([0.5, 0.25]))


@pytest.mark.parametrize(
    "answer",
    [b"[0.5, 0.26]", b"[0.5]", b"[0.25, 0.5]", b"", b"{}", b"[null, 1]", b'{"predictions": "x"}', b"12"],
)
def test_other_predictions_are_not(answer):
    with pytest.raises(NotMeasuredError):
        check(answer, read_json, np.array([0.5, 0.25]))


def test_a_long_answer_that_cannot_be_read_is_not_told_whole():
    with pytest.raises(NotMeasuredError) as raised:
        check(b"x" * 10_000, read_csv, np.array([0.5]))
    assert len(str(raised.value)) < 300
