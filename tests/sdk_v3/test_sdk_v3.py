"""SDK v3 in an environment of its own, against the local SageMaker: our door, and what a user writes."""

import json
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = (ROOT / "dummy_data" / "breast_cancer.csv").read_bytes()

pytestmark = pytest.mark.sdk_v3


def ran(command, world, **given):
    return subprocess.run(
        list(map(str, command)), cwd=ROOT, env=world.environment, capture_output=True, check=False, **given
    )


def test_generate_endpoint_fits_with_model_trainer(python, world, version):
    uri, digest = version
    command = [python, ROOT / "generate_endpoint.py", "--name", "v3", "--image", "quick", "--tags", "team=us"]
    command += ["--model-version", uri, "--model-manifest-sha256", digest]
    made = ran(command, world)
    assert made.returncode == 0, made.stdout.decode() + made.stderr.decode()
    assert b"Endpoint v3 is InService." in made.stdout
    sagemaker = world.client("sagemaker")
    (summary,) = sagemaker.list_training_jobs(NameContains="v3-")["TrainingJobSummaries"]
    job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    assert job["HyperParameters"] == {"model_version": uri, "model_manifest_sha256": digest}
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 1800

    again = ran(command, world)
    assert b"Endpoint v3 is as it should be: nothing to do." in again.stdout
    asked = ran([python, ROOT / "test_endpoint.py", "v3"], world)
    assert 0 < sum(json.loads(asked.stdout)) < len(SAMPLE.splitlines()), asked.stderr


def test_what_a_user_writes_runs_as_it_stands(python, world, version):
    script = Path(__file__).with_name("user_written.py")
    command = [python, script, world.image("quick"), world.role_arn, *version, world.bucket]
    done = ran(command, world, input=SAMPLE)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    got = json.loads(done.stdout.splitlines()[-1])
    assert (got["job"], got["config"], got["endpoints"]) == ("Completed", "by-hand-2", ["by-hand"])
    assert 0 < sum(got["predictions"]) < len(SAMPLE.splitlines())
    assert world.client("sagemaker").list_endpoints(NameContains="by-hand")["Endpoints"] == []
