"""An embedded AWS on loopback: moto's S3, ECR and STS behind one URL, for the demo and the tests."""

import argparse
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, Never

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

LOOPBACK = "127.0.0.1"
REGION = "us-east-1"

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_ECR_TARGET = "AmazonEC2ContainerRegistry"
_ECR_HOST = re.compile(rb"(https://)?\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com")
_HOST_PORT = re.compile(r"[A-Za-z0-9.-]+:\d{1,5}")


@dataclass(frozen=True)
class EmbeddedAws:
    """A running embedded AWS: where it is and how clients are sent to it."""

    url: str
    region: str

    def environment(self, inherited: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return `inherited` with every AWS setting replaced, so that clients reach this AWS and no other.

        The user's own profile, credentials, region and endpoints do not leak in: all AWS_* variables go,
        and the configuration files are those of nobody.
        """
        kept = {name: value for name, value in (inherited or {}).items() if not name.startswith("AWS_")}
        no_proxy = ",".join(filter(None, [kept.get("NO_PROXY", kept.get("no_proxy")), LOOPBACK]))
        return kept | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "embedded",
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }


@contextmanager
def embedded_aws(
    *, registry: str | None = None, port: int = 0, region: str = REGION
) -> Iterator[EmbeddedAws]:
    """Serve S3, ECR, STS and whatever else moto has on 127.0.0.1 until the block ends.

    moto keeps its state per process: two of these in one process show the same buckets.

    Args:
        registry: HOST:PORT of a real registry (plain http) that ECR's answers shall point at.
        port: 0 takes a free one.
        region: the one that clients are told.

    Raises:
        ValueError: `registry` is not HOST:PORT.
        OSError: the port is taken.
    """
    app: WsgiApp = DomainDispatcherApplication(create_backend_app)
    if registry is not None:
        app = _pointing_at(registry, app)
    # Listened on here, as werkzeug would end the process when the port is taken.
    with socket.create_server((LOOPBACK, port)) as listener:
        port = listener.getsockname()[1]
        server = make_server(
            LOOPBACK, port, app, threaded=True, request_handler=_QuietHandler, fd=listener.fileno()
        )
    thread = threading.Thread(target=server.serve_forever, name="embedded-aws", daemon=True)
    thread.start()
    try:
        yield EmbeddedAws(f"http://{LOOPBACK}:{port}", region)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run in the foreground until SIGINT or SIGTERM; the URL is the first and only line on stdout."""
    parser = argparse.ArgumentParser(prog="python -m byoc.local.aws", description=__doc__)
    parser.add_argument("--registry", metavar="HOST:PORT", help="a real registry that ECR's answers point at")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--region", default=REGION)
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with embedded_aws(registry=asked.registry, port=asked.port, region=asked.region) as aws:
            print(aws.url, flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        return 0
    except (OSError, ValueError) as error:
        print(f"The embedded AWS did not start: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> Never:
    raise KeyboardInterrupt


def _pointing_at(registry: str, app: WsgiApp) -> WsgiApp:
    """Return `app` with the registry host in ECR's answers replaced (repositoryUri and proxyEndpoint)."""
    if not _HOST_PORT.fullmatch(registry):
        raise ValueError(f"the registry is {registry!r}. Give HOST:PORT, such as 127.0.0.1:5000.")

    def replaced(match: re.Match[bytes]) -> bytes:
        return (b"http://" if match[1] else b"") + registry.encode()

    def rewriting(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith(_ECR_TARGET):
            return app(environ, start_response)
        answered: list[Any] = []
        body = b"".join(app(environ, lambda *answer: answered.append(answer)))
        body = _ECR_HOST.sub(replaced, body)
        status, headers, *rest = answered[-1]
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(body)))], *rest)
        return [body]

    return rewriting


class _QuietHandler(MotoRequestHandler):
    """Leaves the terminal to whoever embeds this: no line for each request."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Drop the line."""


if __name__ == "__main__":
    sys.exit(main())
