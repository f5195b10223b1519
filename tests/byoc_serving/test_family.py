"""A parent chooses the child of each row, and the caller sees one model, through both doors."""

import gc
import json
import weakref

import numpy as np
import pytest

from byoc_serving.model_version import write_schema
from byoc_serving.settings import Settings
from flask_server import DOORS, apps_with, own_imports
from predictor import create_app

# The parent sends a row to the child whose number its first cell is; children add their number to the second.
SCRIPT = """
import json, pathlib
from byoc_serving.errors import BadRequestError

def model_fn(model_dir):
    told = json.loads(pathlib.Path(model_dir, "model.json").read_text())
    with (pathlib.Path(model_dir).parents[1] / "loads").open("a") as file:
        file.write(pathlib.Path(model_dir).name)
    if told.get("broken"):
        raise OSError("upside down")
    return {**told, "ballast": b"x" * (told.get("mb", 0) << 20)}

def predict_fn(data, model):
    if model.get("chooses"):
        return data[:, 0]
    for row, (_, value) in enumerate(data.tolist()):
        if value == -1:
            raise BadRequestError(f"Row {row + 1} has a negative age.", row=row + 1)
        if value == -2:
            raise KeyError("secret")
        if value == -3:
            return [0.0] * 5
    return data[:, 1] + model["number"]
"""
ROUTES = {
    "format": "byoc-routes/1",
    "parent": "models/parent",
    "children": [{"name": name, "path": f"models/{name}"} for name in ("a", "b", "c")],
}


def write_version(folder, routes=ROUTES, **models):
    """Write a model version of a parent and three children, the last of which cannot be loaded."""
    told = {"parent": {"chooses": True}, "a": {"number": 10}, "b": {"number": 20}, "c": {"broken": True}}
    for name, model in (told | models).items():
        (folder / "models" / name).mkdir(parents=True)
        (folder / "models" / name / "model.json").write_text(json.dumps(model))
    (folder / "routes.json").write_text(json.dumps(routes))
    return folder


@pytest.fixture(params=DOORS)
def family(request, tmp_path):
    """A function that serves a family, for the time of the test."""
    with own_imports():
        folder = write_version(tmp_path / "ml" / "model")
        settings = Settings(base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, SCRIPT))
        with DOORS[request.param](create_app(settings)) as caller:
            caller.loads = folder / "loads"
            yield caller


def test_each_row_is_answered_by_its_child_in_order_and_children_load_when_first_needed(family):
    assert family.invoke("[[1, 1]]").json == [21.0]
    assert family.loads.read_text() == "parentb"
    assert family.invoke("[[0, 1], [1, 2], [0, 3], [1, 4]]").json == [11.0, 22.0, 13.0, 24.0]
    assert family.invoke("0,1\n1,2\n", "text/csv", "text/csv").body == b"11.0\n22.0\n"
    assert family.loads.read_text() == "parentba"


@pytest.mark.bad_input
def test_what_is_wrong_with_a_row_is_told_by_its_place_in_the_request(family):
    got = family.invoke("[[0, 1], [7, 1]]")
    assert (got.status, got.error["code"], got.error["row"]) == (422, "Unprocessable", 2)
    got = family.invoke("[[0, 1], [1, 5], [0, -1]]")
    assert (got.status, got.error["message"], got.error["row"]) == (400, "Row 3 has a negative age.", 3)
    assert family.invoke('{"input": 1}').status == 400


def test_a_child_that_fails_fails_the_request_and_is_named(family):
    got = family.invoke("[[0, 1], [1, 5], [1, -2]]")
    assert got.status == 500
    assert got.error["message"].startswith("The child model 'b' failed, for row 2, 3; its traceback is")
    assert "secret" not in got.body.decode()
    got = family.invoke("[[2, 1], [1, 5]]")
    assert (got.status, "The child model 'c' failed, for row 1" in got.error["message"]) == (500, True)
    assert "'c' failed, for all rows" in family.invoke("[[2, 1]]").error["message"]
    assert "'b' failed, for all rows" in family.invoke("[[1, -3]]").error["message"]
    assert family.invoke("[[1, 1]]").json == [21.0]


@pytest.mark.parametrize("door", DOORS)
def test_one_schema_binds_the_rows_of_all_children_and_what_fails_gets_the_placeholder(tmp_path, door):
    write_schema(write_version(tmp_path / "ml" / "model"), np.array([[0.0, -9.0], [8.0, 9.0]]))
    settings = Settings(
        base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, SCRIPT), schema="enforce", bad_record="BAD"
    )
    with own_imports(), DOORS[door](create_app(settings)) as caller:
        # In order: answered, outside the schema, no such child, a child that does not load, answered.
        got = caller.invoke("0,1\n1,10\n7,1\n2,1\n1,2\n", "text/csv", "text/csv")
        assert (got.status, got.body) == (200, b"11.0\nBAD\nBAD\nBAD\n22.0\n")
        assert caller.invoke("[[0, 1], [1, 10]]").error["row"] == 2


def served(tmp_path, script=SCRIPT, routes=ROUTES, **models):
    """Return what calls a family without a server; `models` are what its files say."""
    write_version(tmp_path / "ml" / "model", routes, **models)
    settings = Settings(base_dir=tmp_path / "ml", apps_dir=apps_with(tmp_path, script), models_mb=120)
    client = create_app(settings).test_client()
    return lambda rows: client.post("/invocations", json=rows)


def test_children_leave_memory_for_others_and_come_back(tmp_path):
    with own_imports():
        invoke = served(tmp_path, a={"number": 10, "mb": 80}, b={"number": 20, "mb": 80})
        for _ in range(2):
            assert invoke([[0, 1], [1, 1]]).json == [11.0, 21.0]
    assert (tmp_path / "ml" / "model" / "loads").read_text() == "parentabab"


def test_route_fn_chooses_without_a_parent(tmp_path):
    script = (
        SCRIPT + "\ndef route_fn(data, model):\n    return ['b' if row[1] > 5 else 'a' for row in data]\n"
    )
    with own_imports():
        invoke = served(tmp_path, script, ROUTES | {"parent": None})
        assert invoke([[0, 1], [0, 9]]).json == [11.0, 29.0]


def test_a_table_of_one_row_is_a_single_model_whatever_its_data_are(tmp_path):
    script = SCRIPT + "\ndef predict_fn(data, model):\n    return {'number': model['number'], 'got': data}\n"
    one = {"format": "byoc-routes/1", "children": [{"name": "a", "path": "models/a"}]}
    with own_imports():
        got = served(tmp_path, script, one)({"input": 1}).json
    assert got == {"number": 10, "got": {"input": 1}}


def test_among_many_models_a_family_is_called_and_dropped_with_its_children(tmp_path):
    folder = write_version(tmp_path / "versions" / "one")
    with own_imports():
        app = create_app(Settings(apps_dir=apps_with(tmp_path, SCRIPT), base_dir=tmp_path, multi_model=True))
        client, copies = app.test_client(), app.extensions["models"].copies
        assert client.post("/models", json={"model_name": "one", "url": f"{folder}/"}).status_code == 200
        assert client.post("/models/one/invoke", json=[[1, 1], [0, 1]]).json == [21.0, 11.0]
        assert sorted(copies.labels) == ["one", "one/a", "one/b"]
        assert client.delete("/models/one").status_code == 200
        assert copies.labels == []


def test_a_family_leaves_memory_after_its_children_and_is_free_then(tmp_path):
    folder = write_version(tmp_path / "versions" / "one")
    with own_imports():
        app = create_app(Settings(base_dir=tmp_path, apps_dir=apps_with(tmp_path, SCRIPT), multi_model=True))
        client, models = app.test_client(), app.extensions["models"]
        client.post("/models", json={"model_name": "one", "url": f"{folder}/"})
        client.post("/models/one/invoke", json=[[1, 1]])
        child = models.copies.take_if_here(next(key for key in models.copies._copies if key != "one"))
        family = weakref.ref(models.copies._copies["one"].value.loading.load().model)
        assert family()
        assert models.copies._let_one_leave()
        gc.collect()
        assert (models.copies.labels, family()) == (["one/b"], None)
        models.copies.release(child)
        client.post("/models/one/invoke", json=[[1, 1]])
        assert [models.copies._let_one_leave() for _ in range(4)] == [True, True, True, False]
        client.delete("/models/one")
        assert models.copies._sizes == {}


@pytest.mark.parametrize(
    ("script", "routes", "said"),
    [
        (SCRIPT, {"parent": None}, "no route_fn(data, model). Give one of them"),
        (SCRIPT, {"parent": "models/gone"}, "names the folder 'models/gone'"),
        (SCRIPT, {"format": "x"}, "is not of the format"),
        ("def model_fn(d): ...\ndef transform_fn(m, d, c, a): ...\n", {}, "has transform_fn"),
    ],
)
def test_a_family_that_cannot_be_served_says_why(tmp_path, script, routes, said):
    with own_imports():
        got = served(tmp_path, script, ROUTES | routes)([[0, 1]])
        assert got.status_code == 503
        assert said in got.json["error"]["message"]
