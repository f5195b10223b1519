"""build_and_push.sh with a fake engine, aws CLI and registry; tests/docker has the real ones."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "container" / "build_and_push.sh"
DOCKERIGNORE = SCRIPT.with_name(".dockerignore")
GITIGNORE = SCRIPT.parents[1] / ".gitignore"
FAKES = Path(__file__).parent / "fixtures" / "push"
# All that the script may take from the machine.
PROGRAMS = ("awk", "basename", "bash", "cat", "dirname", "git", "grep", "mktemp", "rm", "sed", "tail", "tr")
NOBODYS_GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
SCHEMA_2 = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
AN_IMAGE = "sha256:" + "a" * 64
ANOTHER_IMAGE = "sha256:" + "b" * 64


@dataclass(frozen=True)
class Bench:
    """A checkout of the script beside fakes whose state is the files in `fake`."""

    fake: Path
    bin: Path
    checkout: Path
    registry: str

    def push(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": str(self.bin), "FAKE": str(self.fake), "REGISTRY": self.registry}
        environ |= {
            "REAL_CURL": shutil.which("curl") or "",
            "HOME": str(self.fake),
            **NOBODYS_GIT,
            **variables,
        }
        script = self.checkout / "container" / SCRIPT.name
        return subprocess.run(
            [script, *words], cwd="/", env=environ, capture_output=True, text=True, check=False, timeout=30
        )

    @property
    def calls(self) -> list[str]:
        return (self.fake / "calls").read_text().splitlines()

    def pushes(self) -> list[str]:
        return [call.split()[-1].rpartition(":")[2] for call in self.calls if call.startswith("docker push")]

    def set(self, name: str, text: str = "") -> None:
        (self.fake / name).write_text(text)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """HOST:PORT of a registry that shows the files in manifests/ to whoever has the password."""

    class Manifests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            manifest = tmp_path / "fake" / "manifests" / self.path.rpartition("/")[2]
            allowed = "Basic " + b64encode(b"AWS:the-password").decode()
            if self.headers["Authorization"] != allowed or "/v2/team/model/manifests/" not in self.path:
                self.send_error(401)
            elif not manifest.exists():
                self.send_error(404)
            else:
                body = manifest.read_bytes()
                self.send_response(200)
                self.send_header("Content-Type", (tmp_path / "fake" / "media_type").read_text())
                self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(body).hexdigest()}")
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the terminal clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Manifests) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def bench(tmp_path: Path, registry: str) -> Bench:
    folders = {name: tmp_path / name for name in ("fake", "bin", "checkout")}
    (folders["fake"] / "manifests").mkdir(parents=True)
    folders["bin"].mkdir()
    for program in PROGRAMS:
        found = shutil.which(program)
        assert found, program
        (folders["bin"] / program).symlink_to(found)
    for program in ("aws", "curl", "docker"):
        (folders["bin"] / program).symlink_to(FAKES / program)
    container = folders["checkout"] / "container"
    container.mkdir(parents=True)
    for file in (SCRIPT, DOCKERIGNORE):
        shutil.copy(file, container)
    shutil.copy(GITIGNORE, folders["checkout"])
    git(folders["checkout"], "init", "--quiet")
    git(folders["checkout"], "add", ".")
    git(folders["checkout"], "commit", "--quiet", "--message", "All of it")
    made = Bench(registry=registry, **folders)
    made.set("region", "eu-central-1\n")
    made.set("image_id", AN_IMAGE)
    made.set("media_type", SCHEMA_2)
    made.set("calls")
    return made


def git(checkout: Path, *words: str) -> str:
    command = [
        "git",
        "-C",
        checkout,
        "-c",
        "user.name=A Tester",
        "-c",
        "user.email=tester@example.com",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def assert_one_line(done: subprocess.CompletedProcess[str], status: int, *parts: str) -> None:
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    for part in parts:
        assert part in line


def test_the_uri_with_its_digest_is_all_that_stdout_holds(bench):
    pushed = bench.push("team/model", "--tag", "v1")

    assert pushed.returncode == 0, pushed.stderr
    digest = hashlib.sha256((bench.fake / "manifests" / "v1").read_bytes()).hexdigest()
    assert pushed.stdout == f"{bench.registry}/team/model@sha256:{digest}\n"
    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD"), "v1"]


def test_progress_has_no_colour_where_no_terminal_reads_it(bench):
    pushed = bench.push("team/model")

    assert "▸ 1/5 Repository team/model in account 123456789012, region eu-central-1" in pushed.stderr
    assert "\033" not in pushed.stderr


def test_a_new_file_in_container_makes_the_tag_dirty(bench):
    (bench.checkout / "container" / "new.py").write_text("")

    bench.push("team/model")

    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD") + "-dirty"]


@pytest.mark.parametrize("name", ["kept.bin", "apps/deeper/kept.bin"])
def test_a_file_that_git_ignores_and_the_image_has_makes_the_tag_dirty(bench, name):
    (bench.checkout / ".git" / "info" / "exclude").write_text("kept.bin\n")
    file = bench.checkout / "container" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")

    bench.push("team/model")

    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD") + "-dirty"]


@pytest.mark.parametrize(
    "name",
    [
        "look.ipynb",
        "apps/.temps/model/model.txt",
        "apps/dist/a.whl",
        "apps/.env",
        "env/pyvenv.cfg",
        "apps/id_ecdsa",
    ],
)
def test_a_file_that_stays_out_of_the_image_does_not(bench, name):
    file = bench.checkout / "container" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")

    bench.push("team/model")

    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD")]


def test_a_deleted_file_makes_the_tag_dirty(bench):
    (bench.checkout / "container" / ".dockerignore").unlink()

    bench.push("team/model")

    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD") + "-dirty"]


def test_all_that_git_ignores_stays_out_of_the_image():
    kept_out = DOCKERIGNORE.read_text().splitlines()
    for line in GITIGNORE.read_text().split():
        name = line.rstrip("/")
        assert any(fnmatch(name, pattern.removeprefix("**/")) for pattern in kept_out), line


def test_a_change_outside_container_does_not(bench):
    (bench.checkout / "notes.txt").write_text("")

    bench.push("team/model")

    assert bench.pushes() == [git(bench.checkout, "rev-parse", "--short=12", "HEAD")]


def test_the_password_is_in_no_programs_arguments(bench):
    bench.push("team/model")

    assert any(call.startswith("curl") for call in bench.calls)
    assert not [call for call in bench.calls if "the-password" in call]


def test_the_password_is_in_no_here_string_which_old_bashes_write_to_disk():
    assert not [line for line in SCRIPT.read_text().splitlines() if "<<<" in line and "password" in line]


def test_the_same_image_is_not_pushed_again(bench):
    first = bench.push("team/model", "--tag", "v1")
    bench.set("calls")

    again = bench.push("team/model", "--tag", "v1")

    assert again.stdout == first.stdout
    assert bench.pushes() == []


def test_a_tag_that_may_move_moves(bench):
    first = bench.push("team/model", "--tag", "v1")
    bench.set("image_id", ANOTHER_IMAGE)

    again = bench.push("team/model", "--tag", "v1")

    assert again.returncode == 0, again.stderr
    assert again.stdout != first.stdout


def test_another_image_under_an_immutable_tag_is_refused_before_any_push(bench):
    bench.push("team/model", "--tag", "v1", "--immutable-tags")
    bench.set("image_id", ANOTHER_IMAGE)
    bench.set("calls")

    again = bench.push("team/model", "--tag", "v2")

    assert again.returncode == 4
    assert again.stdout == ""
    assert "of team/model is immutable and names another image" in again.stderr
    assert bench.pushes() == []


SAID_OF_AN_IMMUTABLE_TAG = (
    "tag invalid: The image tag 'v1' already exists in the 'team/model' repository "
    "and cannot be overwritten because the tag is immutable.\n"
)


@pytest.mark.parametrize("mutability", ["IMMUTABLE_WITH_EXCLUSION", "MUTABLE_WITH_EXCLUSION"])
def test_with_exclusions_ecr_says_which_tag_may_not_move(bench, mutability):
    bench.set("mutability", mutability)
    bench.push("team/model", "--tag", "v1")
    bench.set("image_id", ANOTHER_IMAGE)
    bench.set("push_fails", SAID_OF_AN_IMMUTABLE_TAG)

    again = bench.push("team/model", "--tag", "v1")

    assert again.returncode == 4
    assert again.stdout == ""
    assert SAID_OF_AN_IMMUTABLE_TAG in again.stderr
    assert "is immutable and names another image. Deploy that one" in again.stderr.splitlines()[-1]


def test_with_exclusions_a_tag_that_may_move_moves(bench):
    bench.set("mutability", "IMMUTABLE_WITH_EXCLUSION")
    bench.push("team/model", "--tag", "latest")
    bench.set("image_id", ANOTHER_IMAGE)

    assert bench.push("team/model", "--tag", "latest").returncode == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [("MUTABLE_WITH_EXCLUSION", "IMMUTABLE"), ("IMMUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")],
)
def test_immutable_tags_makes_immutable_what_is_not_and_keeps_exclusions(bench, before, after):
    bench.set("mutability", before)

    pushed = bench.push("team/model", "--immutable-tags")

    assert pushed.returncode == 0, pushed.stderr
    assert (bench.fake / "mutability").read_text().strip() == after


def test_another_failure_of_the_push_says_so_below_its_reason(bench):
    bench.set("push_fails", "denied: Your authorization token has expired.\n")

    done = bench.push("team/model")

    assert done.returncode == 1
    *_, reason, line = done.stderr.splitlines()
    assert reason == "denied: Your authorization token has expired."
    assert line.endswith("failed; the reason is above.")


@pytest.mark.parametrize(
    ("media_type", "remedy"),
    [
        (OCI_INDEX, "--provenance=false --sbom=false"),
        ("application/vnd.docker.distribution.manifest.list.v2+json", "build one platform"),
        ("application/vnd.oci.image.manifest.v1+json", "oci-mediatypes=false"),
    ],
)
def test_an_image_that_sagemaker_would_reject_fails_with_the_remedy(bench, media_type, remedy):
    bench.set("media_type", media_type)

    pushed = bench.push("team/model")

    assert pushed.returncode == 5
    assert pushed.stdout == ""
    assert f'"Unsupported manifest media type {media_type}"' in pushed.stderr
    assert remedy in pushed.stderr.splitlines()[-1]


def test_buildx_is_told_to_make_what_sagemaker_takes(bench):
    bench.set("buildx")

    bench.push("team/model")

    (build,) = [call for call in bench.calls if call.startswith("docker buildx build")]
    assert "--provenance=false --sbom=false --output type=docker,oci-mediatypes=false" in build


def test_the_platform_and_further_arguments_reach_the_build(bench):
    bench.push("team/model", "--platform", "linux/arm64", "--", "--build-arg", "A=b c")
    bench.push("team/model")

    first, second = (call for call in bench.calls if call.startswith("docker build "))
    assert "--platform linux/arm64 --build-arg A=b c" in first
    assert "--platform linux/amd64" in second


def test_a_repository_is_made_once_with_a_scan_on_push(bench):
    bench.push("team/model")
    bench.push("team/model")

    (made,) = [call for call in bench.calls if "create-repository" in call]
    assert "--image-tag-mutability MUTABLE --image-scanning-configuration scanOnPush=true" in made


def test_a_repository_that_is_there_becomes_immutable_when_asked(bench):
    bench.set("mutability", "MUTABLE")

    bench.push("team/model", "--immutable-tags")

    assert (bench.fake / "mutability").read_text().strip() == "IMMUTABLE"


def test_only_images_without_a_tag_expire(bench):
    bench.push("team/model", "--expire-untagged-days", "14")

    policy = (bench.fake / "lifecycle").read_text()
    assert '"tagStatus":"untagged"' in policy
    assert '"countNumber":14' in policy


def test_a_lifecycle_policy_that_is_there_stays(bench):
    bench.set("lifecycle", '{"rules":[]}')

    pushed = bench.push("team/model", "--expire-untagged-days", "14")

    assert (bench.fake / "lifecycle").read_text() == '{"rules":[]}'
    assert "left as it is" in pushed.stderr


@pytest.mark.parametrize(
    ("words", "variables", "region"),
    [
        (["--region", "ap-south-1"], {"AWS_REGION": "us-east-2"}, "ap-south-1"),
        ([], {"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-west-1"}, "us-east-2"),
        ([], {"AWS_DEFAULT_REGION": "us-west-1"}, "us-west-1"),
        ([], {}, "eu-central-1"),
    ],
)
def test_the_region_comes_from_the_nearest_place(bench, words, variables, region):
    bench.push("team/model", *words, **variables)

    assert f"aws --region {region} sts get-caller-identity --query Account --output text" in bench.calls


def test_the_profile_is_used_in_every_call(bench):
    bench.push("team/model", "--profile", "work")

    assert all(call.startswith("aws --profile work ") for call in bench.calls if call.startswith("aws"))


def test_help_says_every_option_and_status(bench):
    shown = bench.push("--help")

    assert shown.returncode == 0
    for word in (
        "--tag",
        "--profile",
        "--region",
        "--platform",
        "--immutable-tags",
        "--expire-untagged-days",
    ):
        assert word in shown.stdout
    assert shown.stderr == ""


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("aws", "the aws CLI is not installed"),
        ("curl", "curl is not installed"),
        ("docker", "docker is not installed"),
    ],
)
def test_a_missing_program_is_one_line(bench, program, line):
    (bench.bin / program).unlink()

    assert_one_line(bench.push("team/model"), 3, line)


def test_a_missing_engine_is_one_line(bench):
    bench.set("no_engine")

    assert_one_line(bench.push("team/model"), 3, "no Docker engine answers", "Is the docker daemon running?")


def test_a_missing_region_is_one_line(bench):
    (bench.fake / "region").unlink()

    assert_one_line(bench.push("team/model"), 3, "no region is set. Give --region")


def test_missing_credentials_are_one_line(bench):
    bench.set("no_credentials")

    done = bench.push("team/model", "--profile", "work")
    assert_one_line(done, 3, "no AWS credentials", "in profile work", "Unable to locate credentials")


@pytest.mark.parametrize(
    "said",
    [
        "The config profile (work) could not be found",
        "Error loading SSO Token: Token for work does not exist",
        "The SSO session associated with this profile has expired or is otherwise invalid.",
        "Token has expired and refresh failed",
        "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: no",
        "An error occurred (InvalidClientTokenId) when calling the GetCallerIdentity operation: no",
    ],
)
def test_credentials_that_do_not_work_are_told_as_such(bench, said):
    bench.set("sts_fails", said)

    assert_one_line(bench.push("team/model"), 3, "no AWS credentials", said)


@pytest.mark.parametrize(
    "said",
    [
        'Could not connect to the endpoint URL: "https://sts.eu-central-1.amazonaws.com/"',
        "SSL validation failed for https://sts.eu-central-1.amazonaws.com/ certificate has expired",
        "An error occurred (Throttling) when calling the GetCallerIdentity operation: Rate exceeded",
    ],
)
def test_another_failure_of_sts_is_not_taken_for_missing_credentials(bench, said):
    bench.set("sts_fails", said)

    assert_one_line(bench.push("team/model"), 1, f"AWS does not say who you are. ({said})")


def test_outside_git_a_tag_has_to_be_given(bench):
    shutil.rmtree(bench.checkout / ".git")

    assert_one_line(bench.push("team/model"), 3, "there is no git commit", "Give --tag")


def test_outside_git_the_tag_given_is_the_only_one(bench):
    shutil.rmtree(bench.checkout / ".git")

    bench.push("team/model", "--tag", "v1")

    assert bench.pushes() == ["v1"]


@pytest.mark.parametrize("name", ["Model", "team//model", "model_", "a", "m" * 257, "model:v1"])
def test_a_name_that_ecr_would_refuse_is_one_line(bench, name):
    assert_one_line(bench.push(name), 2, f"'{name}' is not a valid ECR repository name")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "no name of a repository"),
        (["model", "other"], "two names, model and other"),
        (["model", "--tags", "v1"], "there is no option --tags"),
        (["model", "--tag"], "--tag has no value"),
        (["model", "--tag", "a b"], "'a b' cannot be a tag"),
        (["model", "--platform", "linux/riscv64"], "Give linux/amd64 or"),
        (["model", "--expire-untagged-days", "soon"], "--expire-untagged-days is 'soon'"),
    ],
)
def test_wrong_usage_is_one_line(bench, words, line):
    assert_one_line(bench.push(*words), 2, line)


def test_a_repository_that_may_not_be_seen_is_not_taken_for_a_missing_one(bench):
    bench.set("access_denied")

    done = bench.push("team/model")

    assert done.returncode == 1
    assert "ECR does not show the repository team/model. (An error occurred (AccessDenied" in done.stderr
    assert not [call for call in bench.calls if "create-repository" in call]


def test_nothing_is_left_in_the_temporary_folder(bench, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    bench.push("team/model", TMPDIR=str(scratch))

    assert list(scratch.iterdir()) == []


def test_shellcheck_finds_nothing():
    shellcheck = Path(sys.executable).with_name("shellcheck")
    checked = subprocess.run(
        [shellcheck, SCRIPT, *FAKES.iterdir()], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
