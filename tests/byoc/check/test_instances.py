"""Which instance types are known, and what is told of others."""

import pytest

from byoc.check import instances
from byoc.check.instances import wrong_with


@pytest.mark.parametrize("name", ["ml.m5.large", "ml.c5n.xlarge", "ml.g5.xlarge"])
def test_types_of_training_and_of_hosting_are_known(name):
    assert wrong_with(name) == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("m5.large", "That is no instance type. Is it ml.m5.large?"),
        ("ml.m5.larg", "boto3 knows no such type. Is it ml.m5.large"),
        ("gpu", "That is no instance type. Give one such as ml.m5.large."),
    ],
)
def test_another_is_told_with_the_nearest(name, told):
    assert wrong_with(name).startswith(told)


def test_the_usual_type_costs_no_look(monkeypatch):
    monkeypatch.setattr(instances, "_known", None)
    assert wrong_with("ml.m5.large") == ""
