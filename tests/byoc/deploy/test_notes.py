"""Notes: said where they may surprise, and nowhere else."""

import pytest

from byoc.deploy.names import names_of
from byoc.deploy.notes import notes_on
from byoc.deploy.seen import Endpoint, Seen


@pytest.mark.parametrize(
    ("name", "noted"),
    [("cancer", False), ("Cancer-prod", False), ("can-cer", False), ("diabetes", True)],
)
def test_another_model_for_an_endpoint_that_is_there_is_noted(spec_of, inputs, name, noted):
    seen = Seen(inputs, endpoint=Endpoint("InService", "other"))
    notes = list(notes_on(spec_of(name=name), seen, direct=False))
    assert [note.startswith(f"The model cancer goes to the endpoint {name}") for note in notes] == [
        True
    ] * noted


def test_a_new_endpoint_and_a_model_without_a_name_are_not_noted(spec_of, inputs):
    spec = spec_of(name="diabetes")
    assert list(notes_on(spec, Seen(inputs), direct=False)) == []
    nameless = spec_of(name="diabetes", model_version="s3://models/m/model/0123456789abcdef/")
    seen = Seen(inputs, endpoint=Endpoint("InService", "other"))
    assert list(notes_on(nameless, seen, direct=False)) == []


@pytest.mark.parametrize(
    ("direct", "told"), [(True, "by a training job. With --direct"), (False, "with --direct. Without it")]
)
def test_the_same_version_deployed_the_other_way_is_noted(spec_of, inputs, direct, told):
    config = names_of(spec_of(), inputs, direct=not direct).config
    seen = Seen(inputs, endpoint=Endpoint("InService", config))
    (note,) = notes_on(spec_of(), seen, direct=direct)
    assert note.startswith(f"Endpoint cancer has this version and image already, deployed {told}")
    as_wanted = Endpoint("InService", names_of(spec_of(), inputs, direct=direct).config)
    assert list(notes_on(spec_of(), Seen(inputs, endpoint=as_wanted), direct=direct)) == []
