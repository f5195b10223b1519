"""skops_archive, pickled and estimator: what is like scikit-learn's, and whom it takes trust to load."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

ROWS = np.random.default_rng(0).normal(size=(60, 2))


@pytest.fixture
def regression():
    return LinearRegression().fit(ROWS, ROWS[:, 0] - ROWS[:, 1])


def test_an_estimator_of_arrays_takes_rows(alone, regression):
    skops.io.dump(regression, alone.model_dir / "model.skops")
    assert alone.ask([[5, 3], [1, 1]]) == (200, pytest.approx([2, 0], abs=1e-9))
    assert "The model takes 2." in alone.refusal([[1]])


def test_an_estimator_of_dataframes_gets_one_in_its_order(alone):
    frame = pd.DataFrame({"age": ROWS[:, 0], "colour": np.where(ROWS[:, 1] > 0, "red", "blue")})
    one_hot = ColumnTransformer([("colour", OneHotEncoder(), ["colour"])], remainder="passthrough")
    pipeline = make_pipeline(one_hot, LogisticRegression()).fit(frame, frame["colour"])
    skops.io.dump(pipeline, alone.model_dir / "model.skops")
    assert alone.ask([{"colour": "red", "age": 0}, {"colour": "blue", "age": 0}]) == (200, ["red", "blue"])
    assert alone.ask([[0, "red"]]) == (200, ["red"])
    assert "'colour' are missing: 'color' came" in alone.refusal([{"color": "red", "age": 0}])


def test_types_that_skops_does_not_trust_are_named_and_loaded_once_they_are_told(alone):
    model = make_pipeline(FunctionTransformer(pd.DataFrame), LinearRegression()).fit(ROWS, ROWS[:, 0])
    skops.io.dump(model, alone.model_dir / "model.skops")
    told = alone.failure()
    assert "model.skops is made of types that skops does not trust: pandas.DataFrame." in told
    types = tuple(told.partition("MODEL_SERVER_TRUSTED_TYPES=")[2].split(","))
    assert alone.failure(trusted_types=("some.other.Type",)) == told
    assert alone.ask([[1, 2]], trusted_types=types) == (200, pytest.approx([1]))


@pytest.mark.parametrize("packed", [0, 3])
@pytest.mark.parametrize(
    "dump", [joblib.dump, lambda model, path, **_: path.write_bytes(pickle.dumps(model))]
)
def test_a_pickle_is_loaded_only_where_a_setting_says_so(alone, regression, dump, packed):
    dump(regression, alone.model_dir / "model.pkl", compress=packed)
    assert "model.pkl is a pickle" in alone.failure()
    assert "MODEL_SERVER_UNPICKLE=true" in alone.failure()
    assert alone.ask([[5, 3]], unpickle=True) == (200, pytest.approx([2]))


def test_a_pickle_finds_the_modules_of_apps(alone):
    (alone.folder / "apps").mkdir()
    (alone.folder / "apps" / "doubling.py").write_text(
        "class Doubler:\n    def predict(self, data): return (data * 2).tolist()\n"
    )
    (alone.model_dir / "model.pkl").write_bytes(b"cdoubling\nDoubler\n(tR.")
    assert alone.ask([[5, 3]], unpickle=True) == (200, [[10, 6]])


def test_what_a_pickle_needs_and_is_not_installed_is_named(alone):
    (alone.model_dir / "model.pkl").write_bytes(b"cno_such_module\nModel\n(tR.")
    assert "needs no_such_module, which is not installed" in alone.failure(unpickle=True)
