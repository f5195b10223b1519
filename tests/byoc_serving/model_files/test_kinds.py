"""kinds: a file is known by its first bytes and its name, whatever else lies beside it."""

import pickle
import zipfile

import pytest

from byoc_serving.errors import ModelFileError
from byoc_serving.model_files.kinds import kind_of, predictor_of
from tiny_models import GOLDEN, put


@pytest.mark.parametrize(
    ("golden", "name", "kind"),
    [
        ("model.txt", "model.txt", "LightGBM text"),
        ("model.txt", "model.lgb", "LightGBM text"),
        ("model.json", "model.json", "XGBoost JSON or UBJ"),
        ("model.ubj", "model.ubj", "XGBoost JSON or UBJ"),
        ("model.ubj", "xgboost-model", "XGBoost JSON or UBJ"),
        ("model.onnx", "model.onnx", "ONNX"),
        ("model.skops", "model.skops", "skops"),
        ("model.skops", "model.zip", "skops"),
    ],
)
def test_what_a_library_wrote_is_known_under_other_names_too(tmp_path, golden, name, kind):
    assert kind_of(put(golden, tmp_path).rename(tmp_path / name)).name == kind


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model", pickle.dumps([1], 4)),
        ("model.bin", pickle.dumps([1], 2)),
        ("old.pkl", pickle.dumps([1], 0)),
        ("packed.joblib", b"x\x9c\x00"),
        ("packed.pkl.gz", b"\x1f\x8b\x08"),
    ],
)
def test_a_pickle_is_known_by_its_first_bytes_or_its_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert kind_of(tmp_path / name).name == "pickle"


def archive(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.pkl", pickle.dumps([1]))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.json", b'{"0": "benign"}'),
        ("notes.txt", b"trees\n"),
        ("empty", b""),
        ("graph", (GOLDEN / "model.onnx").read_bytes()),  # one byte of it is too little to go by
        ("weights.pt", None),
        ("cut.zip", b"PK\x03\x04"),
    ],
)
def test_other_files_are_no_models(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(archive(path) if content is None else content)
    assert kind_of(path) is None


@pytest.mark.parametrize("name", ["model.onnx", "model.ubj", "model.skops"])
def test_a_name_that_promises_what_the_bytes_are_not_is_an_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFileError, match=rf"{name} is no .* begins with b'version https://"):
        kind_of(tmp_path / name)


def test_what_has_no_predict_cannot_be_asked():
    assert predictor_of({}) is None
