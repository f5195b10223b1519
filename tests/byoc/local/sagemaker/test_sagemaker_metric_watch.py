"""The first group of a metric definition is a value of the metric."""

import pytest

from byoc.local.sagemaker.metric_watch import MetricWatch


@pytest.fixture
def heard():
    def heard(regex, *lines):
        reported = []
        watch = MetricWatch([{"Name": "m", "Regex": regex}], lambda *value: reported.append(value))
        for at, line in enumerate(lines):
            watch.hear(line, float(at))
        return reported, watch.final()

    return heard


def test_every_value_is_reported_and_the_last_is_final(heard):
    reported, final = heard("loss=([0-9.e-]+)", "epoch 1 loss=0.5", "nothing", "loss=1e-3")
    assert reported == [("m", 0.5, 0.0), ("m", 0.001, 2.0)]
    assert final == [{"MetricName": "m", "Value": 0.001, "Timestamp": 2.0}]


@pytest.mark.parametrize("line", ["loss=abc", "loss=nan", "loss=inf", "loss=", "x" * 5000 + "loss=1"])
def test_what_is_no_number_is_no_value(heard, line):
    assert heard("loss=(.*)", line) == ([], [])


def test_a_group_that_took_no_part_is_no_value(heard):
    assert heard("loss(=1)?", "loss") == ([], [])
