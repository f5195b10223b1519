"""openapi: the document is valid, and says of the model version what serving goes by."""

import jsonschema
import pytest
from openapi_spec_validator import validate

from byoc_serving.openapi import Route, Served, document
from byoc_serving.versions.manifest import read_manifest
from byoc_serving.versions.schema import Column
from flask_server import write_manifest

ROUTES = (
    Route("/ping", ["GET", "POST"], "Say whether requests are answered."),
    Route("/invocations", ["POST"], "Predict."),
    Route("/execution-parameters", ["GET"], "Say what batch transform may send."),
    Route("/models", ["GET", "POST"], "Load or list models."),
    Route("/models/{name}", ["GET", "DELETE"], "Unload a model.", ["name"]),
    Route("/models/{name}/invoke", ["POST"], "Predict by one of the models.", ["name"]),
    Route("/others/{name}", ["GET"], "Something else.", ["name"]),
)
COLUMNS = (Column("age", "integer", False, 18, 99), Column("colour", "string", True, enum=("blue", "red")))


@pytest.fixture
def manifest(tmp_path):
    write_manifest(tmp_path, sample_rows=([20, "red"], [30, None]))
    return read_manifest(tmp_path)


def body_schema(served):
    made = document(ROUTES, served)
    validate(made)
    return made["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["schema"]


def fits(value, schema):
    return jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize("columns", [None, COLUMNS])
@pytest.mark.parametrize("is_enforced", [False, True])
def test_the_document_is_valid_and_names_the_version(manifest, columns, is_enforced):
    made = document(ROUTES, Served(manifest, columns, is_enforced))
    validate(made)
    assert made["info"] == {"title": "model", "version": manifest.version}
    assert set(made["paths"]) == {route.path for route in ROUTES}


def test_without_a_version_any_json_fits(manifest):
    assert fits("some text", body_schema(Served()))


@pytest.mark.parametrize(
    "value", [[[20, "red"]], {"instances": [[20, None]]}, [{"age": 20, "colour": "blue"}]]
)
def test_rows_of_the_schema_fit_in_each_shape(manifest, value):
    assert fits(value, body_schema(Served(manifest, COLUMNS, True)))


@pytest.mark.parametrize("value", [[[17, "red"]], [[20, "green"]], [[20]], [{"age": 20}], [], "text"])
def test_what_an_enforced_schema_refuses_does_not_fit(manifest, value):
    assert not fits(value, body_schema(Served(manifest, COLUMNS, True)))


def test_a_range_that_is_not_enforced_is_told_and_does_not_bind(manifest):
    schema = body_schema(Served(manifest, COLUMNS))
    assert fits([[17, None]], schema)
    assert "minimum 18, maximum 99" in str(schema)


def test_the_number_of_columns_alone_binds_too(manifest):
    schema = body_schema(Served(manifest))
    assert fits([[1, 2]], schema)
    assert not fits([[1, 2, 3]], schema)


def test_the_sample_rows_are_examples_in_each_format_of_text(manifest):
    content = document(ROUTES, Served(manifest))["paths"]["/invocations"]["post"]["requestBody"]["content"]
    shown = {
        name: body["examples"]["sample rows"]["value"]
        for name, body in content.items()
        if body.get("examples")
    }
    assert shown["application/json"] == [[20, "red"], [30, None]]
    assert shown["text/csv"] == "20,red\n30,\n"
    assert shown["application/jsonlines"] == '[20,"red"]\n[30,null]\n'


def test_one_of_many_models_takes_and_answers_what_a_single_one_does_and_404():
    paths = document(ROUTES, Served())["paths"]
    single, one = paths["/invocations"]["post"], paths["/models/{name}/invoke"]["post"]
    assert one["requestBody"] == single["requestBody"]
    assert one["responses"].keys() - single["responses"].keys() == {"404"}
    assert {"200", "409", "507"} <= paths["/models"]["post"]["responses"].keys()
