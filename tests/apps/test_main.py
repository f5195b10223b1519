"""The sample's main.py trains, keeps, uploads; its inference.py serves what was kept."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import numpy as np
import pytest

import breast_cancer
import inference
import main
from aws_fence import NOBODYS_AWS
from byoc.local.launch import Asked, embedded
from byoc_serving.conformity import Conformity
from byoc_serving.errors import AlgorithmError
from byoc_serving.model_version import describe, read_schema

QUICK_LEARNING = """
from types import SimpleNamespace
import numpy as np
def load_data(folder):
    return SimpleNamespace(rows=np.zeros((3, 2)), held_out_rows=[[1, 2]], names=None)
def fit(data, rounds, learning_rate, progress):
    return SimpleNamespace(save_model=lambda file: file.write_text("tree"))
def evaluate(model, data):
    return {"accuracy": 0.5}
"""

PROGRAM = Path(main.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model_dir = tmp_path_factory.mktemp("model")
    return model_dir, main.train(model_dir, {}, {})


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A copy of the image's program, so that no test touches the user's .temps/."""
    program = tmp_path_factory.mktemp("image") / "program"
    shutil.copytree(PROGRAM, program, ignore=shutil.ignore_patterns(".temps", "__pycache__"))
    return program


@pytest.fixture(scope="module")
def quick_program(program, tmp_path_factory):
    """The same with a machine learning that takes no time."""
    quick = tmp_path_factory.mktemp("image") / "program"
    shutil.copytree(program, quick)
    (quick / "apps" / "breast_cancer.py").write_text(QUICK_LEARNING)
    return quick


def run(program, *arguments, **environment):
    return subprocess.run(
        [sys.executable, str(program / "apps" / "main.py"), *arguments],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], **NOBODYS_AWS, **environment},
        check=False,
    )


def test_the_sample_is_right_on_over_nine_of_ten_held_out_rows(trained):
    _, description = trained
    assert description["metrics"]["accuracy"] > 0.9


def test_training_again_gives_the_same_model(trained, tmp_path):
    model_dir, _ = trained
    main.train(tmp_path, {}, {})
    assert (tmp_path / "model.txt").read_bytes() == (model_dir / "model.txt").read_bytes()


def test_hyperparameters_are_obeyed_as_text_and_as_numbers(tmp_path):
    for place, rounds in enumerate(["3", 3]):
        (tmp_path / str(place)).mkdir()
        main.train(tmp_path / str(place), {}, {"rounds": rounds})
        assert inference.model_fn(str(tmp_path / str(place))).num_trees() == 3


def test_a_train_channel_replaces_the_samples_own_data(tmp_path):
    channel = tmp_path / "train"
    channel.mkdir()
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(200, 4))
    table = np.column_stack([rows[:, 0] > 0, rows])
    np.savetxt(channel / "a.csv", table[:120], delimiter=",")
    np.savetxt(channel / "b.csv", table[120:], delimiter=",")
    assert main.train(tmp_path, {"train": channel}, {"rounds": 5})["n_features"] == 4


def test_a_train_channel_without_csv_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} has no \*\.csv"):
        main.train(tmp_path, {"train": tmp_path}, {})


def test_what_train_returns_is_fit_for_a_manifest(trained):
    model_dir, description = trained
    manifest = describe(model_dir, **description)
    assert manifest.n_features == 30
    assert not manifest.allow_nan
    assert {"lightgbm", "scikit-learn"} <= set(manifest.libraries)


def test_the_schema_names_the_columns_and_holds_rows_that_were_held_out(trained):
    model_dir, _ = trained
    columns = read_schema(model_dir)
    assert (columns[0].name, len(columns)) == ("mean radius", 30)
    Conformity(columns).enforce(breast_cancer.load_data().held_out_rows)


def test_predictions_are_probabilities_of_malignant(trained):
    model_dir, _ = trained
    data = breast_cancer.load_data()
    probabilities = inference.predict_fn(data.held_out_rows, inference.model_fn(str(model_dir)))
    assert probabilities.shape == (114,)
    assert probabilities[data.held_out_labels == 1].mean() > 0.9
    assert probabilities[data.held_out_labels == 0].mean() < 0.1


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"{}", b"tree\nversion=v4\nend of"])
@pytest.mark.bad_input
def test_a_file_of_the_wrong_kind_is_refused_by_name(tmp_path, content):
    (tmp_path / "model.txt").write_bytes(content)
    with pytest.raises(ValueError, match=rf"{tmp_path}/model\.txt is not a whole LightGBM text model"):
        inference.model_fn(str(tmp_path))


def test_a_model_cut_off_in_the_middle_is_refused_and_does_not_end_the_process(trained, tmp_path):
    model_dir, _ = trained
    whole = (model_dir / "model.txt").read_bytes()
    (tmp_path / "model.txt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a whole LightGBM"):
        inference.model_fn(str(tmp_path))


def test_the_script_keeps_the_model_and_its_manifest(program):
    done = run(program)
    assert done.returncode == 0, done.stderr
    kept = program / "apps" / ".temps" / "model"
    assert sorted(file.name for file in kept.iterdir()) == ["manifest.json", "model.txt", "schema.json"]
    assert json.loads((kept / "manifest.json").read_text())["name"] == "breast-cancer"
    assert done.stdout.startswith("accuracy 0.9")
    assert "round 100 of 100" in done.stderr
    assert "\r" not in done.stderr


def test_the_script_uploads_and_says_where_and_with_which_digest_last(quick_program):
    with embedded(Asked(port=0), os.environ) as aws:
        environment = aws.environment()
        boto3.client("s3", **_client_arguments(environment)).create_bucket(Bucket="models")
        done = run(quick_program, "--upload", "s3://models/of/us", **environment)
    assert done.returncode == 0, done.stderr
    version, digest = done.stdout.splitlines()[-2:]
    assert version.startswith("model_version=s3://models/of/us/breast-cancer/")
    assert len(digest.removeprefix("model_manifest_sha256=")) == 64


def _client_arguments(environment):
    return {
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
    }


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("destination", "told"),
    [
        ("models", "Bad location: 'models'"),
        ("s3://nowhere-at-all/of/us", "No such bucket: s3://nowhere-at-all/"),
    ],
)
def test_a_destination_that_is_none_is_the_only_line_and_nothing_is_trained(
    quick_program, s3, destination, told
):
    done = run(quick_program, "--upload", destination, **s3.env)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith(f"main.py: {told}")


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("None", "trained; kept in "),
        ("{}", "trained; kept in "),
        ("{'metrics': {'a': 'x', 'b': {'c': 1}}}", "a x, b {'c': 1}; kept in "),
    ],
)
def test_what_train_may_return_to_the_image_it_may_return_to_the_script(
    quick_program, tmp_path, returned, told
):
    program = tmp_path / "program"
    shutil.copytree(quick_program, program)
    source = (program / "apps" / "main.py").read_text()
    start, end = source.index('    return {\n        "name"'), source.index("def show_progress")
    (program / "apps" / "main.py").write_text(f"{source[:start]}    return {returned}\n\n\n{source[end:]}")
    done = run(program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(told)


@pytest.mark.parametrize(
    ("raised", "remedy"),
    [
        ("OSError('libgomp.so.1: cannot open shared object file')", "apt-get install libgomp1"),
        ("ModuleNotFoundError(\"No module named 'lightgbm'\")", "pip install -r"),
    ],
)
def test_a_missing_library_is_named_with_its_remedy(program, tmp_path, raised, remedy):
    (tmp_path / "lightgbm.py").write_text(f"raise {raised}")
    done = run(program, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr


def test_the_missing_library_is_an_error_that_train_reports_too(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "breast_cancer", None)
    with pytest.raises(AlgorithmError, match="pip install"):
        main.train(tmp_path, {}, {})
