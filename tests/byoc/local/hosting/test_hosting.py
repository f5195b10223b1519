"""Endpoints come up, change, are kept alive and end, as programs of this machine."""

import os
import re
import signal
import threading
import time
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from byoc.local.errors import AwsError
from byoc.runtime import readiness
from processes import alive, eventually, processes_with

SAYS_ITS_MODEL = """
def invoke(body, headers):
    time.sleep(float(body or 0))
    return 200, (BASE / "model" / "name.txt").read_bytes()
"""
SAYS_ITS_PID = "def invoke(body, headers): return 200, str(os.getpid()).encode()"
SAYS_ITS_ENVIRONMENT = "def invoke(body, headers): return 200, json.dumps(dict(os.environ)).encode()"
ENDS_AT_ONCE = "print('cannot read the model', flush=True)\nsys.exit(3)"
IS_NEVER_READY = "def ping(): return 503, b'still loading'"
IGNORES_SIGTERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
FALLS_ILL = """
def ping(): return (500 if Path("ill").exists() else 200), b"the model is gone"
def invoke(body, headers):
    Path("ill").touch()
    return 200, str(os.getpid()).encode()
os.chdir(os.environ["TMPDIR"])
"""

HANGS = """
hung = []
def invoke(body, headers):
    hung.append(body)
    time.sleep(60)
def ping():
    time.sleep(60 * len(hung))
    return 200, b""
"""


@pytest.fixture
def says_its_model(account):
    return account.programs.add("says-its-model", SAYS_ITS_MODEL)


@pytest.fixture
def version(account, says_its_model):
    """Make a config that serves a model of a name, which its answers are."""

    def make(name, *variants):
        return account.config(name, *variants, image=says_its_model, ModelDataUrl=account.model_data(name))

    return make


class Caller:
    """Calls an endpoint without pause, from several threads."""

    def __init__(self, client, endpoint, threads=4):
        self.answers, self.errors = [], []
        self._client, self._endpoint = client, endpoint
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        assert eventually(lambda: self.answers)
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _call(self):
        while not self._ending.is_set():
            try:
                answer = self._client.invoke_endpoint(EndpointName=self._endpoint, Body=b"0.005")
                self.answers.append(answer["Body"].read().decode())
            except ClientError as error:
                self.errors.append(error)


def pids(account, endpoint):
    lines = account.logs.of(endpoint)
    return [int(found[1]) for line in lines if (found := re.match(r"serving as (\d+)", line))]


def running(account):
    """The ids of the programs' own folders."""
    folder = account.world.folder / "endpoints"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.exists() else []


def call(runtime, endpoint, body=b"0"):
    return runtime.invoke_endpoint(EndpointName=endpoint, Body=body)["Body"].read().decode()


def refusal_of(runtime, endpoint):
    with pytest.raises(ClientError) as raised:
        call(runtime, endpoint)
    return raised.value.response["Error"]["Code"]


def test_an_endpoint_answers_once_it_is_in_service(account, runtime, version):
    made = account.endpoint("first", version("v1"))
    assert made["EndpointStatus"] == "InService", made
    assert made["EndpointConfigName"] == "v1"
    (variant,) = made["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (1, 1.0)
    assert call(runtime, "first") == "v1"


def test_what_a_program_writes_is_in_the_logs_of_its_endpoint(account):
    account.programs.add("talks", "print('first line', flush=True)")
    account.endpoint("first", account.config("v1", image="talks"))
    assert eventually(lambda: len(account.logs.of("first")) == 2, 3)
    ((_, stream),) = account.logs.lines
    assert re.fullmatch(r"AllTraffic/i-0[0-9a-f]{16}", stream)
    assert account.logs.of("first")[0] == "first line"


def test_a_program_has_the_models_environment_and_the_region(account, runtime):
    account.programs.add("env", SAYS_ITS_ENVIRONMENT)
    account.endpoint("first", account.config("v1", image="env", Environment={"LEVEL": "7"}))
    told = call(runtime, "first")
    assert '"LEVEL": "7"' in told
    assert '"AWS_REGION": "us-east-1"' in told


def test_a_deleted_endpoint_leaves_nothing(account, runtime, version):
    account.endpoint("first", version("v1"))
    assert running(account)
    account.ask("DeleteEndpoint", EndpointName="first")
    assert eventually(lambda: account.hosting.status("first") is None)
    with pytest.raises(ClientError, match="Endpoint first of account 123456789012 not found"):
        call(runtime, "first")
    assert not running(account)
    assert not any(alive(pid) for pid in pids(account, "first"))


def test_a_call_under_way_is_answered_before_its_program_is_ended(account, runtime, version):
    account.endpoint("first", version("v1"))
    answers = []
    caller = threading.Thread(target=lambda: answers.append(call(runtime, "first", b"0.6")))
    caller.start()
    assert eventually(lambda: account.hosting.routes.upstreams("first")[0].in_flight)
    account.ask("DeleteEndpoint", EndpointName="first")
    caller.join()
    assert answers == ["v1"]


def test_a_program_that_ends_while_it_starts_fails_at_once_and_its_own_last_word_comes_first(account):
    account.programs.add("ends", ENDS_AT_ONCE)
    failed = account.endpoint("first", account.config("v1", image="ends"))
    assert failed["EndpointStatus"] == "Failed"
    assert failed["FailureReason"] == (
        "cannot read the model. The program ended with status 3. "
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert "cannot read the model" in account.logs.of("first")
    assert not running(account)


def test_a_program_that_is_not_ready_in_time_fails_with_what_its_ping_says(account):
    account.programs.add("loads", IS_NEVER_READY)
    patience = {"VariantName": "AllTraffic", "ContainerStartupHealthCheckTimeoutInSeconds": 0.5}
    failed = account.endpoint("first", account.config("v1", patience, image="loads"))
    assert failed["EndpointStatus"] == "Failed"
    assert "After 0.5 s /ping answered 503: still loading." in failed["FailureReason"]


def test_model_data_that_has_gone_since_the_model_was_made_fails_the_endpoint(account, version):
    version("v1")
    account.objects.remove("bucket", "v1/model.tar.gz")
    failed = account.endpoint("first", "v1")
    assert failed["EndpointStatus"] == "Failed"
    assert 'from URL "s3://bucket/v1/model.tar.gz"' in failed["FailureReason"]


def test_no_call_fails_while_a_new_version_takes_over(account, runtime, version):
    account.endpoint("first", version("v1"))
    with Caller(runtime, "first") as caller:
        account.ask("UpdateEndpoint", EndpointName="first", EndpointConfigName=version("v2"))
        pending = account.describe("first")
        assert pending["EndpointStatus"] == "Updating"
        assert pending["PendingDeploymentSummary"]["EndpointConfigName"] == "v2"
        updated = account.settled("first")
    assert updated["EndpointStatus"] == "InService"
    assert updated["EndpointConfigName"] == "v2"
    assert not caller.errors
    answers = caller.answers
    assert set(answers) == {"v1", "v2"}
    assert call(runtime, "first") == "v2"
    assert len(running(account)) == 1


def test_a_version_that_cannot_load_is_rolled_back_while_the_old_one_answers_on(
    account, runtime, version, caplog
):
    account.endpoint("first", version("v1"))
    account.programs.add("ends", ENDS_AT_ONCE)
    with Caller(runtime, "first") as caller:
        account.ask(
            "UpdateEndpoint", EndpointName="first", EndpointConfigName=account.config("v2", image="ends")
        )
        settled = account.settled("first")
        seen = len(caller.answers)
        assert eventually(lambda: len(caller.answers) > seen)
    assert settled["EndpointStatus"] == "InService"
    assert settled["EndpointConfigName"] == "v1"
    assert settled["FailureReason"].startswith("cannot read the model. The program ended with status 3.")
    assert not caller.errors
    assert set(caller.answers) == {"v1"}
    assert len(running(account)) == 1
    assert "endpoint first: the update failed, v1 answers: cannot read the model." in caplog.text


def test_several_instances_are_several_programs_behind_one_endpoint(account, runtime):
    account.programs.add("pid", SAYS_ITS_PID)
    two = {"VariantName": "AllTraffic", "InitialInstanceCount": 2}
    account.endpoint("first", account.config("v1", two, image="pid"))
    assert len({call(runtime, "first") for _ in range(4)}) == 2


def test_a_program_that_dies_is_replaced_while_the_other_answers(account, runtime):
    account.programs.add("pid", SAYS_ITS_PID)
    two = {"VariantName": "AllTraffic", "InitialInstanceCount": 2}
    account.endpoint("first", account.config("v1", two, image="pid"))
    before = running(account)
    os.kill(program_of(account, before[0]), signal.SIGKILL)
    assert eventually(lambda: not processes_with(f"endpoints/{before[0]}"))
    answers = {call(runtime, "first") for _ in range(20)}
    assert answers
    assert account.describe("first")["EndpointStatus"] == "InService"
    assert eventually(
        lambda: len(account.hosting.routes.upstreams("first")) == 2 and running(account) != before
    )
    assert eventually(lambda: account.describe("first")["ProductionVariants"][0]["CurrentInstanceCount"] == 2)
    assert len({call(runtime, "first") for _ in range(4)}) == 2


def test_a_program_that_stays_unhealthy_is_replaced(account, runtime):
    account.programs.add("ill", FALLS_ILL)
    account.endpoint("first", account.config("v1", image="ill"))
    (before,) = running(account)
    call(runtime, "first")
    assert eventually(lambda: running(account) not in ([before], []))
    assert eventually(lambda: account.hosting.routes.upstreams("first"))
    assert not (account.world.folder / "endpoints" / before).exists()


def test_a_program_that_hangs_is_replaced_though_it_has_calls(account, runtime, monkeypatch):
    monkeypatch.setattr(readiness, "PING_TIMEOUT_S", 0.1)
    account.programs.add("hangs", HANGS)
    account.tempo = replace(account.tempo, busy_s=0.5)
    account.restart()
    account.endpoint("first", account.config("v1", image="hangs"))
    (before,) = running(account)
    refused = []
    began = time.monotonic()
    caller = threading.Thread(target=lambda: refused.append(refusal_of(runtime, "first")))
    caller.start()
    assert eventually(lambda: running(account) not in ([before], []))
    assert time.monotonic() - began > account.tempo.busy_s
    caller.join()
    assert refused == ["ModelError"]
    assert eventually(lambda: account.hosting.routes.upstreams("first"))


def test_an_endpoint_under_way_is_neither_changed_nor_deleted(account):
    account.programs.add("loads", IS_NEVER_READY)
    config = account.config("v1", image="loads")
    account.ask("CreateEndpoint", EndpointName="first", EndpointConfigName=config)
    in_progress = (
        'Cannot update in-progress endpoint "arn:aws:sagemaker:us-east-1:123456789012:endpoint/first"'
    )
    with pytest.raises(AwsError, match=in_progress):
        account.ask("DeleteEndpoint", EndpointName="first")
    with pytest.raises(AwsError, match=in_progress):
        account.ask("UpdateEndpoint", EndpointName="first", EndpointConfigName=config)


def test_a_failed_endpoint_can_only_be_deleted(account, version):
    account.programs.add("ends", ENDS_AT_ONCE)
    account.endpoint("first", account.config("v1", image="ends"))
    with pytest.raises(AwsError, match="Delete it and create it again"):
        account.ask("UpdateEndpoint", EndpointName="first", EndpointConfigName=version("v2"))
    account.ask("DeleteEndpoint", EndpointName="first")
    assert eventually(lambda: account.hosting.status("first") is None)


def test_what_is_missing_or_there_already_is_said_in_awss_words(account, version):
    arn = "arn:aws:sagemaker:us-east-1:123456789012"
    account.endpoint("first", version("v1"))
    with pytest.raises(AwsError, match=f'Cannot create already existing endpoint "{arn}:endpoint/first"'):
        account.ask("CreateEndpoint", EndpointName="first", EndpointConfigName="v1")
    with pytest.raises(AwsError, match=f'Could not find endpoint configuration "{arn}:endpoint-config/v9"'):
        account.ask("CreateEndpoint", EndpointName="second", EndpointConfigName="v9")
    for operation in ("DescribeEndpoint", "DeleteEndpoint"):
        with pytest.raises(AwsError, match=f'Could not find endpoint "{arn}:endpoint/second"'):
            account.ask(operation, EndpointName="second")
    with pytest.raises(AwsError, match='Could not find endpoint "'):
        account.ask("UpdateEndpoint", EndpointName="second", EndpointConfigName="v1")


def test_weights_and_instance_counts_change_without_a_new_config(account, version):
    variants = [{"VariantName": "a"}, {"VariantName": "b"}]
    account.endpoint("first", version("v1", *variants))
    before = set(running(account))
    desired = [
        {"VariantName": "a", "DesiredWeight": 3.0, "DesiredInstanceCount": 2},
        {"VariantName": "b", "DesiredWeight": 0.5},
    ]
    account.ask(
        "UpdateEndpointWeightsAndCapacities", EndpointName="first", DesiredWeightsAndCapacities=desired
    )
    grown = account.settled("first")
    assert [(v["CurrentWeight"], v["CurrentInstanceCount"]) for v in grown["ProductionVariants"]] == [
        (3.0, 2),
        (0.5, 1),
    ]
    assert set(running(account)) > before
    desired = [{"VariantName": "a", "DesiredInstanceCount": 1}]
    account.ask(
        "UpdateEndpointWeightsAndCapacities", EndpointName="first", DesiredWeightsAndCapacities=desired
    )
    assert account.settled("first")["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert set(running(account)) == before
    with pytest.raises(AwsError, match="Could not find variant c"):
        account.ask(
            "UpdateEndpointWeightsAndCapacities",
            EndpointName="first",
            DesiredWeightsAndCapacities=[{"VariantName": "c", "DesiredWeight": 1.0}],
        )


def test_an_update_keeps_counts_and_weights_if_asked_to(account, version):
    account.endpoint("first", version("v1", {"VariantName": "a", "InitialVariantWeight": 2.0}))
    other = version("v2", {"VariantName": "a", "InitialVariantWeight": 7.0, "InitialInstanceCount": 2})
    account.ask(
        "UpdateEndpoint",
        EndpointName="first",
        EndpointConfigName=other,
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredInstanceCount"}],
    )
    (variant,) = account.settled("first")["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["CurrentInstanceCount"]) == (2.0, 2)


def test_a_restart_brings_endpoints_back_even_when_their_model_and_config_are_gone(account, runtime, version):
    account.endpoint("first", version("v1"))
    account.ask("DeleteModel", ModelName="v1")
    account.ask("DeleteEndpointConfig", EndpointConfigName="v1")
    account.restart()
    assert account.settled("first")["EndpointStatus"] == "InService"
    assert call(runtime, "first") == "v1"


def test_a_restart_goes_on_with_what_was_under_way(account, version):
    account.programs.add("loads", IS_NEVER_READY)
    config = account.config("slow", image="loads")
    for name in ("created", "updated", "deleted"):
        account.ask("CreateEndpoint", EndpointName=name, EndpointConfigName=version(f"{name}-v1"))
    for name in ("updated", "deleted"):
        account.settled(name)
    account.ask("CreateEndpoint", EndpointName="creating", EndpointConfigName=config)
    account.ask("UpdateEndpoint", EndpointName="updated", EndpointConfigName=config)
    account.hosting.close()
    account.store.update("endpoint", "deleted", lambda found: {**found, "EndpointStatus": "Deleting"})
    assert account.describe("creating")["EndpointStatus"] == "Creating"
    account.programs.add("loads")
    account.restart()
    assert account.settled("creating")["EndpointStatus"] == "InService"
    updated = account.settled("updated")
    assert (updated["EndpointStatus"], updated["EndpointConfigName"]) == ("InService", "slow")
    assert eventually(lambda: account.hosting.status("deleted") is None)


def test_an_update_that_fails_after_a_restart_starts_what_ran_before(account, runtime, version):
    account.endpoint("first", version("v1"))
    account.programs.add("loads", IS_NEVER_READY)
    account.ask(
        "UpdateEndpoint", EndpointName="first", EndpointConfigName=account.config("v2", image="loads")
    )
    account.hosting.close()
    account.programs.add("loads", ENDS_AT_ONCE)
    account.restart()
    settled = account.settled("first")
    assert (settled["EndpointStatus"], settled["EndpointConfigName"]) == ("InService", "v1")
    assert "cannot read the model" in settled["FailureReason"]
    assert call(runtime, "first") == "v1"


def test_an_endpoint_whose_program_is_missing_after_a_restart_comes_back_with_it(
    account, runtime, version, caplog
):
    account.endpoint("first", version("v1"))
    programs = account.programs.images.copy()
    for _ in range(2):
        account.programs.images.clear()
        account.restart()
        failed = account.settled("first")
        assert failed["EndpointStatus"] == "Failed"
        assert failed["FailureReason"].startswith("There is no image says-its-model.")
        assert failed["FailureReason"].endswith("the next start of the local SageMaker tries again.")
        assert "endpoint first is Failed: There is no image says-its-model." in caplog.text
    account.programs.images.update(programs)
    account.restart()
    assert account.describe("first")["EndpointStatus"] == "Updating"
    assert account.settled("first")["EndpointStatus"] == "InService"
    assert "FailureReason" not in account.describe("first")
    assert call(runtime, "first") == "v1"


def test_an_endpoint_that_was_never_in_service_stays_failed(account):
    account.programs.add("ends", ENDS_AT_ONCE)
    failed = account.endpoint("first", account.config("v1", image="ends"))
    account.programs.add("ends")
    account.restart()
    assert account.describe("first") == failed


def test_an_update_whose_both_sides_fail_after_a_restart_tells_both_reasons(account, version):
    account.endpoint("first", version("v1"))
    account.programs.add("loads", IS_NEVER_READY)
    config = account.config("v2", image="loads")
    account.ask("UpdateEndpoint", EndpointName="first", EndpointConfigName=config)
    account.hosting.close()
    account.programs.add("loads", ENDS_AT_ONCE)
    del account.programs.images["says-its-model"]
    account.restart()
    reason = account.settled("first")["FailureReason"]
    assert reason.startswith("There is no image says-its-model.")
    assert "cannot read the model" in reason


def test_all_programs_end_together_and_in_time(account):
    account.programs.add("stays", IGNORES_SIGTERM)
    two = {"VariantName": "AllTraffic", "InitialInstanceCount": 2}
    for name in ("first", "second"):
        account.endpoint(name, account.config(name, two, image="stays"))
    keepers = [program_of(account, name) for name in running(account)]
    began = time.monotonic()
    account.hosting.close()
    assert time.monotonic() - began < 3
    assert not any(alive(pid) for pid in keepers)
    assert account.describe("first")["EndpointStatus"] == "InService"


def program_of(account, instance):
    """Return the process id of an instance's keeper, which is the parent of all of it."""
    return min(processes_with(f"endpoints/{instance}"))
