"""A client for /invocations, with nothing but the standard library, on a laptop and in the image alike."""

import argparse
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

URL = "http://127.0.0.1:8080/invocations"
HERE = Path(__file__).resolve().parent
TIMEOUT_S = 70  # an endpoint gives its container 60 (SageMaker developer guide, your own inference code)

CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".ndjson": "application/jsonlines",
    ".npy": "application/x-npy",
    ".txt": "text/plain",
}


class UsageError(Exception):
    """Something on the command line cannot be used: exit status 2."""


class NoAnswerError(Exception):
    """The server did not answer, or not with a prediction: exit status 1."""


@dataclass(frozen=True)
class Answer:
    """The status, content type and body of an answer, and how long it took, in milliseconds."""

    status: int
    content_type: str
    body: bytes
    ms: float


def main(arguments: list[str], environ: Mapping[str, str]) -> int:
    """Send one request, print the answer; return the exit status."""
    args = _parser().parse_args(arguments)
    try:
        body, guessed_type = body_of(args.file, environ)
        answer = post(args.url, body, args.content_type or guessed_type, args.accept)
    except UsageError as error:
        return _complain(str(error), 2)
    except NoAnswerError as error:
        return _complain(str(error), 1)
    print(f"{answer.status}, {answer.ms:.1f} ms", file=sys.stderr)
    if not 200 <= answer.status < 300:
        return _complain(message_in(answer.body), 1)
    ended = answer.content_type == "application/x-npy" or answer.body.endswith(b"\n")
    return _write(answer.body if ended else answer.body + b"\n")


def body_of(file: str | None, environ: Mapping[str, str]) -> tuple[bytes, str]:
    """Return what to send and its content type, by the file's suffix.

    Without a file: the sample rows in the manifest of the model that main.py kept, or of /opt/ml/model.

    Raises:
        UsageError: there is nothing to send.
    """
    if file == "-":
        return sys.stdin.buffer.read(), "application/json"
    if file is None:
        opt_ml = Path(environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
        return _sample_rows([HERE / "apps" / ".temps" / "model", opt_ml / "model"])
    path = Path(file)
    try:
        return path.read_bytes(), CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}. Give another with --file.") from None


def post(url: str, body: bytes, content_type: str, accept: str | None) -> Answer:
    """Send a body as it is and return the answer, whatever its status.

    Raises:
        UsageError: it is not a URL of HTTP, or a header cannot be sent.
        NoAnswerError: nobody listens there, or no whole answer came in TIMEOUT_S.
    """
    _check(url)
    headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    started = time.perf_counter()
    try:
        request = urllib.request.Request(url, body, headers)  # noqa: S310 - the caller names the URL
        with opener.open(request, timeout=TIMEOUT_S) as response:
            status, answered, kind = response.status, response.read(), response.headers.get_content_type()
    except urllib.error.HTTPError as error:
        with error:
            status, answered, kind = error.code, error.read(), error.headers.get_content_type()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswerError(_no_answer(url, error)) from None
    except ValueError as error:
        raise UsageError(f"The request cannot be sent to {url}: {error}.") from None
    return Answer(status, kind, answered, (time.perf_counter() - started) * 1000)


def message_in(body: bytes) -> str:
    """Return what the container says went wrong: the message of its JSON error, or the body itself."""
    try:
        error = json.loads(body)["error"]
        return f"{error['message']} (id {error['id']})" if "id" in error else str(error["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace").strip() or "The answer is empty."


def _check(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        is_http = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_http = False
    if not is_http:
        raise UsageError(f"{url} is not a URL of HTTP. Begin with http://, as in {URL}.")


def _sample_rows(models: Sequence[Path]) -> tuple[bytes, str]:
    for model in models:
        try:
            rows = json.loads((model / "manifest.json").read_bytes())["sample_rows"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if rows:
            return json.dumps(rows).encode(), "application/json"
    places = " nor in ".join(str(model) for model in models)
    raise UsageError(f"There is no manifest with sample_rows in {places}. Say with --file what to send.")


def _no_answer(url: str, error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return f"{url} did not answer within {TIMEOUT_S} s. Its log says what it is doing."
    if isinstance(cause, ConnectionRefusedError):
        here = os.path.relpath(Path(__file__).parent)
        return (
            f"Nobody listens at {url}. Start a server: python {here}/debug_api.py, "
            "or docker run -p 127.0.0.1:8080:8080 ... serve."
        )
    return f"{url} gave no answer: {str(cause).strip() or type(cause).__name__}. Its log says why."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="test_api.py", description=__doc__)
    parser.add_argument("--url", default=URL, help="default: %(default)s")
    parser.add_argument(
        "--file", help="what to send; - is standard input; default: the manifest's sample rows"
    )
    parser.add_argument("--content-type", help="default: by the file's suffix")
    parser.add_argument("--accept", help="such as text/csv; default: the server's own")
    return parser


def _write(body: bytes) -> int:
    try:
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
    except BrokenPipeError:  # read by head, or less: enough was seen
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _complain(text: str, status: int) -> int:
    print(f"test_api.py: {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
