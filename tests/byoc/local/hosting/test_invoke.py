"""InvokeEndpoint carries a call to a program and back, and says in AWS's words what went wrong."""

import asyncio
import json
import socket
import threading
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from byoc.local.hosting.connection import MOST_HEAD_BYTES
from byoc.local.hosting.invoke import InvokePlane
from byoc.local.hosting.routes import Routes
from byoc.local.hosting.upstream import MOST_BYTES, Upstream
from byoc.local.wire import Request

WHERE = SimpleNamespace(account="123456789012", region="us-east-1")
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: 2\r\n\r\n42"


class Scripted:
    """A program on a real socket that answers what it is told; an answer of None hangs up.

    Each connection takes the answers in turn, `closing` after each; `requests` are what came.
    """

    def __init__(self, *answers, closing=False):
        self._answers = list(answers)
        self._closing = closing
        self.requests, self.connections = [], 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def dial(self):
        return socket.create_connection(self._listener.getsockname())

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=[connection]))
            self._threads[-1].start()

    def _serve(self, connection):
        with connection:
            while request := _read(connection):
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if answer is None:
                    return
                connection.sendall(answer)
                if self._closing:
                    return


def _read(connection):
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-le")
        )
        rest = bytearray(body)
        while len(rest) < length:
            rest += connection.recv(1 << 20)
    except OSError:
        return b""
    return head + b"\r\n\r\n" + rest


@pytest.fixture
def program():
    started = []

    def start(*answers, closing=False):
        started.append(Scripted(*(answers or (OK,)), closing=closing))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def routes():
    return Routes()


def nobody():
    raise ConnectionRefusedError("nobody listens")


def route(routes, *dials, **more):
    """Let endpoint "e" be answered by variant "AllTraffic", and others where they are given."""
    variants = {"AllTraffic": dials, **more}
    routes.switch(
        "e",
        {
            name: (1.0, [Upstream(f"i-{number}", dial) for number, dial in enumerate(some)])
            for name, some in variants.items()
        },
    )


def call(
    routes, *bodies, path="/endpoints/e/invocations", patience_s=5.0, method="POST", pause_s=0.0, **headers
):
    """Call one after another on one event loop; return the last response."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}

    async def calls():
        plane = InvokePlane(
            WHERE, SimpleNamespace(routes=routes, status={"made": "Creating"}.get), patience_s
        )
        for body in bodies or (b"1,2",):
            await asyncio.sleep(pause_s)
            response = await plane(Request(method, path, "", sent, pieces(body)))
        for upstream in routes.upstreams("e"):
            assert not upstream.in_flight
            upstream.close()
        await asyncio.sleep(0)
        return response

    return asyncio.run(calls())


async def pieces(body):
    yield body[:1]
    yield body[1:]


def refusal(response):
    return response.headers["x-amzn-ErrorType"], json.loads(response.body)


def answer_of(status, body, headers=b""):
    return b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n%s\r\n%s" % (status, len(body), headers, body)


def test_a_call_and_its_answer_carry_the_headers_of_the_contract_and_no_others(program, routes):
    returned = (
        b"X-Amzn-SageMaker-Custom-Attributes: c=d\r\nX-Amzn-SageMaker-Session-Id: s1; Expires=2030\r\n"
        b"Server: gunicorn\r\nContent-Type: application/json\r\n"
    )
    served = program(answer_of(200, b"[1]", returned))
    route(routes, served.dial)
    response = call(
        routes,
        content_type="text/csv",
        accept="application/json",
        x_amzn_sagemaker_custom_attributes="a=b",
        x_amzn_sagemaker_inference_id="id-1",
        x_amzn_sagemaker_session_id="NEW_SESSION",
        x_amzn_sagemaker_target_variant="AllTraffic",
        authorization="secret",
        cookie="secret",
    )
    head, _, body = served.requests[0].partition(b"\r\n\r\n")
    assert head.decode().split("\r\n") == [
        "POST /invocations HTTP/1.1",
        "Host: localhost:8080",
        "Content-Length: 3",
        "Content-Type: text/csv",
        "Accept: application/json",
        "X-Amzn-SageMaker-Custom-Attributes: a=b",
        "X-Amzn-SageMaker-Inference-Id: id-1",
        "X-Amzn-SageMaker-Session-Id: NEW_SESSION",
    ]
    assert body == b"1,2"
    assert (response.status, response.body) == (200, b"[1]")
    assert response.headers.pop("x-amzn-RequestId")
    assert response.headers == {
        "x-Amzn-Invoked-Production-Variant": "AllTraffic",
        "Content-Type": "application/json",
        "X-Amzn-SageMaker-Custom-Attributes": "c=d",
        "X-Amzn-SageMaker-New-Session-Id": "s1; Expires=2030",
    }


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n4\r\n1\r\n2\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42",
        b"HTTP/1.0 200 OK\r\n\r\n42",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n42",
    ],
    ids=["chunked", "continued", "until the end", "until the end, closed"],
)
def test_an_answer_may_be_framed_in_any_way(program, routes, answer):
    served = program(answer, closing=b"\r\n42" in answer)
    route(routes, served.dial)
    assert call(routes).body == b"42"


def test_one_connection_carries_call_after_call(program, routes):
    served = program()
    route(routes, served.dial)
    call(routes, b"1", b"2", b"3")
    assert (len(served.requests), served.connections) == (3, 1)


def test_a_connection_that_was_closed_while_idle_is_replaced(program, routes):
    served = program(closing=True)
    route(routes, served.dial)
    assert call(routes, b"1", b"2", b"3", pause_s=0.02).body == b"42"
    assert len(served.requests) == 3


def test_a_call_whose_answer_had_begun_is_never_repeated(program, routes):
    served = program(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n4", closing=False)
    route(routes, served.dial)
    code, said = refusal(call(routes, b"1", b"2", patience_s=0.2))
    assert code == "ModelError"
    assert "timed out" in said["Message"]
    served = program(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n4", closing=True)
    route(routes, served.dial)
    code, said = refusal(call(routes))
    assert code == "ModelError"
    assert said["OriginalMessage"] == "the answer was cut short."
    assert len(served.requests) == 1


def test_a_call_that_ends_its_program_is_not_sent_to_the_next_one(program, routes):
    served = program(OK, None, OK)
    route(routes, served.dial)
    code, said = refusal(call(routes, b"1", b"2"))
    assert (code, said["OriginalStatusCode"]) == ("ModelError", 0)
    assert [request[-1:] for request in served.requests] == [b"1", b"2"]


def test_a_program_that_hangs_up_on_a_fresh_connection_is_an_error_of_the_model(program, routes):
    route(routes, program(None).dial)
    code, said = refusal(call(routes))
    assert (code, said["OriginalStatusCode"]) == ("ModelError", 0)
    assert said["OriginalMessage"].endswith("as the model process exited.")


def test_what_is_not_http_is_an_error_of_the_model(program, routes):
    route(routes, program(b"220 mail.example ESMTP\r\n").dial)
    assert "not HTTP/1.1" in refusal(call(routes))[1]["OriginalMessage"]


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: %s\r\n" % (b"x" * MOST_HEAD_BYTES),
        b"X-Long: %s" % (b"x" * 2 * MOST_HEAD_BYTES),
        b"".join(b"X-%d: x\r\n" % number for number in range(501)),
    ],
    ids=["long", "without end", "many"],
)
def test_an_answer_with_too_much_of_a_head_is_an_error_of_the_model(program, routes, head):
    route(routes, program(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n\r\n" % head).dial)
    assert "not HTTP/1.1: its head has more than 65536 bytes" in refusal(call(routes))[1]["OriginalMessage"]


def test_no_idle_connection_is_kept_to_a_program_that_is_taken_away(program, routes):
    served = program()
    route(routes, served.dial)
    (upstream,) = routes.upstreams("e")
    call(routes)
    upstream.close()
    assert call(routes, b"1", b"2").body == b"42"
    assert (len(served.requests), served.connections) == (3, 3)


def test_an_instance_that_takes_no_connection_is_passed_over(program, routes):
    served = program()
    route(routes, nobody, served.dial)
    assert call(routes, *[b"1"] * 4).body == b"42"
    route(routes, nobody)
    code, said = refusal(call(routes))
    assert code == "ModelError"
    assert "No instance takes a connection (tried: i-0)" in said["OriginalMessage"]


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "client"), (413, "client"), (500, "server"), (302, "server")]
)
def test_what_the_container_refuses_is_a_model_error_with_its_own_words(program, routes, status, kind):
    route(routes, program(answer_of(status, b"row 3: no number" + b"!" * 5000)).dial)
    response = call(routes)
    code, said = refusal(response)
    assert (response.status, code) == (424, "ModelError")
    assert said["OriginalStatusCode"] == status
    assert said["OriginalMessage"].startswith("row 3: no number!")
    assert len(said["OriginalMessage"]) == len(said["Message"]) == 2048
    assert said["Message"].startswith(f'Received {kind} error ({status}) from primary with message "row 3')
    assert said["Message"].endswith(
        '". See https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:'
        "group=/aws/sagemaker/Endpoints/e in account 123456789012 for more information."
    )
    assert said["LogStreamArn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/e"


def test_a_call_that_takes_too_long_is_said_in_awss_words(program, routes):
    route(routes, program(b"").dial)
    code, said = refusal(call(routes, patience_s=0.1))
    assert (code, said["OriginalStatusCode"]) == ("ModelError", 0)
    assert said["Message"].startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a '
        "response from container primary."
    )


def test_a_body_of_25_megabytes_passes_and_one_byte_more_is_refused(program, routes):
    served = program()
    route(routes, served.dial)
    assert call(routes, b"x" * MOST_BYTES).status == 200
    for headers in ({}, {"content_length": str(MOST_BYTES + 1)}):
        response = call(routes, b"x" * (MOST_BYTES + 1), **headers)
        assert response.status == 413
        assert refusal(response)[1]["Message"] == "HTTP content length exceeded 26214400 bytes."
    assert len(served.requests) == 1


def test_an_answer_over_the_limit_is_an_error_of_the_model(program, routes):
    route(routes, program(answer_of(200, b"x" * (MOST_BYTES + 1))).dial)
    assert "over 26214400 bytes" in refusal(call(routes))[1]["OriginalMessage"]


def test_a_variant_that_is_named_answers(program, routes):
    one, other = program(), program(answer_of(200, b"other"))
    route(routes, one.dial, other=[other.dial])
    response = call(routes, b"1", b"2", x_amzn_sagemaker_target_variant="other")
    assert (response.body, response.headers["x-Amzn-Invoked-Production-Variant"]) == (b"other", "other")
    assert not one.requests


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"path": "/endpoints/none/invocations"}, "Endpoint none of account 123456789012 not found."),
        ({"path": "/endpoints/made/invocations"}, "not found. It is there, but its status is Creating."),
        ({"x_amzn_sagemaker_target_variant": "b"}, "Variant b not found for endpoint e. Its variants: AllTr"),
        ({"x_amzn_sagemaker_target_model": "m"}, "Endpoint e is not a multi-model endpoint and does not"),
        ({"x_amzn_sagemaker_inference_component": "c"}, "does not support the header x-amzn-sagemaker-inf"),
        ({"x_amzn_sagemaker_target_container_hostname": "c"}, "does not support the header"),
        ({"x_amzn_sagemaker_session_id": "-"}, "Value '-' at 'sessionId' failed to satisfy constraint"),
        ({"x_amzn_sagemaker_custom_attributes": "x" * 1025}, "have length less than or equal to 1024"),
    ],
)
def test_what_cannot_be_called_is_refused_as_a_validation_error(program, routes, asked, message):
    served = program()
    route(routes, served.dial)
    response = call(routes, **asked)
    code, said = refusal(response)
    assert (response.status, code) == (400, "ValidationError")
    assert message in said["Message"]
    assert not served.requests


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/endpoints/e/async-invocations", "InvokeEndpointAsync"),
        ("POST", "/endpoints/e/invocations-response-stream", "InvokeEndpointWithResponseStream"),
        ("GET", "/endpoints/e/invocations", "GET /endpoints/e/invocations"),
    ],
)
def test_an_operation_that_is_not_there_is_refused_by_its_name(routes, method, path, name):
    response = call(routes, method=method, path=path)
    assert response.status == 400
    assert refusal(response)[0] == "UnknownOperationException"
    assert name in refusal(response)[1]["Message"]


def test_boto3_finds_the_containers_own_words_in_the_error(account, runtime):
    account.programs.add("refuses", "def invoke(body, headers): return 422, b'row 3: no number'")
    account.endpoint("first", account.config("v1", image="refuses"))
    with pytest.raises(ClientError) as raised:
        runtime.invoke_endpoint(EndpointName="first", Body=b"1")
    said = raised.value.response
    assert said["Error"]["Code"] == "ModelError"
    assert (said["OriginalStatusCode"], said["OriginalMessage"]) == (422, "row 3: no number")
    with pytest.raises(runtime.exceptions.ValidationError, match="Endpoint none of account"):
        runtime.invoke_endpoint(EndpointName="none", Body=b"1")
