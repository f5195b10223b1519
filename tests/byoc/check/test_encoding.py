"""How AWS's SDKs send hyperparameters."""

import pytest

from byoc.check.encoding import ESTIMATOR, FRAMEWORK, TRAINER, others_of


@pytest.mark.parametrize(
    ("given", "estimator", "trainer", "framework"),
    [
        ("text", "text", "text", '"text"'),
        ('"text"', "text", "text", '"text"'),
        ("true", "True", "true", "true"),
        ("True", "True", "true", "true"),
        ("null", "None", "null", "null"),
        ('{"a": 1}', "{'a': 1}", '{"a": 1}', '{"a": 1}'),
        ("['a']", "['a']", '["a"]', '["a"]'),
        ("{1, 2}", "{1, 2}", "{1, 2}", '"{1, 2}"'),
        ("s3://bucket/key", "s3://bucket/key", "s3://bucket/key", '"s3://bucket/key"'),
    ],
)
def test_each_sdk_has_a_way_of_its_own(given, estimator, trainer, framework):
    sent = {ESTIMATOR: estimator, TRAINER: trainer, FRAMEWORK: framework}
    assert others_of({"name": given}) == {
        sdk: {"name": value} for sdk, value in sent.items() if value != given
    }


@pytest.mark.parametrize("number", ["3", "-1", "1e-3", "007", "nan", "1_000"])
def test_all_send_a_number_as_it_is(number):
    assert others_of({"name": number}) == {}
