"""The fence around every test: AWS is out of reach, but for an embedded S3 on loopback."""

import ipaddress
import os
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


class YouReachedForRealAws(AssertionError):  # noqa: N818 - named for the mistake
    """A test let an AWS client call a host that is not this machine. Ask for the `bucket` fixture."""


def put_aws_out_of_reach(monkeypatch):
    """Forget this machine's own AWS settings, and stop any call that would leave it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in NOBODYS_AWS.items():
        monkeypatch.setenv(name, value)
    send = URLLib3Session.send

    def send_within_this_machine(self, request):
        if not _is_loopback(urlsplit(request.url).hostname):
            raise YouReachedForRealAws(f"{request.method} {request.url}")
        return send(self, request)

    monkeypatch.setattr(URLLib3Session, "send", send_within_this_machine)


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
