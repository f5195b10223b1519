"""A local S3 on loopback, served by a real web server in a thread, for all tests of this folder."""

import http.client
import os
import socket
import threading
from contextlib import contextmanager
from functools import cached_property

import boto3
import pytest
import uvicorn
from botocore.config import Config

from byoc.local.asgi import asgi_app
from byoc.local.s3.plane import S3Plane
from byoc.local.s3.store import ObjectStore


class LocalS3:
    """Where a local S3 answers."""

    def __init__(self, port, store):
        self.port = port
        self.store = store
        self.url = f"http://127.0.0.1:{port}"

    @property
    def env(self):
        return os.environ | {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    @cached_property
    def session(self):
        return boto3.Session("key", "secret", region_name="us-east-1")

    @cached_property
    def client(self):
        config = Config(retries={"max_attempts": 0, "mode": "standard"}, max_pool_connections=20)
        return self.session.client("s3", endpoint_url=self.url, config=config)

    def ask(self, method, path, body=b"", **headers):
        """Return status, headers and body of the answer to a request as it is written here."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()


@contextmanager
def serving(root):
    store = ObjectStore(root)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plane = S3Plane(store, "us-east-1")
        config = uvicorn.Config(
            asgi_app(plane), http="httptools", loop="uvloop", lifespan="off", ws="none", log_level="error"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield LocalS3(listener.getsockname()[1], store)
        finally:
            server.should_exit = True
            thread.join()
            store.close()


@pytest.fixture(scope="session")
def local_s3(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("local-s3")) as running:
        yield running


@pytest.fixture
def made_bucket(local_s3, request):
    """The name of a bucket of the test's own."""
    name = f"test-{abs(hash(request.node.nodeid)):x}"
    local_s3.store.create_bucket(name)
    return name


@pytest.fixture
def refused(local_s3):
    """Call the client and return the error's code and HTTP status."""

    def call(operation, **request):
        with pytest.raises(local_s3.client.exceptions.ClientError) as raised:
            getattr(local_s3.client, operation)(**request)
        told = raised.value.response
        return told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]

    return call
