"""test_endpoint.py: what it sends, what it prints, and what it says of an error."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from byoc.errors import ByocError
from runtime_stub import runtime_stub

ROOT = Path(__file__).parents[1]
CSV = (ROOT / "dummy_data" / "breast_cancer.csv").read_bytes()
LOG = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/cancer"


@pytest.fixture(scope="module")
def running():
    with runtime_stub() as runtime, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "stub")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", runtime.url)
        yield runtime


@pytest.fixture
def runtime(running):
    """The stand-in, forgetful of earlier tests."""
    running.answers = [(200, b"[1.0]", {"Content-Type": "application/json"})]
    running.asked.clear()
    return running


@pytest.fixture
def door(capfdbinary):
    """Return a function that runs the door in this process and returns what it wrote."""
    sys.path.insert(0, str(ROOT))
    from test_endpoint import test_endpoint

    def run(*arguments):
        test_endpoint.main(args=list(arguments), standalone_mode=False)
        return capfdbinary.readouterr()

    yield run
    sys.path.remove(str(ROOT))


def test_as_a_program_it_prints_the_answer_and_beside_it_who_gave_it(runtime):
    command = [sys.executable, ROOT / "test_endpoint.py", "cancer"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, "[1.0]\n"), asked.stderr
    assert asked.stderr.startswith("cancer () answered in ")
    assert asked.stderr.endswith(f" ms: application/json; LOCAL {runtime.url}\n")


def test_by_default_the_endpoint_of_the_file_is_sent_the_first_of_dummy_data(runtime, door):
    door()
    ((path, headers, body),) = runtime.asked
    assert path == "/endpoints/breast-cancer/invocations"
    assert (headers["Content-Type"], body) == ("text/csv", CSV)
    assert "Accept" not in headers or headers["Accept"] == "*/*"


def test_every_option_is_sent(runtime, door, tmp_path):
    (tmp_path / "rows").write_bytes(b"[[1]]")
    door(
        "other",
        "--file",
        str(tmp_path / "rows"),
        "--content-type",
        "application/json",
        "--accept",
        "text/csv",
    )
    ((path, headers, body),) = runtime.asked
    assert path == "/endpoints/other/invocations"
    assert (headers["Content-Type"], headers["Accept"], body) == ("application/json", "text/csv", b"[[1]]")


def test_standard_input_is_sent(runtime, door, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"1,2")))
    door("other", "--file", "-", "--content-type", "text/csv")
    assert runtime.asked[0][2] == b"1,2"


@pytest.mark.parametrize(
    ("body", "kind", "printed"),
    [
        (b"1\n2\n", "text/csv", b"1\n2\n"),
        (b"[1]", "application/json", b"[1]\n"),
        (b"\x93N", "application/x-npy", b"\x93N"),
    ],
)
def test_the_body_is_printed_as_it_is(runtime, door, body, kind, printed):
    runtime.answers = [(200, body, {"Content-Type": kind, "x-Amzn-Invoked-Production-Variant": "Blue"})]
    out, err = door("cancer")
    assert out == printed
    assert err.startswith(b"cancer (Blue) answered in ")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("original", "told"),
    [
        (
            json.dumps({"error": {"message": "30 columns are wanted", "id": "abc"}}),
            "30 columns are wanted (id abc)",
        ),
        (json.dumps({"error": {"message": "no"}}), "no"),
        ("<html>", "<html>"),
    ],
)
def test_a_model_error_shows_the_containers_own_message_and_where_its_log_is(runtime, door, original, told):
    members = {"OriginalStatusCode": 400, "OriginalMessage": original, "LogStreamArn": LOG}
    runtime.answers = [runtime.refuses(424, "ModelError", **members)]
    with pytest.raises(ByocError) as raised:
        door("cancer")
    command = "aws logs filter-log-events --log-group-name /aws/sagemaker/Endpoints/cancer"
    first, second = str(raised.value).splitlines()
    assert first == f"The container of cancer answered 400: {told}"
    assert second == f"Its log: {command} --query 'events[].message' --output text"
    assert len(runtime.asked) == 1


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            (403, "AccessDeniedException", {"message": "You may not."}),
            "InvokeEndpoint was refused: You may not (AccessDeniedException). Use the URL and the keys of",
        ),
        ((503, "ServiceUnavailable", {"message": "busy"}), "InvokeEndpoint was refused: busy (ServiceUnav"),
    ],
)
def test_what_aws_refuses_is_told_in_its_own_words_with_a_remedy(runtime, door, answer, told):
    status, code, members = answer
    runtime.answers = [runtime.refuses(status, code, **members)]
    with pytest.raises(ByocError) as raised:
        door("cancer")
    assert str(raised.value).startswith(told)
    assert len(runtime.asked) == 1


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("described", "listed", "told"),
    [
        (None, [], "There is no endpoint cancer in us-east-1. Create it: python generate_endpoint.py"),
        (None, ["cancr", "else"], "There is no endpoint cancer in us-east-1. Did you mean cancr? Create"),
        (None, ["b", "a"], "There is no endpoint cancer in us-east-1. There are: a, b. Create it"),
        (
            {"EndpointStatus": "Updating"},
            [],
            "Endpoint cancer is Updating, and does not answer yet. Wait for",
        ),
        (
            {"EndpointStatus": "Failed", "FailureReason": "No ping. More."},
            [],
            "Endpoint cancer is Failed: No ping. Once that is mended, python generate_endpoint.py",
        ),
        ({"EndpointStatus": "Deleting"}, [], "Endpoint cancer is Deleting. Create it"),
        ({"EndpointStatus": "InService"}, [], "Endpoint cancer has come up this moment. Ask it again."),
    ],
)
def test_of_an_endpoint_that_is_not_found_it_is_told_what_it_is_or_which_there_are(
    runtime, door, described, listed, told
):
    endpoints = json.dumps({"Endpoints": [{"EndpointName": name} for name in listed]}).encode()
    runtime.answers = [
        runtime.refuses(400, "ValidationError", message="Endpoint cancer of account 1 not found."),
        (200, json.dumps(described).encode(), {})
        if described
        else runtime.refuses(
            400, "", __type="ValidationException", message='Could not find endpoint "cancer".'
        ),
        (200, endpoints, {}),
    ]
    with pytest.raises(ByocError) as raised:
        door("cancer")
    assert str(raised.value).startswith(told)


@pytest.mark.bad_input
def test_who_may_only_invoke_is_told_that_there_is_no_endpoint(runtime, door):
    runtime.answers = [
        runtime.refuses(400, "ValidationError", message="Endpoint cancer of account 1 not found."),
        runtime.refuses(400, "AccessDeniedException"),
    ]
    with pytest.raises(ByocError, match=r"^There is no endpoint cancer in us-east-1\. Create it"):
        door("cancer")


@pytest.mark.bad_input
def test_a_file_of_an_unknown_ending_that_is_refused_is_told_how_to_be_sent(runtime, door):
    members = {"OriginalStatusCode": 415, "OriginalMessage": "no"}
    runtime.answers = [runtime.refuses(424, "ModelError", **members)]
    with pytest.raises(ByocError, match=r"any other is sent as application/octet-stream.*--content-type"):
        door("cancer", "--file", str(ROOT / "README.md"))
    with pytest.raises(ByocError) as raised:
        door("cancer")
    assert "--content-type" not in str(raised.value)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["cancer", "--config", "/nowhere/endpoint.toml"],
            "dummy_data is /nowhere/dummy_data, which is not th",
        ),
        (["under_score"], '--name is "under_score". Give up to 63 letters'),
        (["cancer", "--file", "-"], "Standard input has no suffix that says what it is. Give --content-type"),
        (["cancer", "--file", "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory."),
        (["cancer", "--profile", "nobodys"], "The config profile (nobodys) could not be found. A local"),
    ],
)
def test_what_cannot_be_used_is_told_before_anything_is_sent(runtime, door, arguments, told):
    with pytest.raises(ByocError) as raised:
        door(*arguments)
    assert str(raised.value).startswith(told)
    assert runtime.asked == []


@pytest.mark.bad_input
def test_as_a_program_it_says_so_in_one_line(runtime):
    command = [sys.executable, ROOT / "test_endpoint.py", "cancer", "--file", "nowhere.csv"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert len(asked.stderr.splitlines()) == 1
