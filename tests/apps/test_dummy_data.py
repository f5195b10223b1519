"""dummy_data/ is the held-out split of the sample, so that no model is judged on rows it learnt from."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import breast_cancer

DUMMY_DATA = Path(__file__).parents[2] / "dummy_data"


@pytest.fixture(scope="module")
def data():
    return breast_cancer.load_data()


def test_the_csv_has_every_held_out_row(data):
    table = np.loadtxt(DUMMY_DATA / "breast_cancer.csv", delimiter=",")
    assert np.array_equal(table, data.held_out_rows)


def test_the_labels_are_those_of_the_csv(data):
    with (DUMMY_DATA / "labels.csv").open(newline="") as file:
        labels = [row for (row,) in csv.reader(file)]
    assert labels == ["malignant" if label else "benign" for label in data.held_out_labels]


def test_the_other_formats_have_its_first_rows(data):
    few = data.held_out_rows[:6]
    assert np.array_equal(json.loads((DUMMY_DATA / "breast_cancer.json").read_text())["instances"], few)
    lines = (DUMMY_DATA / "breast_cancer.jsonl").read_text().splitlines()
    assert np.array_equal([json.loads(line) for line in lines], few)
    assert np.array_equal(np.load(DUMMY_DATA / "breast_cancer.npy"), few)


def test_the_committed_script_writes_exactly_the_committed_files(tmp_path):
    spec = importlib.util.spec_from_file_location("generate_dummy_data", DUMMY_DATA / "generate.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    generator.generate(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (DUMMY_DATA / file.name).read_bytes(), file.name


def test_no_held_out_row_is_among_the_rows_to_learn_from(data):
    seen = {tuple(row) for row in data.rows}
    assert not seen & {tuple(row) for row in data.held_out_rows}
