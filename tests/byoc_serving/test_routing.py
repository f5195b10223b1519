"""Which child each row goes to, and that answers come back in the rows' order."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import BadRequestError, ModelVersionError, UnprocessableError
from byoc_serving.routing import (
    Child,
    Routes,
    check_length,
    count_of,
    merged,
    parse_routes,
    places_of,
    read_routes,
    rows_at,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "routes-1"
ROUTES = Routes("parent", (Child("a", "children/a"), Child("b", "children/b")))


def test_the_golden_table_is_read_as_documented(tmp_path):
    routes = read_routes(GOLDEN)
    assert routes.parent == "parent"
    assert routes.children[2] == Child("orchids of the tropics", "children/2")
    assert read_routes(tmp_path) is None


def test_a_single_model_is_a_table_of_one_row():
    content = {"format": "byoc-routes/1", "children": [{"name": "all", "path": "."}]}
    assert parse_routes(json.dumps(content).encode()) == Routes(None, (Child("all", "."),))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "byoc-routes/2"}, "is not of the format"),
        ({"children": []}, "has no children"),
        ({"children": {"a": "b"}}, "has no children"),
        ({"children": [{"name": "a"}]}, "has a child that is not"),
        ({"children": [{"name": "a", "path": "x"}, {"name": "a", "path": "y"}]}, "names a child twice"),
        ({"children": [{"name": "a", "path": "../x"}]}, "'../x'"),
        ({"parent": "/opt"}, "'/opt'"),
        ({"parent": 1}, "has a parent that is not"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(change, said):
    good = {"format": "byoc-routes/1", "parent": "p", "children": [{"name": "a", "path": "x"}]}
    with pytest.raises(ModelVersionError, match=said):
        parse_routes(json.dumps(good | change).encode())


@pytest.mark.parametrize(
    "choice",
    [
        ["b", "a", "b"],
        np.array(["b", "a", "b"]),
        np.array([1, 0, 1]),
        np.array([[1.0], [0.0], [1.0]]),
        pd.Series(["b", "a", "b"], index=[7, 8, 9]),
    ],
)
def test_a_child_is_chosen_by_name_or_by_number(choice):
    assert places_of(choice, ROUTES, 3).tolist() == [1, 0, 1]


@pytest.mark.parametrize("stray", ["c", 2, -1, 0.5, float("nan"), None])
def test_a_row_without_a_child_is_named(stray):
    with pytest.raises(UnprocessableError, match="Row 2 goes to the child") as caught:
        places_of(["a", stray], ROUTES, 2)
    assert caught.value.details["row"] == 2


def test_there_is_one_choice_for_each_row():
    with pytest.raises(ValueError, match="2 children were chosen for 3 rows"):
        places_of(["a", "b"], ROUTES, 3)


@pytest.mark.parametrize(
    "data", [np.arange(6.0).reshape(3, 2), pd.DataFrame({"x": [1, 2, 3]}), ["one", "two", "three"]]
)
def test_rows_are_taken_from_what_predict_fn_gets_as_it_is(data):
    some = rows_at(data, np.array([2, 0]))
    assert type(some) is type(data)
    assert (count_of(data), count_of(some)) == (3, 2)


@pytest.mark.parametrize("data", [{"a": 1}, "text", np.float64(1.0), None])
def test_what_has_no_rows_is_refused(data):
    with pytest.raises(BadRequestError, match="The data are no rows"):
        count_of(data)


AT = (np.array([2, 0]), np.array([1]))


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (np.array([2, 0]), np.array([1.5]), np.array([0, 1.5, 2])),
        (np.array([[2, 2], [0, 0]]), np.array([[1, 1]]), np.array([[0, 0], [1, 1], [2, 2]])),
        (np.array(["two", "zero"]), np.array(["one"]), np.array(["zero", "one", "two"])),
        (["two", "zero"], np.array([1]), ["zero", 1, "two"]),
        (np.array([2, 0]), np.array(["one"]), [0, "one", 2]),
        (np.array([[2, 2], [0, 0]]), np.array([[1]]), [[0, 0], [1], [2, 2]]),
    ],
)
def test_answers_come_back_in_the_rows_order(first, second, together):
    got = merged(list(zip(AT, (first, second), strict=True)), 3)
    assert type(got) is type(together)
    assert np.array(got, dtype=object).tolist() == np.array(together, dtype=object).tolist()


def test_dataframes_come_back_as_one():
    frames = [pd.DataFrame({"y": [2, 0]}), pd.DataFrame({"y": [1]})]
    assert merged(list(zip(AT, frames, strict=True)), 3)["y"].tolist() == [0, 1, 2]
    mixed = merged(list(zip(AT, [frames[0], [1]], strict=True)), 3)
    assert mixed == [{"y": 0}, 1, {"y": 2}]


@pytest.mark.parametrize("prediction", [[1], np.array(1), "ab", {"a": 1, "b": 2}, (row for row in [1, 2])])
def test_a_prediction_of_another_length_than_its_rows_is_refused(prediction):
    with pytest.raises(ValueError, match="It answers 2 rows"):
        check_length(prediction, 2)
