"""Waits until a served program answers /ping, and says why where it never does."""

import http.client
import time
from collections.abc import Callable

from byoc.errors import ProgramError
from byoc.runtime.network import Dial
from byoc.runtime.process import Process

PING_TIMEOUT_S = 2.0  # AWS, "Custom Inference Code with Hosting Services": how containers respond to pings
_LONGEST_ANSWER = 4096  # bytes that are read of it
_OK = 200
_LOOK_S = 0.05


def ping(dial: Dial) -> tuple[int, str]:
    """Return the status and body of GET /ping; status 0 and the reason where nobody answers."""
    connection = http.client.HTTPConnection("localhost", timeout=PING_TIMEOUT_S)
    try:
        connection.sock = dial()
        connection.sock.settimeout(PING_TIMEOUT_S)
        connection.request("GET", "/ping")
        response = connection.getresponse()
        return response.status, response.read(_LONGEST_ANSWER).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error) or type(error).__name__
    finally:
        connection.close()


def wait_until_ready(
    process: Process, dial: Dial, timeout_s: float = 480.0, report: Callable[[str], None] = lambda _: None
) -> None:
    """Return when /ping answers 200; any other answer is "not yet". SageMaker's patience is 8 minutes.

    Args:
        process: what serves.
        dial: connects to it, as `Container.dial`.
        timeout_s: how long to wait.
        report: hears every other answer that is new.

    Raises:
        ProgramError: the program ended (at once), or did not answer in time; the message has the last
            answer and the last lines of its log.
    """
    give_up = time.monotonic() + timeout_s
    reported = ""
    name = process.command.name
    while True:
        status, body = ping(dial)
        if status == _OK:
            return
        if (ended_with := process.poll()) is not None:
            raise ProgramError(f"{name} ended with status {ended_with} before it was ready. {process.tail()}")
        answer = f"/ping answered {status} {body}".strip() if status else f"no answer to /ping ({body})"
        if time.monotonic() > give_up:
            raise ProgramError(f"{name} was not ready after {timeout_s:g} s: {answer}. {process.tail()}")
        if answer != reported:
            report(answer)
            reported = answer
        time.sleep(_LOOK_S)
