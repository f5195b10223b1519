"""For the tests of a deployment's parts: an AWS of moto's, and specs that lack nothing."""

import pytest

from byoc.aws import connect
from byoc.config import Spec
from byoc.deploy.seen import Inputs

SHA256 = "a" * 64
VERSION = "s3://models/m/cancer/0123456789abcdef/"


@pytest.fixture(scope="session")
def aws(s3):
    """The embedded AWS of the session, as our own doors reach it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.env.items():
            patch.setenv(name, value)
        aws = connect()
        assert aws.local  # this makes all the clients, from the environment as it is now
    return aws


@pytest.fixture
def spec_of(tmp_path):
    """Return a function that makes a Spec, all in order but for what it is given."""

    def make(**values):
        (tmp_path / "one.csv").write_text("1,2\n")
        whole = {
            "name": "cancer",
            "image": "my-model",
            "model_version": VERSION,
            "model_manifest_sha256": SHA256,
            "role": "TheRole",
            "dummy_data": tmp_path,
        }
        return Spec.model_validate(whole | values)

    return make


@pytest.fixture
def inputs():
    """What the spec needs, found."""
    image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/my-model@sha256:" + "b" * 64
    return Inputs("arn:aws:iam::123456789012:role/TheRole", image, VERSION, SHA256)
