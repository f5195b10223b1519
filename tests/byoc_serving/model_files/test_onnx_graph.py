"""onnx_graph: a graph gets what it takes, as its inputs name and type it."""

import io

import numpy as np
import pytest

from byoc_serving.model_files import onnx_graph
from byoc_serving.settings import Settings
from tiny_models import BOOL, FLOAT, INT64, STRING, onnx, put


@pytest.fixture
def graph(alone):
    """A function that writes a graph; `alone` serves it."""

    def write(inputs, outputs, nodes):
        (alone.model_dir / "model.onnx").write_bytes(onnx(inputs, outputs, nodes))

    return write


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("element", "shape", "sent", "becomes"),
    [
        (FLOAT, [None, 2], [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (FLOAT, [None], [[1, 2, 3]], [1, 2, 3]),
        (FLOAT, [None, 1, 2], [[[1, 2]], [[3, 4]]], [[[1, 2]], [[3, 4]]]),
        (FLOAT, [None, 2], {"X": [[1, 2]]}, [[1, 2]]),
        (INT64, [None, 2], [[1, 2]], [[1, 2]]),
        (BOOL, [None, 2], [[True, 0]], [[True, False]]),
        (STRING, [None, 2], [["a", "b"]], [["a", "b"]]),
        (STRING, [None], ["a", "b"], ["a", "b"]),
    ],
)
def test_one_input_gets_the_data_in_its_type_and_shape(alone, graph, element, shape, sent, becomes):
    graph({"X": (element, shape)}, {"Y": (element, shape)}, [("Identity", "X", "Y")])
    assert alone.ask(sent) == (200, becomes)


@pytest.mark.parametrize(
    ("element", "shape", "sent", "told"),
    [
        (FLOAT, [None, 2], [[1, 2, 3]], "The model takes 2."),
        (FLOAT, [1, 2], [[1, 2], [3, 4]], "input X has the shape [1, 2], and [2, 2] was sent"),
        (FLOAT, [None, 1, 2], [[1, 2]], "input X has the shape [any, 1, 2], and [1, 2] was sent"),
        (FLOAT, [None, 2], [["a", 2]], "Row 1, column 1 (counted from 1) is 'a'"),
        (FLOAT, [None, 2], {"X": [[1], [2, 3]]}, "The lists for X differ in length"),
        (INT64, [None, 2], [[1, 2.5]], "input X takes int64, and no other numbers"),
        (INT64, [None, 2], [[1, None]], "input X takes int64, and no other numbers"),
    ],
)
def test_what_the_input_cannot_take_is_refused(alone, graph, element, shape, sent, told):
    graph({"X": (element, shape)}, {"Y": (element, shape)}, [("Identity", "X", "Y")])
    assert told in alone.refusal(sent)


def test_several_inputs_get_arrays_keys_or_columns_of_their_names(alone, graph):
    inputs = {"age": (FLOAT, [None, 1]), "size": (FLOAT, [None, 1])}
    graph(inputs, {"Y": (FLOAT, [None, 1])}, [("Sub", "age size", "Y")])
    expected = (200, [[2], [3]])
    assert alone.ask([{"size": 3, "age": 5}, {"size": 4, "age": 7}]) == expected
    assert alone.ask({"size": [3, 4], "age": [5, 7]}) == expected
    assert alone.ask([[5, 3], [7, 4]]) == expected
    body = npz(size=np.array([[3], [4]]), age=np.array([5.0, 7.0]))
    assert alone.ask(body, "application/x-npz") == expected
    assert "The model takes age, size." in alone.refusal([{"age": 1, "weight": 2}])
    assert "The model takes age, size." in alone.refusal([[1, 2, 3]])


def test_several_outputs_are_answered_by_their_names(alone, graph):
    outputs = {"down": (FLOAT, [None, 1]), "same": (FLOAT, [None, 1])}
    graph({"X": (FLOAT, [None, 1])}, outputs, [("Neg", "X", "down"), ("Identity", "X", "same")])
    assert alone.ask([[3]]) == (200, {"down": [[-3]], "same": [[3]]})


def test_a_session_has_the_threads_of_its_worker(tmp_path):
    path = put("model.onnx", tmp_path)
    session = onnx_graph.load(path, Settings(library_threads=3))
    assert session.get_session_options().intra_op_num_threads == 3
    assert session.get_providers() == ["CPUExecutionProvider"]
