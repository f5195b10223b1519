"""generate_endpoint.py on a local SageMaker: an endpoint is made, left alone, updated, mended, taken up."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from byoc.deploy.errors import DeployError, MissingError
from byoc.errors import ByocError
from byoc.local.testing import sagemaker_local_for_a_while
from byoc_serving.model_version import describe, upload, write_manifest
from processes import eventually
from serving import program_with

ROOT = Path(__file__).parents[1]
UPLOAD = ROOT / "container" / "custom_algorithm" / "apps" / "s3_upload.py"
DOOR = [sys.executable, str(ROOT / "generate_endpoint.py")]
WAITS = """
import time
from pathlib import Path
def model_fn(model_dir):
    while not Path(__file__).with_name("gate").exists():
        time.sleep(0.05)
def predict_fn(data, model):
    return [0.0 for _ in data]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the programs."""
    return tmp_path_factory.mktemp("programs")


@pytest.fixture(scope="module")
def world(folder):
    """A local SageMaker with a quick program and one that waits; our environment leads to it."""
    quick = program_with(ROOT / "tests" / "fixtures" / "quick_apps", folder / "quick")
    shutil.copy(UPLOAD, quick / "apps")
    (folder / "waiting").mkdir()
    (folder / "waiting" / "inference.py").write_text(WAITS)
    waits = program_with(folder / "waiting", folder / "waits")
    programs = {"quick": quick, "waits": waits}
    with sagemaker_local_for_a_while(programs) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in running.environment.items():
            patch.setenv(name, value)
        yield running


def model_in(folder, limit):
    folder.mkdir(exist_ok=True)
    (folder / "rule.json").write_text(json.dumps({"column": 20, "limit": limit}))
    return folder


@pytest.fixture(scope="module")
def versions(world, tmp_path_factory):
    """Two model versions in the bucket, each as the flags that name it."""

    def uploaded(limit):
        folder = model_in(tmp_path_factory.mktemp("model"), limit)
        manifest = describe(folder, name="rule", n_features=30)
        write_manifest(folder, manifest)
        version = upload(folder, manifest, f"s3://{world.bucket}/models")
        return ("--model-version", version.uri, "--model-manifest-sha256", version.manifest_sha256)

    return uploaded(16.8), uploaded(1000.0)


@pytest.fixture
def door(world, capsys):
    """Return a function that runs the door in this process and returns what it said."""
    sys.path.insert(0, str(ROOT))
    from generate_endpoint import generate_endpoint

    def run(*arguments):
        generate_endpoint.main(args=["--image", "quick", *arguments], standalone_mode=False)
        return capsys.readouterr().out

    yield run
    sys.path.remove(str(ROOT))


class Seen:
    """What a client other than the door finds there."""

    def __init__(self):
        self.client = functools.cache(boto3.session.Session().client)  # each takes long to make
        self._body = (ROOT / "dummy_data" / "breast_cancer.csv").read_bytes()

    def ones(self, name, runtime="sagemaker-runtime"):
        """Return how many of the sample's rows an endpoint calls malignant."""
        answer = self.client(runtime).invoke_endpoint(
            EndpointName=name, Body=self._body, ContentType="text/csv"
        )
        return sum(json.loads(answer["Body"].read()))

    def listed(self, kind):
        """Return the summaries of all that there is of a kind."""
        answer = getattr(self.client("sagemaker"), f"list_{kind}")()
        return [entry for key, entries in answer.items() if key != "ResponseMetadata" for entry in entries]


@pytest.fixture(scope="module")
def seen(world):
    """What is there, for all tests of the module."""
    return Seen()


@pytest.mark.sdk  # version 2, which takes 6 s of the processor
def test_the_dummy_estimator_pulls_what_was_piped_in_and_the_endpoint_answers(world, seen, tmp_path):
    model = model_in(tmp_path / "model", 17.0)
    apart = (
        "--role SageMakerExecutionRole --tags team=us --max-run 600 --subnets subnet-1 --security-groups sg-1"
    )
    piped = (
        f"{sys.executable} {UPLOAD} {model} s3://{world.bucket}/models --name rule | "
        f"{' '.join(DOOR)} --name piped --image quick --model-version - {apart}"
    )
    made = subprocess.run(["sh", "-c", piped], cwd=ROOT, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    told = made.stdout.splitlines()
    assert told[0] == f"LOCAL: account 123456789012, region us-east-1, {world.url}"
    region = "--region us-east-1"
    assert told[-3:] == [
        f"Delete it: aws sagemaker delete-endpoint --endpoint-name piped {region}",
        f"Or with its models and configurations: python generate_endpoint.py --delete --name piped {region}",
        f"And its files: aws s3 rm --recursive s3://{world.bucket}/endpoints/piped/ {region}",
    ]
    assert "sagemaker.config" not in made.stdout

    sagemaker = seen.client("sagemaker")
    (name,) = [job["TrainingJobName"] for job in seen.listed("training_jobs")]
    job = sagemaker.describe_training_job(TrainingJobName=name)
    assert set(job["HyperParameters"]) == {"model_version", "model_manifest_sha256"}
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 600
    assert job["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert [channel["ChannelName"] for channel in job["InputDataConfig"]] == ["dummy_data"]
    assert not {"DebugHookConfig", "DebugRuleConfigurations"} & set(job)
    arn = sagemaker.describe_endpoint(EndpointName="piped")["EndpointArn"]
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "us"}]
    assert 0 < seen.ones("piped") == seen.ones("piped", runtime="runtime.sagemaker")

    asked = subprocess.run(
        [sys.executable, ROOT / "test_endpoint.py", "piped", "--accept", "text/csv"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (asked.returncode, len(asked.stdout.splitlines())) == (0, 114), asked.stderr


def test_directly_it_is_made_left_alone_and_updated_without_any_sdk(seen, versions, door, tmp_path):
    first, second = versions
    (tmp_path / "sagemaker").mkdir()
    (tmp_path / "sagemaker" / "__init__.py").write_text("raise AssertionError('you imported the SDK')")
    without_sdk = {**os.environ, "PYTHONPATH": str(tmp_path)}
    made = subprocess.run(
        [*DOOR, "--name", "direct", "--image", "quick", "--direct", *first],
        cwd=ROOT,
        env=without_sdk,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    container = seen.client("sagemaker").describe_model(ModelName=seen.listed("models")[0]["ModelName"])
    assert container["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]["S3Uri"] == first[1]
    assert container["PrimaryContainer"]["Environment"] == {"MODEL_MANIFEST_SHA256": first[3]}
    assert seen.ones("direct") > 0

    configs = len(seen.listed("endpoint_configs"))
    again = door("--name", "direct", "--direct", *first)
    assert "Endpoint direct is as it should be: nothing to do." in again
    with pytest.raises(DeployError, match=r"Update it to direct-.*\? Nobody can answer here: give --yes"):
        door("--name", "direct", "--direct", *second)
    the_other_way = door("--name", "direct", "--dry-run", *first)
    assert (
        "Note: Endpoint direct has this version and image already, deployed with --direct." in the_other_way
    )
    assert len(seen.listed("endpoint_configs")) == configs

    updated = door("--name", "direct", "--direct", "--yes", *second)
    assert "Deploy: direct is InService" in updated
    assert seen.ones("direct") == 0

    with pytest.raises(
        DeployError, match=r"Endpoint direct is InService\. Delete it, .*\? Nobody can answer"
    ):
        door("--name", "direct", "--delete")
    assert "Delete: direct is gone" in door("--name", "direct", "--delete", "--yes")
    for kind, name in (
        ("endpoints", "Endpoint"),
        ("endpoint_configs", "EndpointConfig"),
        ("models", "Model"),
    ):
        assert not [one for one in seen.listed(kind) if one[f"{name}Name"].startswith("direct")]
    assert "There is nothing of endpoint direct: nothing to do." in door("--name", "direct", "--delete")
    assert "to do. Did you mean" not in door("--name", "x", "--delete")


def test_a_dry_run_shows_the_plan_and_creates_nothing(seen, versions, door):
    before = [seen.listed(kind) for kind in ("models", "endpoint_configs", "endpoints", "training_jobs")]
    told = door("--name", "planned", "--dry-run", *versions[0])
    assert [line[:4] for line in told.splitlines() if line.startswith("  ")] == [
        f"  {n}." for n in range(1, 7)
    ]
    assert "InService. Ask it" not in told
    after = [seen.listed(kind) for kind in ("models", "endpoint_configs", "endpoints", "training_jobs")]
    assert after == before


@pytest.mark.bad_input
def test_a_version_that_cannot_load_fails_with_the_containers_words(versions, door):
    broken = ("--environment", "SAGEMAKER_PROGRAM=nope.py")
    with pytest.raises(DeployError) as raised:
        door("--name", "broken", "--direct", *versions[0], *broken)
    assert "Endpoint broken is Failed: it did not come up with broken-" in str(raised.value).splitlines()[0]
    assert "apps/nope.py is missing" in str(raised.value)
    assert (
        "  endpoint broken: aws sagemaker delete-endpoint --endpoint-name broken" in raised.value.__notes__[0]
    )

    with pytest.raises(DeployError, match=r"Delete it and create it anew\? Nobody can answer here"):
        door("--name", "broken", "--direct", *versions[0])


def test_interrupted_it_says_what_exists_and_run_again_it_takes_that_up(seen, versions, folder):
    command = [*DOOR, "--name", "waiting", "--image", "waits", "--direct", *versions[0]]

    def started():
        return subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )

    with started() as left:
        assert any("Creating" in line for line in left.stdout)
        left.send_signal(signal.SIGINT)
        told = left.stdout.read()
    assert left.returncode == 130, told
    assert "  endpoint waiting: aws sagemaker delete-endpoint --endpoint-name waiting" in told
    assert "To go on, run the same command again" in told

    with started() as again:
        assert any("1. wait until endpoint waiting is InService" in line for line in again.stdout)
        (folder / "waits" / "apps" / "gate").touch()
        told = again.stdout.read()
    assert again.returncode == 0, told
    assert eventually(lambda: seen.ones("waiting") == 0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["--bucket", "not-there"],
            "There is no bucket not-there. Create it, and upload the model: aws s3 mb",
        ),
        (["--region", "eu-west-1"], "is in us-east-1 (AWS_REGION). Leave region out of endpoint.toml"),
        (
            ["--account", "999999999999"],
            "of account 123456789012, and account is 999999999999: nothing was done",
        ),
        (["--smoke-file", "nowhere.csv"], "nowhere.csv cannot be read: No such file or directory"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_made(seen, versions, door, arguments, told):
    models, endpoints = seen.listed("models"), seen.listed("endpoints")
    with pytest.raises(ByocError) as raised:
        door("--name", "never", *versions[0], *arguments)
    assert told in str(raised.value)
    assert (seen.listed("models"), seen.listed("endpoints")) == (models, endpoints)


@pytest.mark.bad_input
def test_all_that_is_missing_is_told_at_once(versions, door):
    with pytest.raises(MissingError) as raised:
        door("--name", "never", *versions[0], "--role", "nobody", "--image", "nothing:v1")
    role, image = str(raised.value).splitlines()
    assert role.startswith("There is no role nobody in account 123456789012. Take SageMakerExecutionRole")
    assert image.startswith("There is no image nothing: ECR has no such repository. Name the folder")


@pytest.mark.bad_input
def test_as_a_program_it_says_what_is_wrong_with_the_file_and_what_is_allowed(world, tmp_path):
    file = tmp_path / "endpoint.toml"
    file.write_text('name = "x"\ninstnce_type = "ml.m5.large"\n')
    command = [*DOOR, "--config", str(file), "--instance-count", "0"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "endpoint.toml: instnce_type is no key. Did you mean instance_type?" in ran.stderr
    assert "--instance-count is 0. Give a whole number of 1 or more." in ran.stderr
