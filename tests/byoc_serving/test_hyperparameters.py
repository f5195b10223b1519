import json

import pytest

from byoc_serving.errors import SettingsError
from byoc_serving.hyperparameters import decoded, read_hyperparameters, string_of


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("128", 128),
        ("-0.5", -0.5),
        ("1e-3", 0.001),
        ("text", "text"),
        ('"text"', "text"),
        ("'text'", "text"),
        ('"128"', "128"),
        ("True", True),
        ("true", True),
        ("False", False),
        ("None", None),
        ("null", None),
        ('{"a": 1}', {"a": 1}),
        ("{'a': True}", {"a": True}),
        ("[1, 2]", [1, 2]),
        ("(1, 'x')", (1, "x")),
        ("", ""),
        ("two words", "two words"),
        ("s3://b/p", "s3://b/p"),
        ("{broken", "{broken"),
        ("(1)(2)", "(1)(2)"),
        ("['\\d']", ["\\d"]),
        ("[" * 3000, "[" * 3000),
        ("9" * 5000, "9" * 5000),
        (5, 5),
    ],
)
def test_a_value_is_understood_in_every_encoding(text, meaning):
    assert decoded(text) == meaning
    assert type(decoded(text)) is type(meaning)


@pytest.mark.parametrize(
    "text", ["pull", "1234567890123456", "12e4", "0" * 64, "1" * 64, "00e0", "s3://b/p/"]
)
@pytest.mark.parametrize("encode", [str, json.dumps, repr, lambda text: f" {text} "])
def test_a_string_stays_a_string_even_if_it_looks_like_a_number(text, encode):
    assert string_of({"v": encode(text)}, "v") == text


@pytest.mark.parametrize(
    "hyperparameters", [{}, *({"v": text} for text in ("", " ", "None", "null", '""', None))]
)
def test_an_absent_string_is_none(hyperparameters):
    assert string_of(hyperparameters, "v") is None


@pytest.mark.parametrize("value", [1234567890123456, 12e4, True, ["x"]])
def test_a_string_that_the_file_gives_as_another_value_is_refused(value):
    with pytest.raises(SettingsError, match=r"Hyperparameter v is .* Give it as a string"):
        string_of({"v": value}, "v")


def test_no_file_is_no_hyperparameters(tmp_path):
    assert read_hyperparameters(tmp_path) == {}


@pytest.mark.parametrize("text", ["{}", "null"])
def test_an_empty_file_of_either_form_is_no_hyperparameters(tmp_path, text):
    (tmp_path / "hyperparameters.json").write_text(text)
    assert read_hyperparameters(tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_malformed_file_is_refused_by_name(tmp_path, content):
    (tmp_path / "hyperparameters.json").write_bytes(content)
    with pytest.raises(SettingsError, match=r"hyperparameters\.json"):
        read_hyperparameters(tmp_path)
