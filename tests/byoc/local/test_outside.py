"""moto behind our port and behind our own clients: IAM, ECR, CloudWatch, and what moto lacks."""

import asyncio
import hashlib
import http.server
import json
import threading

import botocore.exceptions
import pytest

from byoc.local import iam
from byoc.local.cloudwatch import CloudWatchLogs, CloudWatchMetrics
from byoc.local.ecr import Ecr, seed_repository
from byoc.local.errors import AwsError
from byoc.local.log_cap import MOST_CHARACTERS, MOST_LINES, drop_oldest
from byoc.local.manifests import stand_in
from byoc.local.outside import Outside
from byoc.local.registry import Registry, checked_registry
from byoc.local.wire import Request

ACCOUNT = "123456789012"
MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "x", "size": 7, "digest": "sha256:0"},
        "layers": [],
    }
).encode()


class RegistryOfOneImage(http.server.BaseHTTPRequestHandler):
    """Knows team/model:v1 and asks for ECR's password."""

    def do_GET(self):
        known = {
            "/v2/team/model/tags/list": ("application/json", b'{"name": "team/model", "tags": ["v1"]}'),
            "/v2/team/model/manifests/v1": (json.loads(MANIFEST)["mediaType"], MANIFEST),
        }
        if self.path not in known or not self.headers["Authorization"]:
            self.send_error(404)
            return
        content_type, body = known[self.path]
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def registry():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), RegistryOfOneImage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def programs():
    """The content of each program, by its name."""
    return {}


@pytest.fixture(scope="module")
def outside(registry, programs):
    """One for the module, as moto's state is the process's."""

    def program(name):
        return stand_in(programs[name]) if name in programs else None

    detours = {"iam": iam.simulate, "ecr": Ecr(program, Registry(registry, ACCOUNT))}
    seeds = [iam.seed_role, lambda found: found.client("sts")]
    return Outside("us-east-1", "AKIAOURS", detours, seeds, {"logs": drop_oldest})


@pytest.fixture
def roles(outside):
    return iam.IamRoles(outside, ACCOUNT)


def asked(outside, body=b"", method="POST", path="/", service="sts", **headers):
    async def pieces():
        yield body

    scope = f"AWS4-HMAC-SHA256 Credential=AKIAOURS/20261120/us-east-1/{service}/aws4_request"
    given = {"host": "127.0.0.1:4577", "authorization": scope}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return asyncio.run(outside(Request(method, path, "", given, pieces())))


FORM = {"content_type": "application/x-www-form-urlencoded"}


def test_a_request_from_the_port_is_answered_by_moto(outside):
    answer = asked(outside, b"Action=GetCallerIdentity&Version=2011-06-15", **FORM)
    assert answer.status == 200
    assert ACCOUNT.encode() in answer.body
    assert not {"date", "access-control-allow-origin"} & {name.lower() for name in answer.headers}


@pytest.mark.parametrize(
    ("request_", "operation"),
    [
        (
            {"body": b"Action=DecodeAuthorizationMessage&Version=2011-06-15", **FORM},
            "DecodeAuthorizationMessage",
        ),
        ({"service": "ecr", "x_amz_target": "AmazonEC2ContainerRegistry_V20150921.Fly"}, "Fly"),
        ({"service": "lambda", "method": "GET", "path": "/no/such/thing"}, "GET /no/such/thing"),
        ({"service": "nosuchservice", "method": "GET", "path": "/"}, "GET /"),
    ],
)
def test_what_moto_lacks_is_an_unknown_operation_by_name_and_never_a_page(outside, request_, operation):
    answer = asked(outside, **request_)
    assert answer.status == 400
    assert b"UnknownOperationException" in answer.body
    assert operation.encode() in answer.body
    assert b"<html" not in answer.body.lower()


def test_what_moto_fails_in_is_told_as_such_and_logged(outside, caplog):
    answer = asked(
        outside, b"{}", service="monitoring", x_amz_target="GraniteServiceVersion20100801.GetMetricData"
    )
    assert answer.status == 400
    assert json.loads(answer.body)["__type"] == "InternalFailure"
    assert "moto failed in GetMetricData" in caplog.text


def test_the_seeded_role_may_be_assumed(outside, roles):
    iam.seed_role(outside)
    roles.check(iam.role_arn(ACCOUNT))


def untrusting(outside, name, statement):
    policy = {"Version": "2012-10-17", "Statement": statement}
    return outside.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(policy))[
        "Role"
    ]


@pytest.mark.parametrize(
    "statement",
    [
        [],
        [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        [{"Effect": "Deny", "Principal": {"Service": iam.SAGEMAKER}, "Action": "sts:AssumeRole"}],
        [{"Effect": "Allow", "Principal": {"Service": iam.SAGEMAKER}, "Action": "sts:TagSession"}],
        {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"},
    ],
)
def test_a_role_that_does_not_trust_sagemaker_is_refused(outside, roles, statement, request):
    role = untrusting(outside, f"untrusting-{abs(hash(request.node.name)):x}"[:60], statement)
    with pytest.raises(AwsError, match=f"Could not assume role {role['Arn']}. Please ensure"):
        roles.check(role["Arn"])


def test_a_trust_policy_may_list_services_and_actions(outside, roles):
    principal = {"Service": ["lambda.amazonaws.com", iam.SAGEMAKER]}
    role = untrusting(
        outside,
        "both",
        [{"Effect": "Allow", "Principal": principal, "Action": ["sts:AssumeRole", "sts:TagSession"]}],
    )
    roles.check(role["Arn"])


def test_a_role_that_is_missing_or_anothers_is_refused(roles):
    with pytest.raises(AwsError, match="Could not assume role"):
        roles.check(f"arn:aws:iam::{ACCOUNT}:role/nobody")
    with pytest.raises(AwsError, match="Cross-account pass role is not allowed"):
        roles.check("arn:aws:iam::210987654321:role/SageMakerExecutionRole")
    with pytest.raises(AwsError, match="Could not assume role"):
        roles.check(f"arn:aws:iam::{ACCOUNT}:role/elsewhere/{iam.ROLE}")


def test_every_action_of_a_principal_is_allowed(outside):
    answer = outside.client("iam").simulate_principal_policy(
        PolicySourceArn=iam.role_arn(ACCOUNT), ActionNames=["s3:GetObject", "s3:PutObject"]
    )
    assert {one["EvalActionName"]: one["EvalDecision"] for one in answer["EvaluationResults"]} == {
        "s3:GetObject": "allowed",
        "s3:PutObject": "allowed",
    }


def test_ecr_points_at_the_registry(outside, registry):
    ecr = outside.client("ecr")
    created = ecr.create_repository(repositoryName="elsewhere")["repository"]
    (grant,) = ecr.get_authorization_token()["authorizationData"]
    assert created["repositoryUri"] == f"{registry}/elsewhere"
    assert grant["proxyEndpoint"] == f"http://{registry}"


def test_ecr_knows_the_images_that_were_pushed_to_the_registry_before_any_program(outside, programs):
    ecr = outside.client("ecr")
    programs["team/model"] = "sha256:0"
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName="team/model")
    ecr.create_repository(repositoryName="team/model")
    digest = f"sha256:{hashlib.sha256(MANIFEST).hexdigest()}"
    for _ in range(2):
        (image,) = ecr.describe_images(repositoryName="team/model", imageIds=[{"imageTag": "v1"}])[
            "imageDetails"
        ]
        assert (image["imageTags"], image["imageDigest"]) == (["v1"], digest)
    (got,) = ecr.batch_get_image(repositoryName="team/model", imageIds=[{"imageTag": "v1"}])["images"]
    assert got["imageManifest"].encode() == MANIFEST
    assert ecr.list_images(repositoryName="team/model")["imageIds"] == [
        {"imageTag": "v1", "imageDigest": digest}
    ]


def test_a_program_has_a_repository_whose_latest_image_follows_its_folder(outside, programs):
    ecr = outside.client("ecr")
    for _ in range(2):
        seed_repository(ecr, "a-program")
    digests = []
    for content in ("sha256:1", "sha256:1", "sha256:2", "sha256:1"):
        programs["a-program"] = content
        (image,) = ecr.describe_images(repositoryName="a-program")["imageDetails"]
        assert image["imageTags"] == ["latest"]
        (listed,) = ecr.list_images(repositoryName="a-program")["imageIds"]
        latest = [{"imageTag": "latest"}]
        (got,) = ecr.batch_get_image(repositoryName="a-program", imageIds=latest)["images"]
        manifest = hashlib.sha256(got["imageManifest"].encode()).hexdigest()
        assert image["imageDigest"] == listed["imageDigest"] == f"sha256:{manifest}"
        digests.append(image["imageDigest"])
    assert digests[0] == digests[1] == digests[3] != digests[2]


def test_a_program_is_found_by_any_tag_and_all_of_them_move_with_its_folder(outside, programs):
    ecr = outside.client("ecr")
    seed_repository(ecr, "tagged")
    for content in ("sha256:1", "sha256:2", "sha256:1"):
        programs["tagged"] = content
        for tag in ("v7", "v8"):
            wanted = {"repositoryName": "tagged", "imageIds": [{"imageTag": tag}]}
            (image,) = ecr.describe_images(**wanted)["imageDetails"]
            (got,) = ecr.batch_get_image(**wanted)["images"]
            assert got["imageId"]["imageDigest"] == image["imageDigest"]
        (only,) = ecr.describe_images(repositoryName="tagged")["imageDetails"]
        assert only["imageDigest"] == image["imageDigest"] == stand_in(content).digest
        assert set(only["imageTags"]) == {"latest", "v7", "v8"}
    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName="tagged", imageIds=[{"imageDigest": f"sha256:{'0' * 64}"}])


@pytest.mark.parametrize("registry", ["http://127.0.0.1:5000", "127.0.0.1", "", "host:port"])
def test_a_registry_that_is_no_host_and_port_is_refused(registry):
    with pytest.raises(ValueError, match="Give HOST:PORT"):
        checked_registry(registry)


def test_logs_come_out_as_they_were_put(outside):
    logs = CloudWatchLogs(outside)
    group, stream, at_ms = "/aws/sagemaker/Endpoints/e", "AllTraffic/i-1", 1_795_000_000_000
    logs.put(group, stream, [(at_ms + 1, "second"), (at_ms, "first")])
    CloudWatchLogs(outside).put(group, stream, [(at_ms + 2, "")])
    outside.client("logs").delete_log_group(logGroupName=group)
    logs.put(group, stream, [(at_ms + 1, "second"), (at_ms, "first"), (at_ms + 2, "")])
    events = outside.client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
    assert [event["message"] for event in events] == ["first", "second", " "]


def kept_in_stream(outside, group):
    events = outside.client("logs").get_log_events(logGroupName=group, logStreamName="s", startFromHead=True)
    return [event["message"] for event in events["events"]]


def test_of_a_log_without_end_the_newest_lines_stay(outside):
    at_ms, group = 1_795_000_000_000, "/aws/sagemaker/TrainingJobs/lines"
    CloudWatchLogs(outside).put(group, "s", [(at_ms, str(number)) for number in range(MOST_LINES + 500)])
    kept = kept_in_stream(outside, group)
    assert kept[-1] == str(MOST_LINES + 499)
    assert MOST_LINES // 2 <= len(kept) <= MOST_LINES


def test_of_a_log_with_long_lines_as_many_stay_as_there_is_room_for(outside):
    at_ms, group, line = 1_795_000_000_000, "/aws/sagemaker/TrainingJobs/long", "x" * 200_000
    logs = CloudWatchLogs(outside)
    for number in range(10):
        logs.put(group, "s", [(at_ms, f"{number}{line}")] * 5)
    kept = kept_in_stream(outside, group)
    assert kept[-1].startswith("9")
    assert MOST_CHARACTERS / 4 < sum(map(len, kept)) <= MOST_CHARACTERS


def test_a_metric_comes_out_as_it_was_put(outside):
    CloudWatchMetrics(outside).put(
        "/aws/sagemaker/TrainingJobs", "loss", 0.5, {"TrainingJobName": "j"}, 1_795_000_000
    )
    found = outside.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TrainingJobs")["Metrics"]
    (metric,) = found
    assert metric["Dimensions"] == [{"Name": "TrainingJobName", "Value": "j"}]


def test_a_failing_seed_does_not_keep_moto_from_answering(caplog):
    def fails(_):
        raise ZeroDivisionError

    outside = Outside("us-east-1", "AKIAOURS", {}, [fails])
    assert outside.client("sts").get_caller_identity()["Account"] == ACCOUNT
    assert "moto could not be prepared" in caplog.text


def test_an_error_of_moto_is_botocores_own(outside):
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchEntity"):
        outside.client("iam").get_role(RoleName="nobody")


@pytest.mark.parametrize(("method", "path"), [("GET", "/moto-api/"), ("POST", "/moto-api/reset")])
def test_motos_own_pages_are_nobodys(outside, method, path):
    answer = asked(outside, method=method, path=path, service="iam")
    assert answer.status == 400
    assert b"UnknownOperationException" in answer.body


def test_an_answer_of_motos_web_framework_is_an_unknown_operation_even_without_a_page(outside):
    assert asked(outside, method="OPTIONS", service="iam").status == 400


def test_a_request_without_end_is_refused_before_it_fills_the_memory(outside, monkeypatch):
    monkeypatch.setattr("byoc.local.outside._LARGEST_BODY", 100)
    answer = asked(outside, body=b"x" * 101)
    assert answer.status == 413
    assert b"larger than 100 bytes" in answer.body
