"""batching: rows are joined where they may be, and whose they are is not forgotten."""

import numpy as np
import pytest

from byoc_serving.batching import joined, rows_are_independent
from byoc_serving.calls import Call, Request, Stages, error_response

ROWS = np.arange(24.0).reshape(8, 3)


def call(data, response=None):
    return Call(Request(b"", None, None, {}, "id"), Stages(0.0), data=data, response=response)


def shapes(calls, most_rows):
    return [[len(one.data) for one in group.calls] for group in joined(calls, most_rows)]


def test_tables_of_one_width_and_type_are_joined_up_to_the_limit():
    calls = [call(np.ones((rows, 3))) for rows in (1, 2, 3, 4)]
    assert shapes(calls, 6) == [[1, 2, 3], [4]]
    [first, _] = joined(calls, 6)
    assert first.data.shape == (6, 3)


def test_what_does_not_fit_together_stays_apart():
    calls = [
        call(np.ones((1, 3))),
        call(np.ones((1, 4))),
        call(np.ones((1, 3), dtype=np.float32)),
        call([[1]]),
    ]
    assert shapes(calls, 100) == [[1], [1], [1], [1]]


def test_a_large_request_is_predicted_alone_after_the_small_ones():
    calls = [call(np.ones((500, 3))), call(np.ones((1, 3))), call(np.ones((2, 3)))]
    assert shapes(calls, 100) == [[1, 2], [500]]


def test_nothing_is_joined_where_that_is_off():
    assert shapes([call(np.ones((1, 3))), call(np.ones((1, 3)))], 0) == [[1], [1]]


def test_a_call_that_was_answered_already_is_left_out():
    calls = [call(None, error_response(400, "BadRequest", "no")), call(np.ones((1, 3)))]
    assert shapes(calls, 100) == [[1]]


@pytest.mark.parametrize("kind", [np.asarray, list])
def test_each_call_gets_its_own_part_of_the_prediction(kind):
    [group] = joined([call(ROWS[:1]), call(ROWS[1:4]), call(ROWS[4:])], 100)
    parts = group.parts(kind([row.sum() for row in group.data]))
    assert [list(part) for part in parts] == [
        [ROWS[0].sum()],
        list(ROWS[1:4].sum(axis=1)),
        list(ROWS[4:].sum(axis=1)),
    ]


@pytest.mark.parametrize(
    "prediction", [0.5, {"a": 1}, np.float64(1), np.ones(3), [1, 2, 3], "abcdefgh", None]
)
def test_a_prediction_without_a_part_for_each_row_is_not_split(prediction):
    [group] = joined([call(ROWS[:1]), call(ROWS[1:])], 100)
    with pytest.raises(ValueError, match="8 rows"):
        group.parts(prediction)


@pytest.mark.parametrize(
    ("predict", "independent"),
    [
        (lambda rows: rows.sum(axis=1), True),
        (lambda rows: [str(row[0]) for row in rows], True),
        (lambda rows: rows * (1 + 1e-9 * len(rows)), True),  # as another order of addition
        (lambda rows: rows.sum(axis=1) - rows.mean(), False),
        (lambda rows: rows.sum(axis=1) / len(rows), False),
        (lambda rows: [f"{len(rows)}" for _ in rows], False),
        (lambda rows: rows.argsort(axis=0)[:, 0], False),
        (lambda rows: float(rows.sum()), False),
        (lambda rows: {"predictions": rows.sum(axis=1)}, False),
        (lambda rows: np.where(rows[:, 0] > 5, np.nan, 1.0), True),
        (
            lambda rows: 200_000 + (rows[:, 0] > 5) + (len(rows) > 1),
            False,
        ),  # labels
        (lambda rows: 200_000.0 + (rows[:, 0] > 5) + (len(rows) > 1), False),
        (lambda rows: 200_000 + (rows[:, 0] > 5), True),
        (lambda rows: 200_000.5 + 1e-9 * len(rows) + rows[:, 0], True),
    ],
)
def test_rows_are_independent_where_their_company_changes_nothing(predict, independent):
    assert rows_are_independent(predict, ROWS) is independent
