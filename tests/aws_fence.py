"""The fence around every test: AWS is out of reach, but for an embedded S3 on loopback."""

import ipaddress
import os
from collections.abc import MutableMapping
from urllib.parse import urlsplit

from botocore.httpsession import URLLib3Session

# For clients that were given no endpoint, those of child processes too: a port where nobody listens.
NOBODYS_AWS = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_MAX_ATTEMPTS": "1",
}
_LOOPBACK = ("127.0.0.1", "localhost")


class YouReachedForRealAws(AssertionError):  # noqa: N818 - named for the mistake
    """A test let an AWS client call a host that is not this machine. Ask for the `bucket` fixture."""


def forget_the_laptops_aws(environ: MutableMapping[str, str]) -> None:
    """Replace this machine's own AWS settings by nobody's, and send nothing for loopback to its proxy."""
    for name in [name for name in environ if name.startswith("AWS_")]:
        del environ[name]
    environ.update(NOBODYS_AWS)
    given = environ.get("NO_PROXY", environ.get("no_proxy"))
    environ["NO_PROXY"] = environ["no_proxy"] = ",".join(filter(None, [given, *_LOOPBACK]))


def stop_what_leaves_this_machine() -> None:
    """Let no AWS client of this process call another host. Safe to repeat."""
    send = getattr(URLLib3Session.send, "unfenced", URLLib3Session.send)

    def send_within_this_machine(self, request):
        if not _is_loopback(urlsplit(request.url).hostname):
            raise YouReachedForRealAws(f"{request.method} {request.url}")
        return send(self, request)

    send_within_this_machine.unfenced = send
    URLLib3Session.send = send_within_this_machine


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
