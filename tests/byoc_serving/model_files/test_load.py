"""load: the one model file of a folder is loaded, and what stands in the way is named with its remedy."""

import logging
import re
import sys

import pytest

from tiny_models import PREDICTED, ROW, onnx, put


def test_the_one_model_file_is_found_beside_others_and_in_a_folder(alone, caplog):
    caplog.set_level(logging.INFO)
    put("model.onnx", alone.model_dir / "v1")
    for name in ("labels.json", "v1/.model.txt", "code/model.txt", "manifest.jsonl"):
        (alone.model_dir / name).parent.mkdir(exist_ok=True)
        (alone.model_dir / name).write_text("tree\n" if name.endswith("txt") else "{}")
    assert alone.ask([ROW]) == (200, PREDICTED["model.onnx"])
    assert "apps/inference.py is missing: model.onnx is served by its library" in caplog.text


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            [],
            r"apps/inference\.py is missing, and .*model holds no file\. .* served: LightGBM text, XGBoost",
        ),
        (["weights.pt"], r"holds weights\.pt \(1 bytes\)\. Define model_fn\(model_dir\)"),
    ],
)
def test_without_a_model_file_the_message_says_what_is_there_and_what_could_be(alone, names, told):
    for name in names:
        (alone.model_dir / name).write_text("x")
    assert re.search(told, alone.failure())


def test_two_model_files_are_named(alone):
    put("model.onnx", alone.model_dir)
    put("model.txt", alone.model_dir)
    assert (
        "holds 2 model files: model.onnx (ONNX), model.txt (LightGBM text). Leave the one" in alone.failure()
    )


def test_a_script_that_was_asked_for_by_name_is_not_done_without(alone):
    put("model.onnx", alone.model_dir)
    with pytest.raises(Exception, match=r"apps/mine\.py is missing"):
        alone.invocations(program="mine.py").load()


def test_a_library_that_is_not_installed_is_named_with_where_to_put_it(alone, monkeypatch):
    put("model.ubj", alone.model_dir)
    monkeypatch.setitem(sys.modules, "xgboost", None)
    told = alone.failure()
    assert "model.ubj (XGBoost JSON or UBJ) needs xgboost, which is not installed" in told
    assert "apps/requirements.txt" in told


def test_what_its_library_cannot_load_is_named_with_the_reason(alone):
    (alone.model_dir / "model.onnx").write_bytes(onnx({}, {}, [])[:-4])
    assert "model.onnx (ONNX) cannot be loaded: InvalidProtobuf" in alone.failure()


def test_a_script_fills_in_what_it_has_and_leaves_the_rest(alone):
    put("model.onnx", alone.model_dir)
    (alone.folder / "apps").mkdir()
    script = alone.folder / "apps" / "inference.py"
    script.write_text(
        "def predict_fn(data, model):\n    return {'of': type(model).__name__, 'rows': len(data)}\n"
    )
    assert alone.ask([ROW]) == (200, {"of": "InferenceSession", "rows": 1})


def test_the_library_asks_what_a_users_model_fn_loaded(alone):
    put("model.onnx", alone.model_dir)
    (alone.folder / "apps").mkdir()
    (alone.folder / "apps" / "inference.py").write_text(
        "from onnxruntime import InferenceSession\n"
        "def model_fn(model_dir): return InferenceSession(model_dir + '/model.onnx')\n"
    )
    assert alone.ask([ROW]) == (200, PREDICTED["model.onnx"])
    assert alone.ask([ROW[:2]])[0] == 400
