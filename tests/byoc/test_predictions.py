"""The demo judges the predictions of any classifier rightly, and shows all others as they are."""

import pytest

from byoc.errors import DemoError
from byoc.predictions import answers_in, judge, labels_in, list_of, requests_in, table_of

LABELS = ["benign", "malignant", "benign", "malignant"]


@pytest.fixture
def request_file(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("1,2\n")
    return file


def test_a_number_is_the_probability_of_the_later_label():
    judged = judge([0.1, 0.9, 0.6, 0.7], LABELS)
    assert judged.predicted == ["benign", "malignant", "malignant", "malignant"]
    assert judged.accuracy == 0.75
    assert judged.column == "probability of malignant"


def test_a_number_in_a_column_of_its_own_is_the_same():
    assert judge([[0.1], [0.9], [0.6], [0.7]], LABELS) == judge([0.1, 0.9, 0.6, 0.7], LABELS)


def test_words_are_labels():
    judged = judge(["setosa", "virginica", "setosa"], ["setosa", "virginica", "versicolor"])
    assert judged.accuracy == pytest.approx(2 / 3)
    assert judged.column == "prediction"


def test_the_numbers_of_classes_are_labels_too():
    assert judge([0, 2, 1], ["0", "2", "2"]).accuracy == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "answers", [[{"probability": 0.1}] * 4, [[0.1, 0.9]] * 4, [17.5, 2.25, 3.5, 4.5]], ids=repr
)
def test_answers_of_another_kind_are_not_judged(answers):
    assert judge(answers, LABELS) is None


def test_fewer_predictions_than_labels_are_an_error_that_says_what_to_do():
    with pytest.raises(DemoError, match=r"1 predictions came back, and labels.csv has 4 lines. Give it one"):
        judge([0.1], LABELS)


@pytest.mark.parametrize(
    ("body", "answers"),
    [
        ("[0.5, 0.25]\n", [0.5, 0.25]),
        ('{"predictions": ["a", "b"]}', ["a", "b"]),
        ("benign\nmalignant\n", ["benign", "malignant"]),
        ("0.5\n", [0.5]),
        ('[{"a": 1}]', [{"a": 1}]),
    ],
)
def test_answers_are_a_list_in_json_or_lines(body, answers):
    assert answers_in(body) == answers


def test_the_table_shows_a_few_rows_of_each_label_by_number():
    lines = table_of(judge([0.1] * 8 + [0.9] * 8, ["benign"] * 8 + ["malignant"] * 8)).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["1", "0.100", "benign"],
        ["2", "0.100", "benign"],
        ["3", "0.100", "benign"],
        ["9", "0.900", "malignant"],
        ["10", "0.900", "malignant"],
        ["11", "0.900", "malignant"],
    ]


def test_answers_of_another_kind_are_shown_as_they_are():
    assert list_of([{"city": "Köln"}, [1, 2]]).splitlines()[1:] == [
        '     1  {"city": "Köln"}',
        "     2  [1, 2]",
    ]


def test_every_request_is_found_whatever_its_name_and_labels_are_none(tmp_path):
    for name in ("b.json", "z.csv", "a.npy", "labels.csv", "README.md", "generate.py"):
        (tmp_path / name).touch()
    assert [file.name for file in requests_in(tmp_path)] == ["z.csv", "b.json", "a.npy"]


def test_a_folder_without_requests_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DemoError, match=rf"{tmp_path} has no requests. Put a file there"):
        requests_in(tmp_path)


def test_labels_are_optional(tmp_path):
    assert labels_in(tmp_path) is None
    (tmp_path / "labels.csv").write_text("benign\nmalignant\n")
    assert labels_in(tmp_path) == ["benign", "malignant"]
