"""The demo judges predictions rightly."""

import pytest

from byoc.errors import DemoError
from byoc.predictions import accuracy_of, probabilities_in, table_of

LABELS = ["benign", "malignant", "benign", "malignant"]


def test_accuracy_is_the_share_of_right_diagnoses():
    assert accuracy_of([0.1, 0.9, 0.6, 0.7], LABELS) == 0.75


def test_fewer_predictions_than_rows_are_an_error():
    with pytest.raises(DemoError, match="4 rows were sent, and 1 predictions came back"):
        accuracy_of([0.1], LABELS)


def test_an_answer_without_numbers_is_an_error():
    assert probabilities_in(["0.5", "1e-05", ""]) == [0.5, 1e-05]
    with pytest.raises(DemoError, match="oh"):
        probabilities_in(["oh"])


def test_the_table_shows_a_few_rows_of_each_label_by_number():
    lines = table_of([0.1] * 8 + [0.9] * 8, ["benign"] * 8 + ["malignant"] * 8).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "0.100", "benign"],
        ["2", "0.100", "benign"],
        ["3", "0.100", "benign"],
        ["9", "0.900", "malignant"],
        ["10", "0.900", "malignant"],
        ["11", "0.900", "malignant"],
    ]
