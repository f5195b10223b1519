"""A small world for the control plane: real store, objects and programs; fakes for what lies outside."""

import asyncio
import json
import stat
import textwrap
import threading
import time

import pytest

from byoc.local.errors import AwsError, validation
from byoc.local.s3.store import ObjectStore
from byoc.local.sagemaker import endpoint_configs, models, tags, training_jobs
from byoc.local.sagemaker.plane import SageMakerPlane
from byoc.local.sagemaker.store import Store
from byoc.local.sagemaker.training_runs import TrainingRuns
from byoc.local.wire import Request
from byoc.local.world import World
from byoc.runtime.container import Folder, Landlord

ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
BUCKET = "sagemaker-us-east-1-123456789012"
ENDED = ("Completed", "Failed", "Stopped")


class FakeLogs:
    """Keeps events in memory by (group, stream)."""

    def __init__(self):
        self.streams = {}
        self.changed = threading.Condition()

    def put(self, group, stream, events):
        with self.changed:
            self.streams.setdefault((group, stream), []).extend(events)
            self.changed.notify_all()

    def lines(self):
        return [text for events in self.streams.values() for _, text in events]

    def wait_for(self, line, within_s=10.0):
        with self.changed:
            assert self.changed.wait_for(lambda: line in self.lines(), within_s), self.lines()


class FakeMetrics:
    """Keeps values in memory."""

    def __init__(self):
        self.values = []

    def put(self, namespace, name, value, dimensions, _at_s):
        self.values.append((namespace, name, value, dimensions))


class FakeRoles:
    """Knows one role."""

    def check(self, role_arn):
        if role_arn != ROLE:
            raise validation(f"Could not assume role {role_arn}.")


class FakeImages:
    """Knows the folders that a test has written."""

    def __init__(self):
        self.folders = {}

    def find(self, image):
        if image not in self.folders:
            raise validation(f"Could not find image {image}.")
        return Folder(self.folders[image])


@pytest.fixture
def world(tmp_path):
    landlord = Landlord(1, lambda _: None, lambda url: {"AWS_ENDPOINT_URL": url})
    objects = ObjectStore(tmp_path / "objects")
    objects.create_bucket(BUCKET)
    world = World(
        account="123456789012",
        region="us-east-1",
        folder=tmp_path / "places",
        store=Store(tmp_path / "state.sqlite"),
        objects=objects,
        logs=FakeLogs(),
        metrics=FakeMetrics(),
        roles=FakeRoles(),
        images=FakeImages(),
        landlord=landlord,
        clock=time.time,
    )
    yield world
    world.store.close()
    objects.close()


@pytest.fixture
def program(world, tmp_path):
    """Write a shell script as the `train` of an image of its own name, `ml` being its /opt/ml."""

    def program(script, image="image"):
        folder = tmp_path / image
        folder.mkdir(exist_ok=True)
        file = folder / "train"
        file.write_text("#!/bin/sh\nml=${SAGEMAKER_BASE_DIR:-/opt/ml}\n" + textwrap.dedent(script))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        (folder / "serve").write_text("#!/bin/sh\n")
        world.images.folders[image] = folder
        return image

    return program


@pytest.fixture
def put(world, tmp_path):
    """Put an object of these bytes into the bucket."""

    def put(key, body=b"data"):
        file = tmp_path / "to-put"
        file.write_bytes(body)
        world.objects.put_file(BUCKET, key, file)
        return f"s3://{BUCKET}/{key}"

    return put


@pytest.fixture
def runs(world):
    runs = TrainingRuns(world, grace_s=2.0)
    yield runs
    runs.close()


@pytest.fixture
def plane(world, runs):
    operations = {
        **models.OPERATIONS,
        **endpoint_configs.OPERATIONS,
        **tags.OPERATIONS,
        **training_jobs.operations(runs),
    }
    return SageMakerPlane(world, operations)


@pytest.fixture
def post(plane):
    """Send one request as it goes over the wire; return status and parsed answer."""

    def post(target, body=b"{}", method="POST"):
        async def pieces():
            yield body

        request = Request(method, "/", "", {"x-amz-target": target}, pieces())
        response = asyncio.run(plane(request))
        return response.status, json.loads(response.body or b"{}")

    return post


@pytest.fixture
def ask(post):
    """Call an operation: `ask("DescribeModel", ModelName="m")`; AwsError where it is refused."""

    def ask(operation, **request):
        status, answer = post(f"SageMaker.{operation}", json.dumps(request).encode())
        if status != 200:
            raise AwsError(answer["__type"], answer["message"], status)
        return answer

    return ask


@pytest.fixture
def job_request(program):
    """The least that CreateTrainingJob takes, of a program that does nothing but end well."""
    image = program("true")
    return {
        "TrainingJobName": "Job-1",
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


@pytest.fixture
def ended(ask):
    """Wait until a job has ended and return how it is described."""

    def ended(name="Job-1", within_s=20.0):
        give_up = time.monotonic() + within_s
        while (job := ask("DescribeTrainingJob", TrainingJobName=name))["TrainingJobStatus"] not in ENDED:
            assert time.monotonic() < give_up, job
            threading.Event().wait(0.02)
        return job

    return ended
