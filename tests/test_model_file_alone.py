"""A model file without any code is served by its own library, behind either door."""

import pytest

from serving import program_with, serve
from tiny_models import PREDICTED, ROW, put


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The image's program with an empty apps/."""
    folder = tmp_path_factory.mktemp("without-code")
    (folder / "apps").mkdir()
    return program_with(folder / "apps", folder / "program")


def rounded(value):
    """Return a value with its numbers as two machines agree on them."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value


@pytest.mark.parametrize(
    ("name", "door"),
    [("model.txt", "fast"), ("model.ubj", "flask"), ("model.onnx", "fast"), ("model.skops", "flask")],
)
def test_a_model_file_alone_is_served_by_a_real_server(program, tmp_path, name, door):
    put(name, tmp_path / "model")
    with serve(program, tmp_path, MODEL_SERVER_WORKERS="1", MODEL_SERVER_DOOR=door) as running:
        running.wait_until_ready(60)
        status, answer = running.invoke([ROW])
        assert (status, rounded(answer)) == (200, rounded(PREDICTED[name]))
        status, answer = running.invoke([ROW[:2]])
        assert (status, answer["error"]["expected"]) == (400, 3)
