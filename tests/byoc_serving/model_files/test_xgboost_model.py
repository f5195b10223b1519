"""xgboost_model: a Booster's file answers as the Booster does, with the rounds that it found best."""

import numpy as np
import pandas as pd
import pytest
import xgboost

from tiny_models import PREDICTED, ROW, put


@pytest.fixture
def random():
    """Numbers that are the same whatever other tests ran before."""
    return np.random.default_rng(0)


ROWS = np.random.default_rng(0).normal(size=(60, 3))
ALONE = {"nthread": 1}


@pytest.mark.parametrize("name", ["model.json", "model.ubj"])
def test_either_kind_of_file_is_loaded_under_any_name(alone, name):
    put(name, alone.model_dir).rename(alone.model_dir / "xgboost-model")
    assert alone.ask([ROW]) == (200, pytest.approx(PREDICTED[name]))
    assert "The model takes 3." in alone.refusal([[1]])


def test_a_file_that_was_cut_off_is_named(alone):
    path = put("model.json", alone.model_dir)
    path.write_bytes(path.read_bytes()[:500])
    assert "model.json (XGBoost JSON or UBJ) cannot be loaded: XGBoostError" in alone.failure()


@pytest.mark.parametrize("booster", ["gblinear", "dart"])
def test_other_boosters_than_trees_predict_too(alone, booster):
    trained = xgboost.train({"booster": booster, "nthread": 1}, xgboost.DMatrix(ROWS, ROWS[:, 1]), 3)
    trained.save_model(alone.model_dir / "model.ubj")
    expected = trained.predict(xgboost.DMatrix([ROW]))
    assert alone.ask([ROW]) == (200, pytest.approx(expected))


def test_rounds_beyond_the_best_are_left_out(alone, random):
    data = xgboost.DMatrix(ROWS, random.normal(size=60))
    unlike = xgboost.DMatrix(ROWS, random.normal(size=60))
    booster = xgboost.train(
        ALONE, data, 9, evals=[(unlike, "other")], early_stopping_rounds=3, verbose_eval=False
    )
    booster.save_model(alone.model_dir / "model.json")
    best = booster.predict(xgboost.DMatrix([ROW]), iteration_range=(0, booster.best_iteration + 1))
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    assert alone.ask([ROW]) == (200, pytest.approx(best))


def test_names_and_categories_are_the_models(alone, random):
    colours = pd.Categorical(random.choice(["blue", "red"], 60))
    sizes = pd.Categorical(random.choice([3, 7], 60))
    frame = pd.DataFrame({"colour": colours, "age": ROWS[:, 0], "size": sizes})
    labels = (colours == "red") * 5.0 + (sizes == 7)
    booster = xgboost.train(ALONE, xgboost.DMatrix(frame, labels, enable_categorical=True), 3)
    booster.save_model(alone.model_dir / "model.ubj")
    some = frame[:9].copy()
    expected = booster.predict(xgboost.DMatrix(some, enable_categorical=True))
    records = some.astype({"colour": str, "size": int})[["size", "age", "colour"]].to_dict("records")
    assert alone.ask(records) == (200, pytest.approx(expected))
    told = alone.refusal([{"size": 3, "age": 1, "colour": "pink"}])
    assert "column 1 (counted from 1) is 'pink'. The categories that the model knows are blue, red." in told
    assert alone.ask([{"size": None, "age": 1, "colour": None}])[0] == 200
    assert "are missing" in alone.refusal([{"sizes": 3, "age": 1, "colour": "red"}])
