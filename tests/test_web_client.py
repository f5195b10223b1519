"""The web team's client: what is sent again and what is not, by how many threads, over which connections."""

import io
import json
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from examples.web_client import Endpoint, ModelFailedError, main, new_client
from runtime_stub import runtime_stub

LOG = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/cancer"


@pytest.fixture(scope="module")
def running():
    with runtime_stub() as runtime, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "stub")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", runtime.url)
        patch.setattr(boto3, "DEFAULT_SESSION", None)  # it keeps the credentials that it once found
        yield runtime, new_client(8)


@pytest.fixture
def runtime(running):
    """The stand-in, forgetful of earlier tests."""
    runtime, _ = running
    runtime.answers = [(200, b"[1.0]", {"Content-Type": "application/json"})]
    runtime.asked.clear()
    runtime.connections.clear()
    return runtime


@pytest.fixture
def endpoint(running, runtime):
    """An Endpoint, and the pauses that it made."""
    pauses = []
    return Endpoint("cancer", client=running[1], sleep=pauses.append), pauses


def test_rows_go_there_and_predictions_come_back(endpoint, runtime):
    assert endpoint[0].predict([[1, 2]]) == [1.0]
    ((path, headers, body),) = runtime.asked
    assert path == "/endpoints/cancer/invocations"
    assert (headers["Content-Type"], headers["Accept"]) == ("application/json", "application/json")
    assert json.loads(body) == [[1, 2]]


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "ModelNotReadyException"), (503, "ServiceUnavailable"), (500, "InternalFailure")],
)
def test_what_has_not_reached_the_model_is_sent_again_after_longer_and_longer_pauses(
    endpoint, runtime, status, code
):
    endpoint, pauses = endpoint
    runtime.answers = [runtime.refuses(status, code)] * 3 + runtime.answers
    assert endpoint.predict([[1]]) == [1.0]
    assert len(runtime.asked) == 4
    assert 0.05 <= pauses[0] <= 0.1 <= pauses[1] <= 0.2 <= pauses[2] <= 0.4


def test_a_models_own_error_is_told_at_once_with_its_status_and_log(endpoint, runtime):
    runtime.answers = [
        runtime.refuses(424, "ModelError", OriginalStatusCode=400, OriginalMessage="no", LogStreamArn=LOG)
    ]
    with pytest.raises(ModelFailedError, match="400: no") as raised:
        endpoint[0].predict([[1]])
    assert (raised.value.status, raised.value.log, len(runtime.asked)) == (400, LOG, 1)


def test_what_will_not_change_is_not_sent_again(endpoint, runtime):
    runtime.answers = [runtime.refuses(400, "ValidationError")]
    with pytest.raises(ClientError, match="ValidationError"):
        endpoint[0].predict([[1]])
    assert len(runtime.asked) == 1


def test_patience_ends(running, runtime):
    runtime.answers = [runtime.refuses(429, "ModelNotReadyException")]
    with pytest.raises(ClientError, match="ModelNotReadyException"):
        Endpoint("cancer", client=running[1], patience_s=0).predict([[1]])
    assert len(runtime.asked) == 1


def test_nobody_there_is_tried_again_and_told_in_the_end(running):
    nobody = boto3.client("sagemaker-runtime", "us-east-1", endpoint_url="http://127.0.0.1:9")
    pauses = []
    with pytest.raises(EndpointConnectionError):
        Endpoint("cancer", client=nobody, patience_s=0.3, sleep=pauses.append).predict([[1]])
    assert pauses


def test_many_threads_share_the_connections(endpoint, runtime):
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(endpoint[0].predict, [[[number]] for number in range(80)]))
    assert answers == [[1.0]] * 80
    assert len(runtime.connections) <= 8
    assert sorted(json.loads(body)[0][0] for _, _, body in runtime.asked) == list(range(80))


def test_the_client_waits_longer_than_the_container_may_take_and_repeats_nothing(running):
    config = running[1].meta.config
    assert config.read_timeout == 70
    assert config.retries["total_max_attempts"] == 1


def test_the_old_name_of_the_client_works(running, runtime):
    client = boto3.client("runtime.sagemaker")
    assert client.invoke_endpoint(EndpointName="cancer", Body=b"[[1]]")["Body"].read() == b"[1.0]"


@pytest.mark.parametrize(
    ("arguments", "rows", "answer", "status", "told"),
    [
        (["cancer"], "[[1]]", None, 0, ""),
        ([], "[[1]]", None, 2, "usage: python web_client.py ENDPOINT < rows.json\n"),
        (
            ["cancer"],
            "not",
            None,
            1,
            "web_client.py: what was given, or came back, is no JSON: Expecting value",
        ),
        (["cancer"], "[[1]]", (424, "ModelError"), 1, "web_client.py: 400: 30 columns are wanted\n"),
        (["cancer"], "[[1]]", (400, "ValidationError"), 1, "web_client.py: An error occurred (ValidationErr"),
    ],
)
def test_as_a_script_it_says_in_one_line_what_is_wrong(
    runtime, monkeypatch, capsys, arguments, rows, answer, status, told
):
    if answer:
        members = {"OriginalStatusCode": 400, "OriginalMessage": "30 columns are wanted"}
        runtime.answers = [runtime.refuses(*answer, **members)]
    monkeypatch.setattr("sys.stdin", io.StringIO(rows))
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ("[1.0]\n" if status == 0 else "")
    assert err.startswith(told)
    assert len(err.splitlines()) == (status > 0)
