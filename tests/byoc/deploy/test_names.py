"""Names: the same for the same request, others for another, and never too long."""

import dataclasses
import re

import pytest

from byoc.deploy.names import is_of, names_of


def test_the_same_request_has_the_same_names(spec_of, inputs):
    assert names_of(spec_of(), inputs, direct=True) == names_of(spec_of(), inputs, direct=True)


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"instance_count": 2}, {"config"}),
        ({"instance_type": "ml.c5.xlarge"}, {"config"}),
        ({"startup_timeout": 60}, {"config"}),
        ({"environment": {"A": "b"}}, {"model", "config"}),
        ({"subnets": ("s",), "security_groups": ("g",)}, {"job", "model", "config"}),
        ({"max_run": 60}, {"job", "model", "config"}),
        ({"tags": {"a": "b"}}, set()),
        ({"smoke_file": "x.csv"}, set()),
    ],
)
def test_a_change_renames_what_it_changes(spec_of, inputs, change, other):
    before = dataclasses.asdict(names_of(spec_of(), inputs, direct=False))
    after = dataclasses.asdict(names_of(spec_of(**change), inputs, direct=False))
    assert {key for key in before if before[key] != after[key]} == other


def test_another_image_is_another_model(spec_of, inputs):
    other = dataclasses.replace(inputs, image=inputs.image.replace("b" * 64, "c" * 64))
    assert names_of(spec_of(), inputs, direct=True).model != names_of(spec_of(), other, direct=True).model


def test_the_two_ways_make_different_models(spec_of, inputs):
    ways = {names_of(spec_of(), inputs, direct=direct).model for direct in (True, False)}
    assert len(ways) == 2


@pytest.mark.parametrize("name", ["a", "x" * 63, "a-b-" * 15 + "c"])
@pytest.mark.parametrize("version", ["0123456789abcdef", "v_1.0", "-.-", "y" * 99])
def test_every_name_is_one_that_sagemaker_takes(spec_of, inputs, name, version):
    its = dataclasses.replace(inputs, model_version=f"s3://models/{version}/")
    names = names_of(spec_of(name=name), its, direct=False)
    for made in (f"{names.job}-20261121030405", names.model, names.config):
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", made), made
    assert len(names.job) <= 48


def test_what_was_made_for_an_endpoint_is_known_by_its_name(spec_of, inputs):
    ours = names_of(spec_of(name="cancer"), inputs, direct=True)
    its = dataclasses.replace(inputs, model_version="s3://models/b-v1/")
    others = names_of(spec_of(name="cancer-b"), its, direct=True)
    alike = [names_of(spec_of(name="x" * 40 + end), inputs, direct=True).config for end in "ab"]
    assert all(is_of(name, "cancer") for name in (ours.model, ours.config))
    assert not any(is_of(name, "cancer") for name in (others.model, others.config, "cancer", "cancer-v1"))
    assert [is_of(name, "x" * 40 + "a") for name in alike] == [True, False]
