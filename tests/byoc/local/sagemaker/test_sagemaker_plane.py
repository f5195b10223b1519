"""Whatever is posted is answered in JSON, never with a 5xx."""

import json

import pytest


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("SageMaker.CreateTransformJob", "CreateTransformJob"),
        ("SageMaker.Search", "Search"),
        ("SageMaker.UpdateTrainingJob", "UpdateTrainingJob"),
        ("SageMaker.MakeCoffee", "MakeCoffee"),
        ("DynamoDB_20120810.ListTables", "DynamoDB_20120810.ListTables"),
        ("", "POST /"),
    ],
)
def test_an_operation_that_is_not_there_is_named(post, target, named):
    status, answer = post(target)
    assert (status, answer["__type"]) == (400, "UnknownOperationException")
    assert f" {named} " in answer["message"]


def test_a_get_is_no_operation(post):
    assert post("SageMaker.ListModels", method="GET")[0] == 400


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 200_000, b'{"a": 1}}'])
def test_what_is_not_json_is_a_serialisation_error(post, body):
    status, answer = post("SageMaker.ListModels", body)
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_no_body_is_an_empty_request(post):
    assert post("SageMaker.ListModels", b"") == (200, {"Models": []})


def test_a_body_without_end_is_not_read_to_its_end(post):
    status, answer = post("SageMaker.ListModels", b" " * (4 * 1024 * 1024 + 1))
    assert (status, answer["__type"]) == (400, "ValidationException")


def test_our_own_fault_is_told_and_not_tried_again(post, world, caplog):
    world.store.close()
    status, answer = post("SageMaker.ListModels")
    assert (status, answer["__type"]) == (400, "InternalFailure")
    assert "ListModels" in answer["message"]
    assert "Traceback" not in json.dumps(answer)
    assert "ListModels failed" in caplog.text
