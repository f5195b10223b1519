import math
import os
import pickle
import re
import socket

import numpy as np
import pandas as pd
import pytest

from byoc_serving.errors import ModelVersionError
from byoc_serving.model_version import describe, describe_trained
from byoc_serving.versions.libraries import installed_libraries, required_libraries
from byoc_serving.versions.manifest import manifest_bytes, parse_manifest
from byoc_serving.versions.parts import digest_file, part_size_for


class Trained:
    """Given to `__main__` by a test below."""


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.txt").write_bytes(b"0123456789")
    return folder


def test_a_description_can_be_written_and_read_back(model):
    manifest = describe(
        model,
        name="m",
        metrics={"accuracy": np.float64(0.5), "matrix": np.eye(2), "auc": math.nan},
        content_types=["text/csv"],
        n_features=np.int64(3),
        allow_nan=np.bool_(False),
        sample_rows=np.array([[1.5, math.nan, 3.0]]),
    )
    assert parse_manifest(manifest_bytes(manifest)) == manifest
    assert manifest.metrics == {"accuracy": 0.5, "matrix": [[1.0, 0.0], [0.0, 1.0]], "auc": None}
    assert manifest.sample_rows == ([1.5, None, 3.0],)
    assert (manifest.n_features, manifest.allow_nan) == (3, False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest.created)


@pytest.mark.parametrize("value", [math.inf, object(), {1, 2}, b"x"])
def test_a_value_that_json_has_no_form_for_is_refused(model, value):
    with pytest.raises(ModelVersionError, match=r"^metrics holds "):
        describe(model, name="m", metrics={"x": value})


def test_the_rows_of_a_data_frame_are_taken_not_its_columns(model):
    frame = pd.DataFrame({"age": [1.5, math.nan], "sex": ["f", "m"]})
    assert describe(model, name="m", sample_rows=frame).sample_rows == ([1.5, "f"], [None, "m"])
    assert describe(model, name="m", sample_rows=frame[["age"]]).sample_rows == ([1.5], [None])


@pytest.mark.parametrize("rows", [{"age": [1]}, "1,2", b"1,2"])
def test_sample_rows_that_are_no_rows_are_refused(model, rows):
    with pytest.raises(ModelVersionError, match=r"^sample_rows is .* Give a list of rows"):
        describe(model, name="m", sample_rows=rows)


def test_what_train_leaves_out_is_as_the_contract_says(model):
    manifest = describe_trained(model, None)
    assert (manifest.name, manifest.metrics, manifest.content_types) == ("model", {}, ())
    assert (manifest.n_features, manifest.allow_nan, manifest.sample_rows) == (None, True, ())


def test_files_are_digested_whole_and_in_parts(model):
    digest = digest_file(model / "model.txt", part_size=4)
    assert (digest.size, len(digest.parts)) == (10, 3)
    assert digest_file(model / "model.txt", part_size=10).parts == (digest.sha256,)
    (model / "model.txt").write_bytes(b"")
    assert digest_file(model / "model.txt").parts == ()


def test_a_huge_file_gets_parts_large_enough_for_s3s_10000():
    assert part_size_for(0) == 32 << 20
    assert part_size_for(1 << 40) == 128 << 20


def test_an_empty_folder_is_no_model(tmp_path):
    with pytest.raises(ModelVersionError, match=r"^No model: "):
        describe(tmp_path, name="m")


def test_a_file_is_told_from_a_folder_and_from_nothing(model):
    with pytest.raises(ModelVersionError, match=r"^No model: .*/model\.txt is a file, not a folder\. Give"):
        describe(model / "model.txt", name="m")
    with pytest.raises(ModelVersionError, match=r"^No model: .*/nothing is not there"):
        describe(model / "nothing", name="m")


def test_links_are_refused(model):
    (model / "sub" / "link").symlink_to(model / "model.txt")
    with pytest.raises(ModelVersionError, match=r"^Path 'sub/link' is a link"):
        describe(model, name="m")


def test_a_linked_folder_is_refused(model, tmp_path):
    (model / "folder").symlink_to(tmp_path)
    with pytest.raises(ModelVersionError, match=r"^Path 'folder' is a link"):
        describe(model, name="m")


def test_what_is_neither_file_nor_folder_is_refused(model):
    os.mkfifo(model / "pipe")
    with pytest.raises(ModelVersionError, match=r"^Path 'pipe' is neither"):
        describe(model, name="m")
    (model / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(model / "s"))
        with pytest.raises(ModelVersionError, match=r"^Path 's' is neither"):
            describe(model, name="m")


@pytest.mark.parametrize("name", ["a\\b", "new\nline", b"\xff".decode(errors="surrogateescape")])
def test_names_that_do_not_travel_are_refused(model, name):
    (model / name).write_text("x")
    with pytest.raises(ModelVersionError, match="does not travel"):
        describe(model, name="m")


def test_the_staging_folder_of_a_killed_run_is_refused(model):
    (model / ".byoc-staging-1").mkdir()
    (model / ".byoc-staging-1" / "x").write_text("x")
    with pytest.raises(ModelVersionError, match="is reserved"):
        describe(model, name="m")


def test_a_manifest_json_that_is_not_ours_is_refused(model):
    (model / "manifest.json").write_text('{"short_name": "a web app"}')
    with pytest.raises(ModelVersionError, match=r"^Path 'manifest\.json' is reserved"):
        describe(model, name="m")


def test_a_pickle_from_main_is_refused(model, monkeypatch):
    import __main__

    monkeypatch.setattr(Trained, "__module__", "__main__")
    monkeypatch.setattr(__main__, "Trained", Trained, raising=False)
    (model / "sub" / "pipeline.pkl").write_bytes(pickle.dumps(Trained()))
    with pytest.raises(ModelVersionError, match=r"sub/pipeline\.pkl refers to 'Trained'"):
        describe(model, name="m")


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "a" * 64, "naïve"])
def test_a_name_that_cannot_stand_in_a_key_is_refused(model, name):
    with pytest.raises(ModelVersionError, match="has the name"):
        describe(model, name=name)


def test_the_libraries_are_those_of_the_requirements_that_are_installed(tmp_path):
    (tmp_path / "r.txt").write_text(
        "# comment\n\nlightgbm>=4\nScikit_Learn[x]==1.0 ; python_version > '3'\n"
        "-r other.txt\n--pre\nnot-installed\n"
    )
    names = required_libraries(tmp_path / "r.txt")
    assert names == ["lightgbm", "Scikit_Learn", "not-installed"]
    assert set(installed_libraries(names)) == {"lightgbm", "scikit-learn", "numpy"}
    assert required_libraries(tmp_path / "none.txt") == []


def test_libraries_can_be_given_by_name_or_with_their_versions(model):
    assert set(describe(model, name="m", libraries=["joblib"]).libraries) == {"joblib", "numpy"}
    assert describe(model, name="m", libraries={"x": "1"}).libraries == {"x": "1"}
    assert "lightgbm" in describe(model, name="m").libraries
