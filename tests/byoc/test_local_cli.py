"""`byoc local`: up, down, status, env, logs, and every way in which they go wrong, as real programs."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from byoc.local import launch
from byoc.local_commands import local
from byoc.runtime.network import free_port
from processes import alive, eventually

REPO = Path(__file__).parents[2]


class Shell:
    """Runs `byoc local` as a user would, with a state folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "run").mkdir(mode=0o700)
        (folder / "tmp").mkdir()
        self.environ = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONPATH": str(REPO),
        }

    def __call__(self, *words, cwd=None, **more):
        return subprocess.run(
            [sys.executable, "-m", "byoc", "local", *map(str, words)],
            env=self.environ | more,
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def here(self, *words):
        """Run it in this process, which is sooner done; what is refused is the result's exception."""
        return CliRunner().invoke(local, list(map(str, words)), env=self.environ)

    def instance(self, port):
        return launch.find(self.environ, port)

    def temporary(self):
        return list((self.folder / "tmp").iterdir())

    @contextmanager
    def up(self, *words):
        port = free_port()
        done = self("up", "--port", port, *words)
        assert done.returncode == 0, done.stderr
        try:
            yield port
        finally:
            self("down", "--port", port)


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    return Shell(tmp_path_factory.mktemp("shell"))


@pytest.fixture(scope="module")
def port(shell):
    """The port of an instance for all tests that leave it as it is."""
    with shell.up() as given:
        yield given


@pytest.fixture(scope="module")
def other(shell, port):
    """The port of a second instance, with a data folder."""
    with shell.up("--data", shell.folder / "data in use") as given:
        yield given


def test_up_returns_when_it_answers_and_down_when_nothing_is_left(shell):
    port = free_port()
    done = shell("up", "--port", port)
    told = shell("status", "--port", port)
    pid, (data,) = shell.instance(port).pid, shell.temporary()
    ended = shell("down", "--port", port)
    gone, again = shell("status", "--port", port), shell("down", "--port", port)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"ready at http://127.0.0.1:{port}" in done.stdout
    assert f'eval "$(byoc local env --port {port})"' in done.stdout
    assert told.returncode == 0
    assert f"http://127.0.0.1:{port}" in told.stdout
    assert f"data in {data} until it ends" in told.stdout
    assert "role/SageMakerExecutionRole" in told.stdout
    assert ended.stdout == f"The local SageMaker at http://127.0.0.1:{port} has ended.\n"
    assert not alive(pid)
    assert shell.temporary() == []
    assert gone.returncode == 1
    assert gone.stdout == f"No local SageMaker runs on port {port}. Start it: byoc local up --port {port}\n"
    assert (again.returncode, again.stdout) == (0, f"No local SageMaker runs on port {port}.\n")


def test_a_shell_that_evals_env_reaches_it_and_nothing_else(shell, port):
    script = (
        f'eval "$({sys.executable} -m byoc local env --port {port})"; '
        "echo profile=${AWS_PROFILE-unset} s3=${AWS_ENDPOINT_URL_S3-unset} proxy=$NO_PROXY; "
        f'{sys.executable} -c \'import boto3; print(boto3.client("sagemaker").list_models()["Models"], '
        '*(bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]))\''
    )
    done = subprocess.run(
        ["sh", "-c", script],
        env=shell.environ
        | {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "http://elsewhere", "NO_PROXY": "intra net"},
        capture_output=True,
        text=True,
        check=False,
        cwd=shell.folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "profile=unset s3=unset proxy=intra net,127.0.0.1,localhost",
        "[] sagemaker-us-east-1-123456789012",
    ]


def test_nothing_is_written_to_the_users_home_and_what_is_written_is_private(shell, port):
    instance = shell.instance(port)
    told = shell("env", "--port", port, HOME="/nonexistent")
    assert told.returncode == 0
    for folder in (Path(instance.folder), Path(instance.data)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in Path(instance.folder).iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_the_log_tells_what_was_asked_but_never_the_keys(shell, port):
    instance = shell.instance(port)
    shell("status", "--port", port)
    told = shell("logs", "--port", port)
    assert "sagemaker SageMaker.ListEndpoints 200" in told.stdout
    assert instance.access_key not in told.stdout
    assert instance.secret_key not in told.stdout


def test_a_reader_that_has_had_enough_is_no_bug(shell, port):
    command = [sys.executable, "-m", "byoc", "local", "env", "--port", str(port)]
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(command, env=shell.environ, stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, b"")


def test_the_log_of_an_endpoint_or_job_is_shown_by_its_name(shell, port):
    missing = shell("logs", "nobody", "--port", port)
    assert missing.returncode == 1
    assert (
        missing.stderr
        == "byoc: No endpoint or training job called nobody has a log. See: byoc local status\n"
    )
    logs, group = client(shell.instance(port), "logs"), "/aws/sagemaker/Endpoints/mine"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    events = [{"timestamp": 1_795_000_000_000 + n, "message": f"line {n}"} for n in range(3)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    assert shell("logs", "mine", "--port", port).stdout == "line 0\nline 1\nline 2\n"
    told = '{"time": "T", "level": "INFO", "logger": "byoc", "message": "loaded", "seconds": 2}'
    events = [{"timestamp": 1_795_000_000_003, "message": told}]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    assert shell("logs", "mine", "--port", port).stdout.splitlines()[3:] == ["T INFO loaded seconds=2"]
    assert shell("logs", "mine", "--raw", "--port", port).stdout.splitlines()[3:] == [told]
    for number in range(60):  # as of instances that were replaced; one page has 50
        logs.create_log_stream(logGroupName=group, logStreamName=f"before-{number}")
    assert shell("logs", "mine", "--port", port).stdout.startswith("line 0\nline 1\nline 2\n")


def test_a_second_up_on_its_port_is_one_clear_line(shell, port):
    done = shell("up", "--port", port)
    assert done.returncode == 1
    assert done.stderr == (
        f"byoc: A local SageMaker runs at http://127.0.0.1:{port} already "
        f"(process {shell.instance(port).pid}). Use it, end it with: "
        f"byoc local down --port {port} (its endpoints and buckets go with it), or give another --port.\n"
    )


def test_a_program_is_given_to_one_that_runs(shell, tmp_path):
    for name in ("program", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "serve").touch()
    program, other = tmp_path / "program", tmp_path / "other"
    with shell.up() as port:
        refused = shell.here("up", "--program", f"mine={program}", "--port", port)
        added = shell.here("add", f"mine={program}", "--port", port)
        again = shell.here("add", f"mine={other}", "--port", port)
        wrong = shell.here("add", "mine", "--port", port)
        instance = shell.instance(port)
        images = client(instance, "ecr").describe_images(repositoryName="mine", imageIds=[{"imageTag": "v7"}])
        client(instance, "s3").put_object(Bucket=instance.bucket, Key="k", Body=b"")
        ended = shell.here("down", "--port", port)
        late = shell.here("add", f"mine={program}", "--port", port)
    assert f"Give it the program with: byoc local add mine={program} --port {port}, end" in str(
        refused.exception
    )
    assert added.output == f"The image mine is the program in {program} from now on.\n"
    assert f"It was {program}: what runs already goes on" in again.output
    assert (wrong.exit_code, "Invalid value for NAME=DIR" in wrong.output) == (2, True)
    assert images["imageDetails"]
    assert f"Gone with it, as it had no --data: what was in s3://{instance.bucket}.\n" in ended.output
    assert str(late.exception).endswith(
        f"Start it with: byoc local up --program mine={program} --port {port}"
    )
    assert not Path(instance.folder).exists()


def test_after_a_crash_the_log_stays_and_nothing_else_until_the_next_end(shell, tmp_path):
    with shell.up("--data", tmp_path / "data") as port:
        instance = shell.instance(port)
        os.kill(instance.pid, signal.SIGKILL)
        assert eventually(lambda: shell.instance(port) is None)
        told = shell.here("logs", "--port", port)
        assert str(told.exception).endswith(f"The log of one that did not end well is {instance.log}")
        assert {file.name for file in Path(instance.folder).iterdir()} == {"lock", "server.log"}
        assert shell("up", "--port", port, "--data", tmp_path / "data").returncode == 0
        ended = shell.here("down", "--port", port)
    assert ended.output.endswith(f" has ended. What it has stays in {tmp_path}/data.\n")
    assert not Path(instance.folder).exists()


@pytest.mark.parametrize("words", [["--stream", "s"], ["e", "s", "t"], ["e", "s", "--stream", "t"]])
def test_a_stream_is_one_of_something(shell, words):
    done = shell.here("logs", *words)
    assert done.exit_code == 2
    assert "Give the NAME of an endpoint or a training job, and at most one STREAM" in done.output


def test_a_port_that_is_taken_is_one_clear_line(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell("up", "--port", port)
    assert done.returncode == 1
    assert done.stderr == f"byoc: Port {port} of 127.0.0.1 is taken. Give another one with --port.\n"
    assert not (shell.folder / "run" / "byoc" / f"local-{port}").exists()


@pytest.mark.parametrize("shared", ["port", "data"])
def test_of_two_that_start_at_once_one_does(shell, tmp_path, shared):
    ports = [free_port()] * 2 if shared == "port" else [free_port(), free_port()]
    command = [sys.executable, "-m", "byoc", "local", "up", "--data", str(tmp_path / "data"), "--port"]
    how = {"env": shell.environ, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    racing = [subprocess.Popen([*command, str(port)], **how) for port in ports]
    told = [process.communicate(timeout=60) for process in racing]
    for port in set(ports):
        shell("down", "--port", port)
    assert sorted(process.returncode for process in racing) == [0, 1], told
    ((_, refusal),) = [said for said, process in zip(told, racing, strict=True) if process.returncode]
    assert refusal.count("\n") == 1
    assert refusal.startswith(("byoc: A local SageMaker runs", "byoc: Another local SageMaker"))


def test_a_program_that_was_named_once_is_known_to_a_later_up(shell, tmp_path):
    (tmp_path / "program").mkdir()
    (tmp_path / "program" / "serve").touch()
    with shell.up("--data", tmp_path / "data", "--program", f"mine={tmp_path / 'program'}") as port:
        assert f"program       mine  {tmp_path}/program" in shell("status", "--port", port).stdout
    (tmp_path / "program").rename(tmp_path / "moved")
    port = free_port()
    again = shell("up", "--port", port, "--data", tmp_path / "data")
    logged = shell.instance(port).log.read_text()
    shell("down", "--port", port)
    told = (
        f"The folder of the program mine is gone or closed: {tmp_path}/program. Put it back, or name another."
    )
    assert f"Note: {told}\n" in again.stdout
    assert told in logged


def test_an_image_that_nothing_stands_for_is_refused_with_the_command_that_names_it(shell, other):
    instance = shell.instance(other)
    sagemaker = client(instance, "sagemaker")
    with pytest.raises(sagemaker.exceptions.ClientError) as refused:
        sagemaker.create_model(
            ModelName="m", PrimaryContainer={"Image": "nonsense:9"}, ExecutionRoleArn=instance.role_arn
        )
    assert (
        f"Name a folder for it: byoc local add nonsense=DIR --port {other}"
        in refused.value.response["Error"]["Message"]
    )


def test_data_that_another_instance_uses_is_one_clear_line(shell, other):
    data = shell.instance(other).data
    done = shell("up", "--port", free_port(), "--data", data)
    assert done.returncode == 1
    assert done.stderr == (
        f"byoc: Another local SageMaker uses the data in {data}. End it, or give another.\n"
    )


@pytest.mark.parametrize("name", ["keys.json", "sagemaker.sqlite", "objects/s3.sqlite"])
def test_data_that_is_damaged_is_one_clear_line(shell, tmp_path, name):
    (tmp_path / "objects").mkdir()
    (tmp_path / name).write_text("no " * 1000)
    done = shell("up", "--port", free_port(), "--data", tmp_path)
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Remove it" in done.stderr or "give another --data" in done.stderr


@pytest.mark.parametrize("after_s", [0.02, 0.1, 0.2, 0.3, 0.4])
def test_one_that_is_ended_while_it_starts_leaves_nothing(shell, tmp_path, after_s):
    (tmp_path / "tmp").mkdir()
    asked = launch.Asked(port=free_port())
    with subprocess.Popen(
        launch.command(asked, tmp_path / "own"),
        env=launch.server_environment(shell.environ | {"TMPDIR": str(tmp_path / "tmp")}),
        stderr=subprocess.DEVNULL,
    ) as server:
        time.sleep(after_s)
        server.terminate()
        server.wait(10)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert not (tmp_path / "own" / "instance.json").exists()


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["--program", "model"], 2, "Give NAME=DIR"),
        (["--program", "model=/nonexistent"], 2, "/nonexistent, which is no folder"),
        (["--program", "model=."], 2, "nothing to run: neither train nor serve, nor a Dockerfile"),
        (["--registry", "http://127.0.0.1:5000"], 1, "Give HOST:PORT, such as 127.0.0.1:5000."),
        (["--data", "/proc/nowhere"], 1, "--data /proc/nowhere cannot be used"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(shell, words, status, told):
    port = free_port()
    done = shell("up", "--port", port, *words)
    assert done.returncode == status
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((shell.folder / "run" / "byoc").glob(f"local-{port}"))


@pytest.mark.parametrize("verb", ["env", "logs"])
def test_without_an_instance_the_next_command_is_told(shell, verb):
    port = free_port()
    done = shell(verb, "--port", port)
    assert done.returncode == 1
    assert done.stdout == ("false\n" if verb == "env" else "")  # for eval, which else would end with 0
    assert (
        done.stderr
        == f"byoc: No local SageMaker runs on port {port}. Start it: byoc local up --port {port}\n"
    )


def test_two_instances_live_side_by_side_with_keys_of_their_own(shell, port, other):
    one, two = shell.instance(port), shell.instance(other)
    assert one.access_key != two.access_key
    client(one, "s3").create_bucket(Bucket="only-here")
    assert [b["Name"] for b in client(two, "s3").list_buckets()["Buckets"]] == [two.bucket]


def test_in_the_foreground_it_stays_until_it_is_interrupted(shell):
    port = free_port()
    command = [sys.executable, "-m", "byoc", "local", "up", "--foreground", "--port", str(port)]
    command += ["--data", "kept here"]
    with subprocess.Popen(
        command, env=shell.environ, cwd=shell.folder, stderr=subprocess.PIPE, text=True
    ) as process:
        line = process.stderr.readline()
        instance = shell.instance(port)
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert f"ready at http://127.0.0.1:{port}" in line
    assert instance.pid == process.pid
    assert instance.data == str(shell.folder / "kept here")
    assert process.returncode == 0
    assert "has ended" in rest
    assert not Path(instance.folder).exists()
    assert "Traceback" not in rest


def client(instance, service):
    import boto3

    return boto3.session.Session(
        aws_access_key_id=instance.access_key,
        aws_secret_access_key=instance.secret_key,
        region_name=instance.region,
    ).client(service, endpoint_url=instance.url)
