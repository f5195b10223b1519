"""What is there: found by the planned names, and only what can still be used."""

import pytest
from botocore.exceptions import ClientError

from byoc import remedies
from byoc.aws import Where
from byoc.deploy.errors import DeployError, MissingError
from byoc.deploy.names import Names, names_of
from byoc.deploy.observe import observe, observe_made, refuse_another_account
from byoc.deploy.seen import Endpoint, Job, Made

NAMES = Names("cancer-v-job", "cancer-v-model", "cancer-v-config")
ARTEFACT = "s3://models/job/output/model.tar.gz"
MISSING = ClientError({"Error": {"Code": "ValidationException", "Message": "Could not find it."}}, "Describe")
DENIED = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "Describe")
NO_OBJECT = ClientError({"Error": {"Code": "404", "Message": "Not Found"}}, "HeadObject")


class FakeAws:
    """An AWS that has what it is given, by operation."""

    options = " --region eu-west-1"
    remedies = remedies.AWS

    def __init__(self, **answers):
        self.answers = {
            "list_training_jobs": {"TrainingJobSummaries": []},
            "list_tags": {"Tags": []},
        } | answers

    def client(self, _service):
        return self

    def __getattr__(self, operation):
        def call(**_):
            answer = self.answers.get(operation, MISSING)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def jobs(*statuses):
    return {
        "TrainingJobSummaries": [
            {"TrainingJobName": f"{NAMES.job}-{number}", "TrainingJobStatus": status}
            for number, status in enumerate(statuses)
        ]
    }


def job_in(aws, spec_of, inputs):
    return observe(aws, spec_of(), inputs, NAMES, direct=False).job


def test_where_nothing_is_nothing_is_seen(spec_of, inputs):
    seen = observe(FakeAws(), spec_of(), inputs, NAMES, direct=False)
    assert (seen.model, seen.stale_model, seen.config, seen.job, seen.endpoint) == (
        False,
        False,
        False,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        (["Failed", "InProgress"], Job("cancer-v-job-1", None)),
        (["Stopped", "Completed"], Job("cancer-v-job-1", ARTEFACT)),
        (["Failed", "Stopping"], None),
    ],
)
def test_the_newest_job_that_can_be_used_is_seen(spec_of, inputs, statuses, found):
    done = {"ModelArtifacts": {"S3ModelArtifacts": ARTEFACT}}
    aws = FakeAws(list_training_jobs=jobs(*statuses), describe_training_job=done, head_object={})
    assert job_in(aws, spec_of, inputs) == found


def test_a_job_whose_artefact_is_gone_is_not(spec_of, inputs):
    done = {"ModelArtifacts": {"S3ModelArtifacts": ARTEFACT}}
    aws = FakeAws(list_training_jobs=jobs("Completed"), describe_training_job=done, head_object=NO_OBJECT)
    assert job_in(aws, spec_of, inputs) is None


@pytest.mark.parametrize(
    ("container", "head", "model", "stale"),
    [
        ({"ModelDataUrl": ARTEFACT}, {}, True, False),
        ({"ModelDataUrl": ARTEFACT}, NO_OBJECT, False, True),
        ({"ModelDataSource": {}}, NO_OBJECT, True, False),
    ],
)
def test_a_model_counts_while_its_data_is_there(spec_of, inputs, container, head, model, stale):
    aws = FakeAws(describe_model={"PrimaryContainer": container}, head_object=head)
    seen = observe(aws, spec_of(), inputs, NAMES, direct=False)
    assert (seen.model, seen.stale_model) == (model, stale)


def test_an_endpoint_is_seen_with_its_models_where_it_goes_and_its_tags(spec_of, inputs):
    aws = FakeAws(
        describe_endpoint={
            "EndpointStatus": "Updating",
            "EndpointArn": "arn:it",
            "EndpointConfigName": "before",
            "PendingDeploymentSummary": {"EndpointConfigName": NAMES.config},
        },
        describe_endpoint_config={"ProductionVariants": [{"ModelName": "older"}]},
        list_tags={"Tags": [{"Key": "team", "Value": "us"}]},
    )
    endpoint = Endpoint("Updating", "before", ("older",), NAMES.config, "", "arn:it", (("team", "us"),))
    assert observe(aws, spec_of(tags={"a": "b"}), inputs, NAMES, direct=True).endpoint == endpoint


def test_who_asks_for_no_tags_need_not_be_allowed_to_list_them(spec_of, inputs):
    found = {"EndpointStatus": "InService", "EndpointArn": "arn:it", "EndpointConfigName": "before"}
    aws = FakeAws(describe_endpoint=found, list_tags=DENIED)
    assert observe(aws, spec_of(), inputs, NAMES, direct=True).endpoint.tags == ()
    with pytest.raises(ClientError, match="AccessDenied"):
        observe(aws, spec_of(tags={"a": "b"}), inputs, NAMES, direct=True)


def test_all_that_was_made_for_an_endpoint_is_found_on_every_page(spec_of, inputs):
    ours, others = (names_of(spec_of(name=name), inputs, direct=True) for name in ("cancer", "cancer-b"))
    configs = [[others.config], [ours.config, "cancer-mine"]]
    models = [[ours.model], [others.model]]

    class Pages(FakeAws):
        def get_paginator(self, operation):
            self.operation = operation
            return self

        def paginate(self, NameContains):  # noqa: N803 - as boto3 has it
            assert NameContains == "cancer-"
            if self.operation == "list_models":
                return [{"Models": [{"ModelName": name} for name in page]} for page in models]
            return [{"EndpointConfigs": [{"EndpointConfigName": name} for name in page]} for page in configs]

    made = observe_made(Pages(describe_endpoint={"EndpointStatus": "Failed"}), "cancer")
    assert made == Made("Failed", (ours.config,), (ours.model,))
    assert observe_made(Pages(), "cancer").status == ""


def test_what_may_not_be_looked_at_is_no_reason_to_go_on(spec_of, inputs):
    with pytest.raises(ClientError, match="AccessDenied"):
        observe(FakeAws(describe_model=DENIED), spec_of(), inputs, NAMES, direct=True)


@pytest.mark.bad_input
def test_a_bucket_of_ones_own_has_to_be_there_only_where_it_is_used(spec_of, inputs):
    spec, aws = spec_of(bucket="not-there"), FakeAws(head_bucket=NO_OBJECT)
    with pytest.raises(MissingError, match="no bucket not-there"):
        observe(aws, spec, inputs, NAMES, direct=False)
    assert not observe(aws, spec, inputs, NAMES, direct=True).model


@pytest.mark.bad_input
def test_another_account_than_expected_is_refused(spec_of):
    where = Where("111111111111", "eu-west-1", "https://api", local=False, partition="aws")
    refuse_another_account(spec_of(), where)
    refuse_another_account(spec_of(account="111111111111"), where)
    with pytest.raises(
        DeployError, match=r"of account 111111111111, and account is 222222222222: nothing was"
    ):
        refuse_another_account(spec_of(account="222222222222"), where)
