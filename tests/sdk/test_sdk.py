"""Every client that a user may have, against what `byoc local up` starts: each gets the real prediction.

Each is a program of its own after eval "$(byoc local env)", on a laptop that has other AWS settings, and
nothing of it may look up or call another host.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "dummy_data" / "breast_cancer.csv"

pytestmark = pytest.mark.sdk


@pytest.fixture(autouse=True)
def nothing_leaves_this_machine(shell):
    """And nothing is written into the user's home."""
    yield
    assert shell.escaped() == []
    assert list(shell.home.iterdir()) == []


def told(done):
    """Return the JSON of a program's last line."""
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return json.loads(done.stdout.splitlines()[-1])


def left(world, name):
    """Return the names of the endpoints, configurations and models that contain a name."""
    sagemaker = world.client("sagemaker")
    return [
        *(found["EndpointName"] for found in sagemaker.list_endpoints(NameContains=name)["Endpoints"]),
        *(
            found["EndpointConfigName"]
            for found in sagemaker.list_endpoint_configs(NameContains=name)["EndpointConfigs"]
        ),
        *(found["ModelName"] for found in sagemaker.list_models(NameContains=name)["Models"]),
    ]


def test_a_script_with_sdk_v2_gets_the_real_prediction(world, shell, versions):
    first, second = versions
    assert first.predictions != second.predictions
    done = shell(
        sys.executable,
        HERE / "user_written_v2.py",
        *(first.uri, first.digest, second.uri, second.digest),
        SAMPLE,
    )
    got = told(done)
    assert got["before"] == first.predictions
    assert got["of_arrays"] == first.predictions
    assert got["after"] == second.predictions
    assert b"Training job completed" in done.stdout + done.stderr  # the log was followed to its end
    assert left(world, "by-hand-v2") == []


def test_a_script_with_boto3_gets_the_real_prediction(world, shell, versions):
    version = versions[0]
    got = told(shell(sys.executable, HERE / "user_written_boto3.py", version.uri, version.digest, SAMPLE))
    assert got == {"job": "Completed", "predictions": version.predictions}
    assert left(world, "by-hand-boto3") == []


def test_a_script_with_the_aws_cli_gets_the_real_prediction(world, shell, versions):
    version = versions[0]
    done = shell("bash", HERE / "user_written_cli.sh", version.uri, version.digest, SAMPLE)
    assert told(done) == version.predictions
    assert b"rule.json" in done.stderr  # in the artefact that `aws s3 cp` fetched
    assert left(world, "by-hand-cli") == []


def test_a_script_with_sdk_v3_gets_the_real_prediction(world, shell, versions, v3_python):
    version = versions[0]
    script = HERE / "user_written_v3.py"
    done = shell(
        *(v3_python, script, world.image("quick"), world.role_arn),
        *(version.uri, version.digest, world.bucket),
        input=SAMPLE.read_bytes(),
    )
    got = told(done)
    assert (got["job"], got["config"], got["endpoints"]) == ("Completed", "by-hand-2", ["by-hand"])
    assert got["predictions"] == version.predictions
    assert world.client("sagemaker").list_endpoints(NameContains="by-hand")["Endpoints"] == []


def test_generate_endpoint_fits_with_model_trainer(world, shell, versions, v3_python):
    version = versions[0]
    command = [v3_python, ROOT / "generate_endpoint.py", "--name", "v3", "--image", "quick"]
    command += ["--config", ROOT / "endpoint.toml", "--tags", "team=us"]
    command += ["--model-version", version.uri, "--model-manifest-sha256", version.digest]
    made = shell(*command)
    assert made.returncode == 0, made.stdout.decode() + made.stderr.decode()
    assert b"Endpoint v3 is InService." in made.stdout
    sagemaker = world.client("sagemaker")
    (summary,) = sagemaker.list_training_jobs(NameContains="v3-")["TrainingJobSummaries"]
    job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    assert job["HyperParameters"] == {"model_version": version.uri, "model_manifest_sha256": version.digest}
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 1800

    again = shell(*command)
    assert b"Endpoint v3 is as it should be: nothing to do." in again.stdout
    asked = shell(v3_python, ROOT / "test_endpoint.py", "v3")
    assert told(asked) == version.predictions


def test_the_fence_would_have_told(shell, tmp_path):
    """Without it, nothing above says that nothing left."""
    escapes = tmp_path / "escapes"
    program = "import urllib.request; urllib.request.urlopen('https://sagemaker.us-east-1.amazonaws.com')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**shell.environ, "ESCAPES": str(escapes)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is another host" in done.stderr
    assert escapes.read_text().startswith("socket.getaddrinfo sagemaker.us-east-1.amazonaws.com")
