"""lightgbm_text: a Booster's file answers as the Booster does."""

import lightgbm
import numpy as np
import pandas as pd
import pytest

from tiny_models import PREDICTED, ROW, put


@pytest.fixture
def random():
    """Numbers that are the same whatever other tests ran before."""
    return np.random.default_rng(0)


def saved(alone, frame, labels):
    parameters = {
        "verbosity": -1,
        "num_threads": 1,
        "min_data_in_leaf": 1,
        "min_data_per_group": 1,
        "cat_smooth": 0,
    }
    booster = lightgbm.train(parameters, lightgbm.Dataset(frame, labels), 20)
    booster.save_model(alone.model_dir / "model.txt")
    return booster


def test_rows_without_names_are_taken_in_their_order(alone):
    put("model.txt", alone.model_dir)
    status, answer = alone.ask([ROW, ROW])
    assert (status, answer) == (200, pytest.approx(PREDICTED["model.txt"] * 2))
    assert alone.ask([{"b": ROW[0], "a": ROW[1], "c": ROW[2]}])[1] == pytest.approx(PREDICTED["model.txt"])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ([[1, 2]], "The number of columns is 2. The model takes 3."),
        ([[1, "two", 3]], "Row 1, column 2 (counted from 1) is 'two'. The model takes numbers."),
        ({"text": "one"}, "The model takes a table of rows and columns."),
        ([[[1, 2, 3]]], "The model takes a table of rows and columns."),
    ],
)
def test_what_the_model_cannot_take_is_the_callers_to_mend(alone, value, told):
    put("model.txt", alone.model_dir)
    assert told in alone.refusal(value)


def test_a_file_that_was_cut_off_is_not_given_to_lightgbm(alone):
    path = put("model.txt", alone.model_dir)
    path.write_bytes(path.read_bytes()[:500])
    assert "model.txt is not a whole LightGBM text file" in alone.failure()


def test_columns_with_names_are_put_into_the_models_order(alone, random):
    rows = random.normal(size=(60, 2))
    booster = saved(alone, pd.DataFrame(rows, columns=["mean radius", "age"]), rows[:, 0])
    expected = pytest.approx(booster.predict([[1.0, -1.0]]))
    assert alone.ask([{"age": -1.0, "mean radius": 1.0}]) == (200, expected)
    assert alone.ask([[1.0, -1.0]]) == (200, expected)
    told = alone.refusal([{"age": -1.0, "radius": 1.0}])
    assert "The model's columns 'mean_radius' are missing: 'radius' came." in told
    assert "repeats" in alone.refusal({"columns": ["age", "age"], "data": [[1, 2]]})


def test_categories_of_pandas_are_sent_as_their_values(alone, random):
    colours = pd.Categorical(random.choice(["blue", "red", "green"], 90))
    sizes = pd.Categorical(random.choice([3, 7], 90))
    frame = pd.DataFrame({"colour": colours, "age": random.normal(size=90), "size": sizes})
    booster = saved(alone, frame, (colours == "red") * 5.0 + (colours == "blue") * 2.0 + (sizes == 7))
    known = pd.DataFrame(
        {
            "colour": pd.Categorical(["red", "blue", "green", None], colours.categories),
            "age": 0.1,
            "size": pd.Categorical([7, 3, 3, 7], sizes.categories),
        }
    )
    expected = booster.predict(known)
    assert len(set(expected[:3])) == 3
    named = [{"size": size, "colour": colour, "age": 0.1} for colour, size in (("red", 7), ("blue", 3))]
    assert alone.ask(named) == (200, pytest.approx(expected[:2]))
    assert alone.ask([["green", 0.1, 3], ["red", 0.1, 7]])[1] == pytest.approx(expected[[2, 0]])
    for colour in (None, "never seen"):
        assert alone.ask([{"colour": colour, "age": 0.1, "size": 7}])[1] == pytest.approx(expected[3:])
