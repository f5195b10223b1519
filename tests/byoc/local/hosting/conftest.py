"""A world for endpoints: a real store, real objects, real programs; CloudWatch, IAM and ECR are fakes."""

import io
import socket
import tarfile
import textwrap
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import boto3
import pytest
import uvicorn
from botocore.config import Config

from byoc.local.asgi import asgi_app
from byoc.local.errors import AwsError
from byoc.local.hosting import endpoints
from byoc.local.hosting.hosting import Hosting
from byoc.local.hosting.invoke import InvokePlane
from byoc.local.hosting.tempo import Tempo
from byoc.local.s3.store import ObjectStore
from byoc.local.sagemaker import endpoint_configs, models
from byoc.local.sagemaker.plane import SageMakerPlane
from byoc.local.sagemaker.store import Store
from byoc.local.world import World
from byoc.runtime.container import Folder, Landlord
from processes import eventually

REGION, ACCOUNT = "us-east-1", "123456789012"
QUICK = Tempo(watch_s=0.02, ping_s=0.05, failures=2, back_off_s=0.05, drain_s=5, close_grace_s=0.5, close_s=5)

# Answers with what it is and what it was asked; keeps connections alive unless it is told otherwise.
PROGRAM = """
import http.server, json, os, signal, sys, time
from pathlib import Path

BASE = Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self):
        self.answer(*ping())

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        self.answer(*invoke(self.rfile.read(length), self.headers))

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

def ping():
    return 200, b""

def invoke(body, headers):
    return 200, body

{behaviour}

print("serving as", os.getpid(), flush=True)
port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
http.server.ThreadingHTTPServer(("0.0.0.0", port), Answers).serve_forever()
"""


class FakeLogs:
    """Keeps the lines of each stream."""

    def __init__(self):
        self.lines = defaultdict(list)

    def put(self, group, stream, events):
        self.lines[group, stream] += [text for _, text in events]

    def of(self, endpoint):
        """All that the instances of an endpoint have written."""
        group = f"/aws/sagemaker/Endpoints/{endpoint}"
        return [line for (where, _), lines in list(self.lines.items()) if where == group for line in lines]


class NoMetrics:
    def put(self, namespace, name, value, dimensions, at_s):
        pass


class AnyRole:
    def check(self, role_arn):
        pass


@dataclass
class Programs:
    """Folders by the image that they stand for."""

    folder: Path
    images: dict[str, Path] = field(default_factory=dict)

    def find(self, image):
        if image not in self.images:
            raise AwsError("ValidationException", f"There is no image {image}.")
        return Folder(self.images[image])

    def add(self, image, behaviour=""):
        """Write a program with a behaviour of its own; return the image's name."""
        self.images[image] = self.folder / image
        self.images[image].mkdir(parents=True, exist_ok=True)
        source = PROGRAM.replace("{behaviour}", textwrap.dedent(behaviour))
        (self.images[image] / "serve").write_text("#!/usr/bin/env python\n" + source)
        return image


class Account:
    """Everything of one account, with the operations as a client calls them."""

    def __init__(self, folder: Path, tempo: Tempo = QUICK) -> None:
        self.folder = folder
        self.tempo = tempo
        self.programs = Programs(folder / "images")
        self.logs = FakeLogs()
        self.store = Store(folder / "sagemaker.sqlite")
        self.objects = ObjectStore(folder / "objects")
        self.objects.create_bucket("bucket")
        self.world = World(
            account=ACCOUNT,
            region=REGION,
            folder=folder / "programs",
            store=self.store,
            objects=self.objects,
            logs=self.logs,
            metrics=NoMetrics(),
            roles=AnyRole(),
            images=self.programs,
            landlord=Landlord(9, socket.socket.close, lambda url: {"AWS_ENDPOINT_URL": url}),
            clock=time.time,
        )
        self.hosting = Hosting(self.world, tempo)

    def restart(self):
        """End this Hosting as its process would end, and begin another one."""
        self.hosting.close()
        self.hosting = Hosting(self.world, self.tempo)
        self.hosting.restore()

    @property
    def operations(self):
        return {**models.OPERATIONS, **endpoint_configs.OPERATIONS, **endpoints.operations(self.hosting)}

    def ask(self, operation, **request):
        return self.operations[operation](self.world, request)

    def upload(self, key, data):
        """Put an object; return its URI."""
        file = self.folder / "upload"
        file.write_bytes(data)
        self.objects.put_file("bucket", key, file)
        return f"s3://bucket/{key}"

    def model_data(self, name):
        """Upload a model.tar.gz with a name in it; return its URI."""
        return self.upload(f"{name}/model.tar.gz", archive({"name.txt": name.encode()}))

    def config(self, name, *variants, image="echo", **model):
        """Create a model and a config of it; `variants` are members of ProductionVariant."""
        self.ask("CreateModel", ModelName=name, PrimaryContainer={"Image": image, **model})
        of_all = {"ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        given = variants or ({"VariantName": "AllTraffic"},)
        filled = [{**of_all, **variant} for variant in given]
        self.ask("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=filled)
        return name

    def endpoint(self, name, config):
        self.ask("CreateEndpoint", EndpointName=name, EndpointConfigName=config)
        return self.settled(name)

    def describe(self, name):
        return self.ask("DescribeEndpoint", EndpointName=name)

    def settled(self, name):
        """Wait until nothing is under way with an endpoint; return its document."""
        in_progress = ("Creating", "Updating", "RollingBack", "Deleting")
        assert eventually(lambda: self.describe(name)["EndpointStatus"] not in in_progress, 20)
        return self.describe(name)


def archive(files):
    """Return a tar.gz with these files."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


@pytest.fixture
def account(tmp_path):
    made = Account(tmp_path)
    made.programs.add("echo")
    yield made
    made.hosting.close()
    made.store.close()
    made.objects.close()


class Front:
    """A web server in a thread, in front of the planes of the account that a test sets."""

    def __init__(self):
        self.account = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        config = uvicorn.Config(asgi_app(self._answer), lifespan="off", ws="none", log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],))
        self._thread.start()
        assert eventually(lambda: self._server.started)

    async def _answer(self, request):
        if request.path.startswith("/endpoints/"):
            return await InvokePlane(self.account.world, self.account.hosting)(request)
        return await SageMakerPlane(self.account.world, self.account.operations)(request)

    def client(self, service):
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="any",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
        )

    def close(self):
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="session")
def front():
    served = Front()
    yield served
    served.close()


@pytest.fixture(scope="session")
def runtime_client(front):
    return front.client("sagemaker-runtime")


@pytest.fixture
def runtime(front, runtime_client, account):
    """A boto3 client of the account's endpoints."""
    front.account = account
    return runtime_client
