"""`byoc demo`: the whole way from a user's main.py to predictions, as programs of this machine."""

import http.client
import json
import re
import shlex
import statistics
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from byoc.errors import DemoError, ProgramError, ReaderGoneError
from byoc.local.aws import REGION, EmbeddedAws
from byoc.predictions import (
    answers_in,
    judge,
    labels_in,
    latencies_ms,
    list_of,
    requests_in,
    table_of,
)
from byoc.runtime import opt_ml
from byoc.runtime.process import Process
from byoc.runtime.program import Place, Program, run, start
from byoc.runtime.readiness import free_port, wait_until_ready
from byoc.stages import Stage, Stages

PROGRAM = Path("container", "custom_algorithm")
BUCKET = "byoc-demo"
CALLS = 50
CALLS_S = 5.0
PATIENCE_S = 60.0
WITHOUT_NGINX = ", by gunicorn alone: install nginx to see what the image runs"
STAGES = ("Train", "Upload", "Pull", "Serve", "Predict", "Stop")
NEXT = """
What to try next{where}:
  {program}/apps/
      Put your own algorithm there, and into dummy_data/ requests for it; nothing else changes.
  {python} {program}/debug_api.py
      Flask's debug server: it reloads on every edit in apps/.
  {python} {program}/test_api.py --file dummy_data/{file}
      Sends it a request, from a second shell.
  docker build -t my-model container
      The same programs as an image; container/build_and_push.sh my-model puts it into your ECR."""


@dataclass(frozen=True)
class ModelVersion:
    """What main.py says that it uploaded: where, and the digest that guards it."""

    uri: str
    manifest_sha256: str


@dataclass(frozen=True)
class Demo:
    """The checkout to demonstrate, and the folder that all runs and logs go to."""

    repo: Path
    work: Path

    def place(self, name: str) -> Place:
        """Return the folder of one run."""
        return Place(self.work / name)

    def python(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start our interpreter in the checkout."""
        return run([sys.executable, *arguments], self.place(name), environment or {}, self.repo)


def find_repo(cwd: Path, given: Path | None = None) -> Path:
    """Return the checkout around a folder, or the one given.

    Raises:
        DemoError: there is none.
    """
    for folder in [given.resolve()] if given else [cwd, *cwd.parents]:
        if (folder / PROGRAM).is_dir():
            return folder
    raise DemoError(f"{given or cwd} is in no checkout (no {PROGRAM}). Go into one, or name it with --repo.")


def run_demo(repo: Path, stages: Stages | None = None) -> None:
    """Run every stage; all programs have ended and all folders are gone when it returns.

    Raises:
        ByocError: a stage failed; the message says why, and its note where the logs are, which are kept.
    """
    stages = stages or Stages(STAGES, sys.stdout)
    began = time.monotonic()
    closing = what_next(repo, Path.cwd(), requests_in(repo / "dummy_data"))
    with _work_folder() as work, ExitStack() as running:
        demo = Demo(repo, work)
        aws_process = running.enter_context(demo.python("aws", "-m", "byoc.local.aws"))
        with stages.stage("Train") as stage:
            train_model(demo, stage)
        with stages.stage("Upload") as stage:
            aws = aws_of(aws_process)
            create_bucket(aws_process, aws.url)
            version = upload_model(demo, stage, aws)
        with stages.stage("Pull") as stage:
            pull_model(demo, stage, aws, version)
        with stages.stage("Serve") as stage:
            port = free_port()
            server = running.enter_context(start_serving(demo, version, port))
            wait_until_ready(server, port, PATIENCE_S, lambda answer: stage.progress(told_in(answer)))
            alone = any("nginx is not installed" in line for line in server.last_lines(100))
            stage.result = f"/ping answers 200 on 127.0.0.1:{port}{WITHOUT_NGINX if alone else ''}"
        with stages.stage("Predict") as stage:
            table = predict(demo, stage, server, port)
        with stages.stage("Stop") as stage:
            stop_serving(stage, server)
    stages.say()
    stages.say(table)
    stages.say(closing)
    stages.say(f"\nThe demo took {time.monotonic() - began:.0f} s; nothing of it is left running.")


def train_model(demo: Demo, stage: Stage) -> None:
    """Train with the user's main.py, which keeps the model in apps/.temps/."""
    with demo.python("main.py", str(PROGRAM / "apps" / "main.py")) as process:
        lines = process.finish(stage.progress)
    stage.result = lines[-1] if lines else ""


def aws_of(process: Process) -> EmbeddedAws:
    """Return the AWS that a process has become.

    It has a process and an environment of its own because moto, in ours, would read the user's AWS profile.

    Raises:
        ProgramError: it ended instead.
    """
    for line in process.follow():
        if line.startswith("http://"):
            return EmbeddedAws(line, REGION)
    raise ProgramError(f"The embedded AWS did not start. {process.tail()}")


def upload_model(demo: Demo, stage: Stage, aws: EmbeddedAws) -> ModelVersion:
    """Upload the model that main.py kept; return what the upload says about the version."""
    apps = PROGRAM / "apps"
    script, kept = str(apps / "s3_upload.py"), str(apps / ".temps" / "model")
    destination = f"s3://{BUCKET}/models"
    with demo.python("s3_upload.py", script, kept, destination, environment=aws.environment()) as process:
        lines = process.finish(stage.progress)
    told = dict(line.split("=", 1) for line in lines if re.match(r"model_\w+=", line))
    try:
        version = ModelVersion(told["model_version"], told["model_manifest_sha256"])
    except KeyError as error:
        raise DemoError(f"{script} did not print {error.args[0]}=...; see {process.command.log}") from None
    stage.result = version.uri
    return version


def pull_model(demo: Demo, stage: Stage, aws: EmbeddedAws, version: ModelVersion) -> None:
    """Run the image's `train` in an /opt/ml of its own: it pulls the version and verifies it."""
    place = demo.place("train")
    hyperparameters = {"model_version": version.uri, "model_manifest_sha256": version.manifest_sha256}
    tree = opt_ml.lay_out_training(place.opt_ml, hyperparameters)
    with start(Program(demo.repo / PROGRAM), "train", place, aws.environment()) as process:
        process.finish(lambda line: stage.progress(told_in(line)), tree.failure)
    files = sorted(file.name for file in tree.model.rglob("*") if file.is_file())
    stage.result = f"{', '.join(files)} in {tree.model}"


def start_serving(demo: Demo, version: ModelVersion, port: int) -> Process:
    """Start the image's `serve` on what `train` left in its /opt/ml/model."""
    place = demo.place("serve")
    opt_ml.lay_out_serving(place.opt_ml, demo.place("train").opt_ml / "model")
    given = {
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "MODEL_SERVER_HOST": "127.0.0.1",  # nobody else shall reach a laptop's demo
        "MODEL_MANIFEST_SHA256": version.manifest_sha256,
    }
    return start(Program(demo.repo / PROGRAM), "serve", place, given)


def predict(demo: Demo, stage: Stage, server: Process, port: int) -> str:
    """Send dummy_data/ with test_api.py; return predictions, beside labels if any, as lines to be shown.

    Raises:
        DemoError: a request was not answered; the message has the last lines of `serve`.
    """

    def ask(file: Path) -> list[object]:
        script, url = str(PROGRAM / "test_api.py"), f"http://127.0.0.1:{port}/invocations"
        stage.progress(f"test_api.py --file {file.name}")
        with demo.python("test_api.py", script, "--url", url, "--file", str(file)) as process:
            lines = process.finish()
        return answers_in("\n".join(line for line in lines if not re.fullmatch(r"\d+, [\d.]+ ms", line)))

    data = demo.repo / "dummy_data"
    first, *others = requests_in(data)
    for other in others:
        ask(other)
    answers, labels = ask(first), labels_in(data)
    judged = judge(answers, labels) if labels else None
    try:
        p50_ms = statistics.median(latencies_ms(port, first, CALLS, CALLS_S))
    except DemoError as error:
        raise DemoError(f"{error} {server.tail()}") from error
    accuracy = f"accuracy {judged.accuracy:.3f} on " if judged else ""
    stage.result = (
        f"{accuracy}{len(answers)} rows of {first.name}, p50 latency {p50_ms:.1f} ms for all of them"
    )
    return table_of(judged) if judged else list_of(answers)


def stop_serving(stage: Stage, server: Process) -> None:
    """Send SIGTERM, as SageMaker does, and see that `serve` ends well."""
    status = server.stop()
    if status != 0:
        raise DemoError(f"serve ended with status {status} on SIGTERM, not 0. {server.tail()}")
    stage.result = "serve ended with status 0 on SIGTERM"


def what_next(repo: Path, cwd: Path, requests: Sequence[Path]) -> str:
    """Return commands that work when they are typed, in the checkout."""
    interpreter = Path(sys.executable)
    if interpreter.is_relative_to(repo):
        interpreter = interpreter.relative_to(repo)
    return NEXT.format(
        where="" if cwd == repo else f", in {repo}",
        program=PROGRAM,
        python=shlex.quote(str(interpreter)),
        file=shlex.quote(min(requests, key=lambda file: file.stat().st_size).name),
    )


def create_bucket(process: Process, url: str) -> None:
    """Create the bucket by S3's REST call; boto3 would read the user's own AWS profile on its way."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=10)
    try:
        connection.request("PUT", f"/{BUCKET}")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise DemoError(f"The embedded S3 did not answer: {reason}. {process.tail()}") from error
    finally:
        connection.close()
    if status != 200:
        raise DemoError(f"The embedded S3 answered {status} to the creation of bucket {BUCKET}.")


def told_in(text: str) -> str:
    """Return what a line of a program's JSON log says to people, or the JSON of its /ping; else the text."""
    try:
        told = json.loads(text[text.index("{") :])
        return str(told.get("message") or told["reason"])
    except (ValueError, KeyError):
        return text


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Yield a folder that is removed afterwards; of a failed demo the logs stay."""
    try:
        work = Path(tempfile.mkdtemp(prefix="byoc-"))
    except OSError as error:
        raise DemoError(f"There is no folder for the demo: {error}. Name one in TMPDIR.") from error
    try:
        with _what_the_machine_refuses():
            yield work
    except ReaderGoneError:
        opt_ml.remove(work)
        raise
    except Exception as error:
        for folder in [entry for entry in work.iterdir() if entry.is_dir()]:
            opt_ml.remove(folder)
        error.add_note(f"The logs of all stages are in {work}.")
        raise
    except BaseException:  # ^C and SIGTERM
        opt_ml.remove(work)
        raise
    opt_ml.remove(work)


@contextmanager
def _what_the_machine_refuses() -> Iterator[None]:
    """Tell of a full disk, or a file that may not be read, in a line of its own."""
    try:
        yield
    except OSError as error:
        raise DemoError(f"The demo cannot go on: {error}.") from error
