"""The verb `byoc check`: will this container work on SageMaker?"""

import os
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from byoc.check.choice import Choice, chosen, parts_of, unknown_in
from byoc.check.instances import wrong_with
from byoc.check.lab import Lab
from byoc.check.question import Address, Question, Sample, Target, address_of
from byoc.check.reach import reach
from byoc.check.report import Report, as_json, as_junit
from byoc.check.rule import Part, Rule
from byoc.check.run import Result, results, stopped
from byoc.check.summary import ends_well, tells_something
from byoc.check.table import RULES
from byoc.check.workplace import workplace
from byoc.errors import ByocError
from byoc.model_source import model_at
from byoc.runtime import docker
from byoc.runtime.images import Folder

NOT_GOOD, NOT_TESTED = 1, 4
_PATIENCE_S = 480.0
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_OUT = click.Path(path_type=Path, allow_dash=True, dir_okay=False, writable=True)


@dataclass(frozen=True)
class _Given:
    """The command line."""

    target: str | None
    request: Path | None
    content_type: str | None
    accept: str | None
    model: str | None
    hyperparameters: tuple[str, ...]
    channels: tuple[str, ...]
    environment: tuple[str, ...]
    python: Path | None
    instance_type: str
    parts: tuple[str, ...]
    only: tuple[str, ...]
    skip: tuple[str, ...]
    slow: bool
    patience: float | None
    json: Path | None
    junit: Path | None
    lists: bool

    @property
    def choice(self) -> Choice:
        return Choice([Part(part) for part in self.parts], self.only, self.skip, self.slow)

    @property
    def writes_to_stdout(self) -> bool:
        return Path("-") in (self.json, self.junit)


@click.command(short_help="Say whether a container will work on SageMaker, and why not.")
@click.argument("target", required=False)
@click.option("--request", type=_FILE, metavar="FILE", help="A request that it answers.")
@click.option("--content-type", metavar="TYPE", help="What the request is, such as text/csv.")
@click.option("--accept", metavar="TYPE", help="What its answer shall be.")
@click.option("--model", metavar="MODEL", help="A folder, .tar.gz or s3:// URL that becomes /opt/ml/model.")
@click.option("--hyperparameter", "hyperparameters", multiple=True, metavar="NAME=VALUE", help="For train.")
@click.option("--channel", "channels", multiple=True, metavar="NAME=DIR", help="An input channel for train.")
@click.option(
    "-e",
    "--env",
    "environment",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="A variable for both programs; without a value, this shell's.",
)
@click.option("--python", type=_FILE, metavar="FILE", help="What runs a folder's Python programs.")
@click.option("--instance-type", default="ml.m5.large", show_default=True, help="Where it shall run.")
@click.option("--part", "parts", multiple=True, type=click.Choice([part.value for part in Part]))
@click.option("--only", multiple=True, metavar="RULE", help="Test this rule alone.")
@click.option("--skip", multiple=True, metavar="RULE", help="Leave this rule out.")
@click.option("--all", "slow", is_flag=True, help="Test also what takes minutes.")
@click.option(
    "--patience",
    type=click.FloatRange(min=1),
    help="Seconds that serve may take to start, and train to end.  [default: 480, as SageMaker's; less for a "
    "serve that answers /ping with the same wrong status, not 503, for 25 s and neither computes nor reads "
    "meanwhile, or for 60 s where its processes cannot be seen]",
)
@click.option("--json", type=_OUT, metavar="FILE", help="Write the results as JSON; - writes them to stdout.")
@click.option("--junit", type=_OUT, metavar="FILE", help="Write the results as JUnit XML.")
@click.option("--list", "lists", is_flag=True, help="Only name the rules that the other options choose.")
def check(**given: Any) -> int:  # noqa: ANN401 - click's options
    """Run a container as SageMaker would, and report one line a rule.

    TARGET is an image that Docker has, a folder with `train` and `serve`, or the URL of a server that runs
    already. Options with several values are repeated. Exit status 0: nothing failed; 1: something did;
    4: nothing could be tested.
    """
    asked = _Given(**given)
    if why := unknown_in(RULES, asked.choice):
        raise click.UsageError(why)
    if asked.lists:
        for rule in chosen(RULES, asked.choice, list(Part)):
            click.echo(f"{rule.id:<26} {rule.part.value:<12} {rule.says}")
        return 0
    if asked.target is None:
        raise click.UsageError("Name an image, a folder or a URL to check.")
    _refuse_early(asked)
    with workplace() as work:
        found = _tell(asked, asked.target, work)
    if not ends_well(found):
        return NOT_GOOD
    return 0 if tells_something(found) else NOT_TESTED


def _refuse_early(asked: _Given) -> None:
    """Refuse what would else be seen only when minutes have been spent."""
    if asked.json is not None and asked.json == asked.junit:
        raise click.UsageError(f"--json and --junit are both {asked.json}. Give each a file of its own.")
    for option, file in (("--json", asked.json), ("--junit", asked.junit)):
        if file is not None and str(file) != "-" and not os.access(file.parent, os.W_OK | os.X_OK):
            why = "which nobody here can write to" if file.parent.is_dir() else "which is no folder"
            raise click.UsageError(f"{option} is {file}, in {file.parent}, {why}.")
    if why := wrong_with(asked.instance_type):
        raise click.UsageError(f"--instance-type is {asked.instance_type!r}. {why}")


def _tell(asked: _Given, target: str, work: Path) -> list[Result]:
    """Test and report; return what was found."""
    report = Report(sys.stderr if asked.writes_to_stdout else sys.stdout)
    (work / "lab").mkdir()
    with Lab(_question(asked, target, work), work / "lab", report.progress) as lab:
        found: list[Result] = []
        rules = _rules(asked, lab)
        try:
            for result in results(rules, lab, report.begin):
                found.append(result)  # first: what is told is not to be told again as not tested
                report.show(result)
        except (KeyboardInterrupt, SystemExit):  # ^C, SIGTERM
            with _undisturbed():
                _conclude(asked, target, report, [*found, *stopped(rules[len(found) :])])
            raise
    _conclude(asked, target, report, found)
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Have signals wait for the block's end: who stops us may do so twice, as `timeout` does."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _rules(asked: _Given, lab: Lab) -> list[Rule]:
    """Return the rules to test; ByocError where nothing can be begun."""
    target = lab.question.target
    if not isinstance(target, Address):
        return chosen(RULES, asked.choice, parts_of(lab.facts))
    reach(target, lab.question.patience_s, lab.progress)
    return chosen(RULES, asked.choice, parts_of(None))


def _conclude(asked: _Given, target: str, report: Report, found: Sequence[Result]) -> None:
    """Say what the results mean, and write them for programs."""
    report.end(found)
    if asked.json is not None:
        _write(asked.json, as_json(target, found))
    if asked.junit is not None:
        _write(asked.junit, as_junit(target, found))


def _question(asked: _Given, target: str, work: Path) -> Question:
    return Question(
        target=_target(target, asked.python),
        sample=_sample(asked),
        model=model_at(asked.model, work) if asked.model else None,
        hyperparameters=dict(_pairs(asked.hyperparameters, "--hyperparameter")),
        channels={name: _folder(name, value) for name, value in _pairs(asked.channels, "--channel")},
        environment=dict(_variables(asked.environment, os.environ)),
        instance_type=asked.instance_type,
        patience_s=_PATIENCE_S if asked.patience is None else asked.patience,
        thorough=asked.slow,
        hurries=asked.patience is None and not asked.slow,
    )


def _target(target: str, python: Path | None) -> Target:
    if target.startswith(("http://", "https://")):
        return address_of(target)
    if Path(target).is_dir():
        return Folder(Path(target), python.absolute()) if python else Folder(Path(target))
    if (image := docker.find_image(target)) is not None:
        return image
    if Path(target).is_file():
        raise ByocError(
            f"{target} is a file. Name the folder of train and serve: byoc check {Path(target).parent}."
        )
    why = docker.why_no_engine()
    reason = (
        f"no Docker engine answers ({why}). Start Docker, or name a folder with train and serve."
        if why
        else f"Docker has no such image. Build it, or docker pull {target}."
    )
    raise ByocError(f"{target} cannot be checked: there is no such folder, and {reason}{_as_url(target)}")


def _as_url(target: str) -> str:
    """Return what to write where the target may be the address of a server."""
    if not re.fullmatch(r"[\w.-]+:\d+(/.*)?", target):
        return ""
    return f" For a server that runs already write http://{target}"


def _sample(asked: _Given) -> Sample | None:
    if asked.request is None:
        if asked.content_type or asked.accept:
            raise click.UsageError(
                "--content-type and --accept describe the request: give --request FILE too."
            )
        return None
    if asked.content_type is None:
        raise click.UsageError(f"Say what {asked.request} is: --content-type, such as text/csv.")
    return Sample(asked.request.read_bytes(), asked.content_type, asked.accept)


def _pairs(given: Iterable[str], option: str) -> Iterable[tuple[str, str]]:
    for word in given:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise click.UsageError(f"{option} is {word!r}. Give NAME=VALUE.")
        yield name, value


def _variables(given: Iterable[str], inherited: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    for word in given:
        name, equals, value = word.partition("=")
        if not equals and name not in inherited:
            raise click.UsageError(
                f"--env is {word!r}, and this shell has no such variable. Give NAME=VALUE."
            )
        yield name, value if equals else inherited[name]


def _folder(name: str, value: str) -> Path:
    folder = Path(value)
    if not folder.is_dir():
        raise click.UsageError(f"The channel {name} is {value!r}, which is no folder.")
    return folder


def _write(file: Path, text: str) -> None:
    if str(file) == "-":
        click.echo(text)
        return
    try:
        file.write_text(f"{text}\n")
    except OSError as error:
        raise ByocError(f"{file} cannot be written: {error.strerror}.") from error
