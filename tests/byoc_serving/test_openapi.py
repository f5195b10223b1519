"""openapi: the document is valid, and says of the model version what serving goes by."""

import json
import sys

import jsonschema
import pytest
from openapi_spec_validator import validate

from byoc_serving.conformity import Conformity
from byoc_serving.formats.codecs import decode
from byoc_serving.formats.negotiation import media_type
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
    content = made["paths"]["/invocations"]["post"]["requestBody"]["content"]
    return {**content["application/json"]["schema"], "components": made["components"]}


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


TWO = {"columns": ["age", "colour"], "data": [[20, "red"]]}
NUMBERS = [Column("age", "integer", False, 18, 99), Column("weight", "number", True, 0, 9)]


@pytest.mark.parametrize("is_enforced", [False, True])
@pytest.mark.parametrize(
    ("value", "columns"),
    [
        ([20, 3.5], NUMBERS),
        ({"inputs": [20, None]}, NUMBERS),
        (TWO, COLUMNS),
        ({"columns": ["colour", "age"], "index": [7], "data": [["red", 20]]}, COLUMNS),
        ({"dataframe_split": TWO}, COLUMNS),
        ({"dataframe_records": [{"age": 20, "colour": None}]}, COLUMNS),
    ],
)
def test_each_form_of_a_table_that_is_taken_fits(manifest, value, columns, is_enforced):
    served = Served(manifest, columns, is_enforced)
    assert fits(value, body_schema(served))
    data = decode(json.dumps(value).encode(), media_type("application/json"), 2)
    Conformity(columns).enforce(data)


@pytest.mark.parametrize("value", [[1, 2], {"columns": ["a", "b"], "data": [[1, 2]]}, [{"a": 1, "b": None}]])
def test_where_no_names_are_known_any_fit(manifest, value):
    assert fits(value, body_schema(Served(manifest)))


@pytest.mark.parametrize(
    "value", [[20, "red"], {**TWO, "more": 1}, {"columns": ["age", "size"], "data": [[20, 1]]}]
)
def test_what_is_no_table_of_the_schema_does_not_fit(manifest, value):
    assert not fits(value, body_schema(Served(manifest, COLUMNS, True)))


def test_formats_whose_library_is_missing_are_not_listed(monkeypatch):
    def listed():
        call = document(ROUTES, Served())["paths"]["/invocations"]["post"]
        return call["requestBody"]["content"].keys(), call["responses"]["200"]["content"].keys()

    assert all({"application/x-parquet", "application/x-npy"} <= formats for formats in listed())
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert all("application/x-npy" in formats for formats in listed())
    assert not any("parquet" in name or "arrow" in name for formats in listed() for name in formats)


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
    for path in ("/models", "/models/{name}"):
        for operation in paths[path].values():
            assert {"413", "502", "503", "504"} <= operation["responses"].keys()
    assert [one["name"] for one in paths["/models"]["get"]["parameters"]] == ["next_page_token"]


def test_what_is_told_of_a_status_is_whole_sentences():
    for status, answer in document(ROUTES, Served())["paths"]["/invocations"]["post"]["responses"].items():
        assert answer["description"][0].isupper(), status
        assert answer["description"].endswith("."), status
