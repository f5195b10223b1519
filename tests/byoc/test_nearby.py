"""A local SageMaker that runs is told of where nobody said who calls, and nowhere else."""

import pytest

from byoc.aws import AwsRefusalError, UnknownCallerError, connect
from byoc.local import launch
from byoc.local.instance import LocalError
from byoc.nearby import local_told


class Running:
    """As much of an instance as is told."""

    def __init__(self, port):
        self.port = port
        self.url = f"http://127.0.0.1:{port}"


@pytest.fixture
def environ(tmp_path, monkeypatch):
    """Two that run, that of the usual port among them, one that has ended and one that cannot be told."""

    def find(_environ, port):
        if port == 4579:
            raise LocalError("somebody else's")
        return None if port == 4580 else Running(port)

    monkeypatch.setattr(launch, "find", find)
    for port in ("4576", "4579", "4580", "x"):
        (tmp_path / "byoc" / f"local-{port}").mkdir(parents=True)
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


@pytest.mark.bad_input
def test_those_that_run_are_told_the_usual_first(environ):
    with pytest.raises(UnknownCallerError) as raised, local_told(environ):
        raise UnknownCallerError("Who?")
    assert raised.value.__notes__ == [
        'A local SageMaker runs at http://127.0.0.1:4577. To use it: eval "$(byoc local env)"',
        'A local SageMaker runs at http://127.0.0.1:4576. To use it: eval "$(byoc local env --port 4576)"',
    ]


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("error", "url"), [(AwsRefusalError, ""), (UnknownCallerError, "http://127.0.0.1:4577")]
)
def test_another_error_or_one_of_a_local_sagemaker_goes_without(environ, error, url):
    with pytest.raises(error) as raised, local_told({**environ, "AWS_ENDPOINT_URL": url}):
        raise error("no")
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.bad_input
def test_without_a_region_or_credentials_nobody_is_known_to_call(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    with pytest.raises(UnknownCallerError):
        connect(environ={})
    aws = connect("eu-west-1", environ={})
    with pytest.raises(UnknownCallerError), aws.explained():
        aws.where()
