"""The plan: from what is asked and what is there to the steps, touching nothing."""

from pathlib import Path

import pytest

from byoc.deploy.errors import DeployError
from byoc.deploy.names import names_of
from byoc.deploy.plan import plan, plan_deletion
from byoc.deploy.seen import Endpoint, Job, Made, Seen
from byoc.deploy.steps import CreateConfig, CreateModel, DeleteEndpoint, Train

SMOKE = Path("one.csv")


@pytest.fixture
def planned(spec_of, inputs):
    """Return a function that plans for what is seen and asked."""

    def make(direct=False, endpoint=None, spec=None, **seen):
        spec = spec or spec_of()
        names = names_of(spec, inputs, direct=direct)
        if endpoint is not None:
            ours = {"config": names.config} if endpoint.get("config") == "ours" else {}
            pending = {"pending": names.config} if endpoint.get("pending") == "ours" else {}
            seen["endpoint"] = Endpoint(**({"config": "before"} | endpoint | ours | pending))
        return plan(spec, names, Seen(inputs, **seen), SMOKE, direct=direct)

    return make


def kinds(decided):
    return [type(step).__name__ for step in decided.steps]


def step(decided, kind):
    (found,) = [step for step in decided.steps if isinstance(step, kind)]
    return found


WHOLE = ["UploadData", "Train", "CreateModel", "CreateConfig", "CreateEndpoint", "SmokeCall"]


def test_where_nothing_is_all_is_made_and_nothing_asked(planned):
    decided = planned()
    assert kinds(decided) == WHOLE
    assert decided.question == ""


def test_directly_there_is_no_training_job(planned):
    assert kinds(planned(direct=True)) == WHOLE[2:]


@pytest.mark.parametrize(
    ("seen", "steps"),
    [
        ({"job": Job("job-1", None)}, WHOLE[1:]),
        ({"job": Job("job-1", "s3://models/job-1/model.tar.gz")}, WHOLE[2:]),
        ({"model": True}, WHOLE[3:]),
        ({"model": True, "config": True}, WHOLE[4:]),
        ({"stale_model": True, "config": True}, [*WHOLE[:3], *WHOLE[4:]]),
    ],
    ids=["job runs", "job is done", "model", "config", "model without data"],
)
def test_what_an_earlier_run_left_is_taken_up(planned, seen, steps):
    assert kinds(planned(**seen)) == steps


def test_a_running_job_is_waited_for_and_a_done_ones_artefact_used(planned):
    assert step(planned(job=Job("job-1", None)), Train).running == "job-1"
    model = step(planned(job=Job("job-1", "s3://models/model.tar.gz")), CreateModel)
    assert model.request["PrimaryContainer"]["ModelDataUrl"] == "s3://models/model.tar.gz"


def test_a_model_whose_data_is_gone_is_made_anew(planned):
    assert step(planned(stale_model=True), CreateModel).replace
    assert not step(planned(), CreateModel).replace


def test_an_endpoint_that_is_as_wanted_is_left_alone(planned):
    decided = planned(endpoint={"status": "InService", "config": "ours"})
    assert (decided.steps, decided.question) == ((), "")


@pytest.mark.parametrize("status", ["InService", "OutOfService", "UpdateRollbackFailed"])
def test_an_existing_endpoint_is_updated_after_a_question(planned, status):
    decided = planned(endpoint={"status": status, "models": ("older",)}, model=True)
    assert kinds(decided) == ["CreateConfig", "UpdateEndpoint", "SmokeCall"]
    assert f"Endpoint cancer is {status} with before (model older). Update it to cancer-" in decided.question


def test_a_failed_endpoint_is_made_anew_after_a_question(planned):
    decided = planned(endpoint={"status": "Failed", "reason": "no ping\nand more"}, model=True, config=True)
    assert kinds(decided) == ["DeleteEndpoint", "CreateEndpoint", "SmokeCall"]
    assert "has failed: no ping. Delete it and create it anew?" in decided.question


@pytest.mark.parametrize(
    "endpoint",
    [{"status": "Creating", "config": "ours"}, {"status": "Updating", "pending": "ours"}],
    ids=["creating", "updating"],
)
def test_one_that_is_on_its_way_is_waited_for(planned, endpoint):
    decided = planned(endpoint=endpoint)
    assert (kinds(decided), decided.question) == (["AwaitEndpoint", "SmokeCall"], "")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ({"status": "Creating"}, "cancer is Creating. Wait for it.*wait endpoint-in-service --endpoint-name"),
        ({"status": "Updating", "pending": "another"}, "cancer is Updating to another. Wait for it"),
        ({"status": "RollingBack"}, "cancer is RollingBack. Wait for it"),
        ({"status": "Deleting"}, "cancer is Deleting.*aws sagemaker wait endpoint-deleted"),
    ],
)
def test_one_that_moves_elsewhere_stops_the_plan(planned, endpoint, told):
    with pytest.raises(DeployError, match=told):
        planned(endpoint=endpoint)


def test_tags_that_an_endpoint_lacks_are_added(planned, spec_of):
    spec = spec_of(tags={"team": "us"})
    there = {"status": "InService", "config": "ours", "arn": "arn:it"}
    assert kinds(planned(spec=spec, endpoint=there)) == ["TagEndpoint"]
    assert kinds(planned(spec=spec, endpoint=there | {"tags": (("team", "us"), ("x", "y"))})) == []


def test_directly_the_model_is_the_versions_prefix_and_its_digest(planned, spec_of, inputs):
    spec = spec_of(environment={"A": "b"}, tags={"team": "us"}, subnets=("s",), security_groups=("g",))
    request = step(planned(direct=True, spec=spec), CreateModel).request
    assert request["PrimaryContainer"] == {
        "Image": inputs.image,
        "Environment": {"A": "b", "MODEL_MANIFEST_SHA256": inputs.manifest_sha256},
        "ModelDataSource": {
            "S3DataSource": {
                "S3Uri": "s3://models/m/cancer/0123456789abcdef/",
                "S3DataType": "S3Prefix",
                "CompressionType": "None",
            }
        },
    }
    assert request["ExecutionRoleArn"] == inputs.role_arn
    assert request["VpcConfig"] == {"Subnets": ["s"], "SecurityGroupIds": ["g"]}
    assert request["Tags"] == [{"Key": "team", "Value": "us"}]


def test_the_dummy_estimator_is_given_the_version_and_its_digest(planned, spec_of, inputs):
    spec = spec_of(subnets=("s",), security_groups=("g",), bucket="mine", prefix="p", tags={"team": "us"})
    fit = step(planned(spec=spec), Train).fit
    assert fit.hyperparameters == {
        "model_version": inputs.model_version,
        "model_manifest_sha256": inputs.manifest_sha256,
    }
    assert fit.inputs == {"dummy_data": "s3://mine/p/cancer/dummy_data/"}
    assert fit.output_path == "s3://mine/p/cancer/training"
    assert (fit.max_run_s, fit.subnets, fit.security_groups) == (1800, ("s",), ("g",))
    assert (fit.role_arn, fit.image, fit.tags) == (inputs.role_arn, inputs.image, {"team": "us"})


def test_the_configuration_has_the_timeouts_only_where_they_are_given(planned, spec_of):
    spec = spec_of(instance_count=3, startup_timeout=600)
    (variant,) = step(planned(spec=spec), CreateConfig).request["ProductionVariants"]
    assert variant["InitialInstanceCount"] == 3
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600
    assert "ModelDataDownloadTimeoutInSeconds" not in variant


def test_a_plan_is_shown_as_numbered_steps(planned, tmp_path):
    told = str(planned()).splitlines()
    assert told[0] == f"  1. upload {tmp_path.name}/ to s3://models/endpoints/cancer/dummy_data/"
    assert "pulls s3://models/m/cancer/0123456789abcdef/ (max_run 1800 s)" in told[1]
    assert told[-1] == "  6. ask it with one.csv"


def test_all_that_was_made_is_deleted_in_the_order_in_which_it_is_needed_no_more():
    decided = plan_deletion("cancer", Made("InService", ("c",), ("m", "n")))
    assert kinds(decided) == ["DeleteEndpoint", "DeleteConfigs", "DeleteModels"]
    assert decided.question == "Endpoint cancer is InService. Delete it, with all that was made for it?"


def test_what_is_left_of_a_deletion_is_deleted_and_nothing_is_no_question():
    assert step(plan_deletion("cancer", Made("Deleting", (), ())), DeleteEndpoint).deleting
    left = plan_deletion("cancer", Made("", (), ("m",)))
    assert (kinds(left), left.question.startswith("There is no endpoint cancer.")) == (["DeleteModels"], True)
    nothing = plan_deletion("cancer", Made("", (), ()))
    assert (nothing.steps, nothing.question) == ((), "")
