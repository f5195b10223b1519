"""Faults of how calls are answered."""

from faulty import Fault

_POST = "    def do_POST(self):\n"
_PARAMETERS = '        elif self.path == "/execution-parameters":\n'
_INVOKE = '        elif self.path == "/invocations":\n'
_ANSWERED = '            self.answer(200 if said[0] == "+" else 400, said[1:])\n'
_LENGTH = '        self.send_header("Content-Length", str(len(body)))\n'


def refusing(when, status=400):
    """Return the edit that refuses calls of which something is true."""
    return ("serve", _INVOKE, f"        elif {when}:\n            self.answer({status})\n{_INVOKE}")


def limited(most_bytes):
    """Return the edit that answers long bodies with 413, unread, and closes the connection."""
    return (
        "serve",
        _POST,
        _POST
        + f'        if int(self.headers.get("Content-Length", "0")) > {most_bytes}:\n'
        + "            self.close_connection = True\n"
        + "            return self.answer(413)\n",
    )


FAULTS = [
    Fault("invocation-answers", (("serve", _ANSWERED, "            self.answer(500, said)\n"),)),
    Fault("unknown-headers", (refusing("len(self.headers) > 20"),)),
    Fault(
        "content-type-parameters",
        (("serve", '.partition(";")[0].strip().lower()', ""),),
    ),
    Fault("accept-types", (refusing('self.headers.get("Accept") == "*/*"', 500),)),
    Fault(
        "custom-attributes",
        (refusing('len(self.headers.get("X-Amzn-SageMaker-Custom-Attributes", "")) > 256'),),
    ),
    Fault("keep-alive", (("serve", _LENGTH, f'{_LENGTH}        self.send_header("Connection", "close")\n'),)),
    Fault(
        "response-framing",
        (("serve", _LENGTH, _LENGTH.replace("len(body)", "max(0, len(body) - 1)")),),
    ),
    Fault(
        ("keep-alive", "response-framing"),
        (("serve", 'protocol_version = "HTTP/1.1"', 'protocol_version = "HTTP/1.0"'),),
    ),
    # What calls at the same time are answered is mixed up.
    Fault(
        "concurrent-calls",
        (
            (
                "serve",
                _ANSWERED,
                f"            said += said[1:] if len(pool.free) < WORKERS else ''\n{_ANSWERED}",
            ),
        ),
    ),
    Fault(
        "metrics-quiet",
        (
            (
                "serve",
                _PARAMETERS,
                f'        elif self.path == "/metrics":\n            self.answer(500)\n{_PARAMETERS}',
            ),
        ),
    ),
    Fault(("body-6mb", "body-25mb"), (limited("5_000_000"),)),
    Fault("body-25mb", (limited("20_000_000"),)),
]
