"""The /opt/ml that a program finds is SageMaker's."""

import json
import os

import pytest

from byoc.runtime import opt_ml


def test_training_finds_its_configuration_and_channels(tmp_path):
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.csv").write_text("1,2\n")
    tree = opt_ml.lay_out_training(tmp_path / "ml", {"rounds": "3"}, {"train": tmp_path / "rows"})
    configuration = {file.name: json.loads(file.read_text()) for file in tree.configuration.iterdir()}
    assert configuration["hyperparameters.json"] == {"rounds": "3"}
    assert configuration["inputdataconfig.json"]["train"]["TrainingInputMode"] == "File"
    assert configuration["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert (tmp_path / "ml/input/data/train/a.csv").read_text() == "1,2\n"
    assert list(tree.model.iterdir()) == []
    assert tree.failure == tmp_path / "ml/output/failure"
    assert tree.failure.parent.is_dir()


def test_serving_finds_the_trained_model_read_only(tmp_path):
    trained = opt_ml.lay_out_training(tmp_path / "train", {})
    (trained.model / "deep").mkdir()
    (trained.model / "deep" / "model.txt").write_text("tree")
    tree = opt_ml.lay_out_serving(tmp_path / "serve", trained.model)
    assert (tree.model / "deep" / "model.txt").read_text() == "tree"
    assert not trained.model.exists()
    modes = [path.stat().st_mode & 0o222 for path in [tree.model, *tree.model.rglob("*")]]
    assert modes == [0, 0, 0]


def test_a_read_only_tree_can_be_removed_twice(tmp_path):
    trained = opt_ml.lay_out_training(tmp_path / "train", {})
    (trained.model / "model.txt").write_text("tree")
    opt_ml.lay_out_serving(tmp_path / "serve", trained.model)
    opt_ml.remove(tmp_path / "serve")
    opt_ml.remove(tmp_path / "serve")
    assert not (tmp_path / "serve").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_nobody_writes_into_a_served_model(tmp_path):
    trained = opt_ml.lay_out_training(tmp_path / "train", {})
    tree = opt_ml.lay_out_serving(tmp_path / "serve", trained.model)
    with pytest.raises(PermissionError):
        (tree.model / "new").touch()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into any folder")
def test_a_tree_that_a_program_has_shut_can_be_removed(tmp_path):
    (tmp_path / "ml" / "shut" / "deep").mkdir(parents=True)
    (tmp_path / "ml" / "shut").chmod(0o000)
    opt_ml.remove(tmp_path / "ml")
    assert not (tmp_path / "ml").exists()


def test_what_is_another_users_is_left_without_a_word(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("of root, who made it in a container")

    (tmp_path / "ml" / "deep").mkdir(parents=True)
    monkeypatch.setattr("pathlib.Path.chmod", refuse)
    opt_ml.remove(tmp_path / "ml")
