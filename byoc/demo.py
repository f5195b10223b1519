"""`byoc demo`: the whole way from a user's main.py to predictions, as programs of this machine."""

import json
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from byoc.deploy.apply import EXISTS
from byoc.errors import DemoError, ProgramError, ReaderGoneError
from byoc.local.instance import Instance, LocalError
from byoc.local.launch import Asked, embedded
from byoc.predictions import answers_in, judge, labels_in, list_of, requests_in, table_of
from byoc.runtime import opt_ml
from byoc.runtime.container import Place
from byoc.runtime.process import Process
from byoc.runtime.program import run
from byoc.stages import Stage, Stages

PROGRAM = Path("container", "custom_algorithm")
ENDPOINT = "byoc-demo"
CALLS = 50
_DOOR_LINES = 100
STAGES = ("Local SageMaker", "Train", "Upload", "Deploy", "Predict", "Delete")
# Not the user's own endpoint.toml, which may name an account and a profile of theirs.
CONFIG = """name = "{endpoint}"
image = "custom-algorithm"
role = "SageMakerExecutionRole"
dummy_data = {dummy_data}
"""
NEXT = """
What to try next{where}:
  {program}/apps/
      Put your own algorithm there, and into dummy_data/ requests for it; nothing else changes.
  {python} {program}/debug_api.py
      Flask's debug server: it reloads on every edit in apps/.
  {python} {program}/test_api.py --file dummy_data/{file}
      Sends it a request, from a second shell.
  docker build -t my-model container
      The same programs as an image; container/build_and_push.sh my-model puts it into your ECR.
  {python} -m byoc local up; eval "$({python} -m byoc local env)"
      A local SageMaker that stays, for your own scripts, generate_endpoint.py, boto3 and the aws CLI."""


@dataclass(frozen=True)
class ModelVersion:
    """What main.py says that it uploaded: where, and the digest that guards it."""

    uri: str
    manifest_sha256: str

    @property
    def flags(self) -> list[str]:
        """The version as generate_endpoint.py takes it."""
        return ["--model-version", self.uri, "--model-manifest-sha256", self.manifest_sha256]


@dataclass(frozen=True)
class Demo:
    """The checkout to demonstrate, and the folder that all runs and logs go to."""

    repo: Path
    work: Path

    @property
    def config(self) -> Path:
        """The endpoint.toml of this demo."""
        return self.work / "config" / "endpoint.toml"

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


def run_demo(repo: Path, stages: Stages | None = None, *, direct: bool = False) -> None:
    """Run every stage; all programs have ended and all folders are gone when it returns.

    Args:
        repo: the checkout.
        stages: what shows them.
        direct: whether generate_endpoint.py does without the dummy training job.

    Raises:
        ByocError: a stage failed; the message says why, and its note where the logs are, which are kept.
    """
    stages = stages or Stages(STAGES, sys.stdout)
    began = time.monotonic()
    closing = what_next(repo, Path.cwd(), requests_in(repo / "dummy_data"))
    with _work_folder() as work, ExitStack() as running:
        demo = Demo(repo, work)
        with stages.stage("Local SageMaker") as stage:
            instance = running.enter_context(local_sagemaker(demo))
            aws = instance.environment({})
            stage.result = f"at {instance.url}; no AWS account is used"
        with stages.stage("Train") as stage:
            train_model(demo, stage)
        with stages.stage("Upload") as stage:
            version = upload_model(demo, stage, aws, instance.bucket)
        with endpoint_log_kept(demo, aws):
            with stages.stage("Deploy") as stage:
                deploy(demo, stage, aws, [*version.flags, *(["--direct"] if direct else [])])
            with stages.stage("Predict") as stage:
                table = predict(demo, stage, aws)
        with stages.stage("Delete") as stage:
            delete_endpoint(demo, stage, aws)
    stages.say()
    stages.say(table)
    stages.say(closing)
    stages.say(f"\nThe demo took {time.monotonic() - began:.0f} s; nothing of it is left running.")


@contextmanager
def local_sagemaker(demo: Demo) -> Iterator[Instance]:
    """Run a local SageMaker for the programs of the checkout until the block ends.

    Raises:
        DemoError: it does not start.
    """
    try:
        with embedded(Asked(port=0, default=demo.repo / PROGRAM), os.environ) as instance:
            yield instance
    except LocalError as error:
        raise DemoError(str(error)) from error


@contextmanager
def endpoint_log_kept(demo: Demo, aws: Mapping[str, str]) -> Iterator[None]:
    """When a program of the block fails, keep the endpoint's log, which ends with the local SageMaker."""
    try:
        yield
    except ProgramError as error:
        words = ["logs", "filter-log-events", "--log-group-name", f"/aws/sagemaker/Endpoints/{ENDPOINT}"]
        words += ["--query", "events[].[message]", "--output", "text"]
        with suppress(ProgramError), demo.python("endpoint", "-m", "awscli", *words, environment=aws) as log:
            log.finish()
            error.add_note(f"The endpoint's log is {log.command.log}.")
        error.add_note(
            "The demo's local SageMaker has ended, and all that was in it; no aws command reaches it."
        )
        raise


def train_model(demo: Demo, stage: Stage) -> None:
    """Train with the user's main.py, which keeps the model in apps/.temps/."""
    with demo.python("main.py", str(PROGRAM / "apps" / "main.py")) as process:
        lines = process.finish(stage.progress)
    stage.result = lines[-1] if lines else ""


def upload_model(demo: Demo, stage: Stage, aws: Mapping[str, str], bucket: str) -> ModelVersion:
    """Upload the model that main.py kept; return what the upload says about the version."""
    apps = PROGRAM / "apps"
    script, kept = str(apps / "s3_upload.py"), str(apps / ".temps" / "model")
    with demo.python("s3_upload.py", script, kept, f"s3://{bucket}/models", environment=aws) as process:
        lines = process.finish(stage.progress)
    told = dict(line.split("=", 1) for line in lines if re.match(r"model_\w+=", line))
    try:
        version = ModelVersion(told["model_version"], told["model_manifest_sha256"])
    except KeyError as error:
        raise DemoError(f"{script} did not print {error.args[0]}=...; see {process.command.log}") from None
    stage.result = version.uri
    return version


def deploy(demo: Demo, stage: Stage, aws: Mapping[str, str], chosen: Sequence[str]) -> None:
    """Put the version behind an endpoint by generate_endpoint.py, which knows nothing of this demo."""
    demo.config.parent.mkdir()
    dummy_data = json.dumps(str(demo.repo / "dummy_data"))
    demo.config.write_text(CONFIG.format(endpoint=ENDPOINT, dummy_data=dummy_data))
    door = ["generate_endpoint.py", "--config", str(demo.config), "--yes", *chosen]
    with demo.python("generate_endpoint.py", *door, environment=aws) as process:
        try:
            lines = process.finish(lambda line: stage.progress(told_in(line.strip())))
        except ProgramError as error:
            raise ProgramError(failure_in(process.last_lines(_DOOR_LINES), process.command.log)) from error
    stage.result = next(line for line in lines if line.startswith("Endpoint ")).partition(". ")[0]


def failure_in(lines: Sequence[str], log: Path) -> str:
    """Return what generate_endpoint.py says of its failure, without its advice on what it left."""
    begins = [number for number, line in enumerate(lines) if line.startswith("generate_endpoint.py: ")]
    said = [told_in(line) for line in lines[begins[-1] if begins else -10 :]]
    ends = said.index(EXISTS) if EXISTS in said else len(said)
    return "\n".join([*said[:ends], f"Its whole log: {log}"])


def predict(demo: Demo, stage: Stage, aws: Mapping[str, str]) -> str:
    """Send dummy_data/ with test_endpoint.py; return predictions, beside labels if any, as lines to be shown.

    Raises:
        ProgramError: a request was not answered; the message has what test_endpoint.py said.
    """
    data = demo.repo / "dummy_data"

    def ask(file: Path, *more: str) -> list[str]:
        stage.progress(f"test_endpoint.py --file {file.name}")
        words = ["test_endpoint.py", ENDPOINT, "--config", str(demo.config), "--file", str(file), *more]
        with demo.python("test_endpoint.py", *words, environment=aws) as process:
            return process.finish()

    first, *others = requests_in(data)
    for other in others:
        ask(other)
    lines = ask(first, "--calls", str(CALLS))
    answers = answers_in("\n".join(line for line in lines if not line.startswith(f"{ENDPOINT} (")))
    labels = labels_in(data)
    judged = judge(answers, labels) if labels else None
    latency = re.search(r"p50 [\d.]+ ms", "\n".join(lines))
    accuracy = f"accuracy {judged.accuracy:.3f} on " if judged else ""
    took = f", {latency[0]} for all of them" if latency else ""
    stage.result = f"{accuracy}{len(answers)} rows of {first.name}{took}"
    return table_of(judged) if judged else list_of(answers)


def delete_endpoint(demo: Demo, stage: Stage, aws: Mapping[str, str]) -> None:
    """Delete the endpoint with the aws CLI, as generate_endpoint.py's last line says."""
    words = ["sagemaker", "delete-endpoint", "--endpoint-name", ENDPOINT]
    with demo.python("aws", "-m", "awscli", *words, environment=aws) as process:
        process.finish()
    stage.result = f"aws {' '.join(words)}"


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
