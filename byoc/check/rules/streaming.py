"""The rule on streams in both directions, where an image claims them."""

import base64
import hashlib
import secrets

from byoc.check import sources
from byoc.check.exchange import Answer
from byoc.check.facts import BIDIRECTIONAL
from byoc.check.lab import Lab
from byoc.check.rule import Part, Rule
from byoc.check.verdict import Verdict, failed, passed

_PATH = "/invocations-bidirectional-stream"
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_SWITCHES = 101


def bidirectional_stream(lab: Lab) -> Verdict:
    """Whether a WebSocket begins where SageMaker begins one; nothing is sent through it."""
    server = lab.server()
    if lab.facts.labels.get(BIDIRECTIONAL, "").lower() != "true":
        return passed("It has no label bidirectional-streaming=true, and so is for calls alone.")
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
    }
    return judged(server.ask("GET", _PATH, headers=headers), key)


def judged(answer: Answer, key: str) -> Verdict:
    """Judge what is answered to the request for a WebSocket with a key."""
    if answer.status != _SWITCHES:
        return failed(f"It has the label bidirectional-streaming=true, and GET {_PATH} is answered {answer}.")
    accepts = base64.b64encode(hashlib.sha1(f"{key}{_MAGIC}".encode()).digest()).decode()  # noqa: S324 - RFC 6455
    if answer.headers.get("sec-websocket-accept") != accepts:
        return failed(f"GET {_PATH} is answered 101 with a Sec-WebSocket-Accept that is not of its key.")
    return passed(f"A WebSocket begins at {_PATH}; what is said through it is not tested.")


RULES = (
    Rule(
        id="bidirectional-stream",
        part=Part.SERVE,
        says=f"begins a WebSocket at {_PATH}, if its label bidirectional-streaming says so",
        why="InvokeEndpointWithBidirectionalStream connects there, at port 8080.",
        so="streams in both directions fail",
        mend=f"Take WebSockets at {_PATH}: not all servers can; or have no such label.",
        source=sources.INFERENCE,
        test=bidirectional_stream,
    ),
)
