"""Rules on `train`: what it reads, what it leaves, how it ends."""

import json
import re
import signal
import stat
from collections.abc import Mapping

from byoc.check import sources
from byoc.check.cause import READ, blames_network, causes_in, is_traceback, last_lines, refuses, takes_no
from byoc.check.encoding import FRAMEWORK, others_of
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.runs import TrainSetup
from byoc.check.training import Trained, Training
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.check.waiting import NotServingError
from byoc.runtime.network import ISOLATION_IS_MISSING
from byoc.runtime.opt_ml import OptMl

_WATCHED_S = 15.0  # of the 120 s, unless asked for all of them
_GRACE_S = 120.0
_MIDDLE_S = 5.0  # after which a run is under way, however long it is
_PREPARES_S = 2.0  # in which one that wants to has installed its handler for SIGTERM
_ENOUGH_S = 3.0  # an end so long before the usual one is none by chance
_TRIES = 3
_SHOWN = 160
_READ_ONLY = re.compile(r"(?i)read-?\s?only|errno 30|erofs|permission|denied|writable|/opt/ml/model")


def completes(lab: Lab) -> Verdict:
    """One run as SageMaker makes it, with all that the user gave."""
    try:
        run = lab.trained
    except NotServingError as error:
        return failed(str(error))
    if run.status == 0:
        return passed(f"It ended with status 0 after {run.seconds:.1f} s.")
    if run.serves:
        raise CannotTestError("With the argument train it listens at port 8080: it serves, and trains not.")
    if run.status is None:
        raise CannotTestError(
            f"It {run.ended}. Give it longer, --patience SECONDS, or hyperparameters that take less."
        )
    failure = f" with /opt/ml/output/failure {_short(run.failure)!r}" if run.failure else ""
    mend = takes_no("train") if lab.facts.entrypoint and refuses(run.log, "train") else ""
    return failed(f"It {run.ended}{failure}{run.tail()}", mend)


def model_left(lab: Lab) -> Verdict:
    """What of /opt/ml/model becomes model.tar.gz."""
    run = lab.completed
    files = [path for path in run.left if (run.tree.model / path).is_file()]
    if files:
        return passed(f"It left {counted(len(files), 'file')}, such as {files[0]}.")
    return failed("/opt/ml/model holds no file when it has ended.")


def model_links(lab: Lab) -> Verdict:
    """What in /opt/ml/model is neither a file nor a folder."""
    run = lab.completed
    odd = {
        path: mode
        for path in run.left
        if not stat.S_ISREG(mode := (run.tree.model / path).lstat().st_mode) and not stat.S_ISDIR(mode)
    }
    if not odd:
        return passed("/opt/ml/model holds files and folders alone.")
    path, mode = next(iter(odd.items()))
    kind = "a link" if stat.S_ISLNK(mode) else "a pipe, a socket or a device"
    more = f", and so {'is' if len(odd) == 2 else 'are'} {len(odd) - 1} more" if len(odd) > 1 else ""
    return failed(f"/opt/ml/model/{path} is {kind}{more}.")


def hyperparameters(lab: Lab) -> Verdict:
    """Runs with the user's hyperparameters as other SDKs would have sent them, and what models they leave."""
    given = lab.question.hyperparameters
    if not given:
        raise CannotTestError("Give hyperparameters that it reads: --hyperparameter NAME=VALUE.")
    usual = lab.completed
    refused: dict[str, str] = {}
    other: dict[str, str] = {}
    ways = others_of(given)
    for sdk, encoded in ways.items():
        run = lab.train(TrainSetup(hyperparameters=encoded))
        shown = _short(json.dumps({name: encoded[name] for name in given if encoded[name] != given[name]}))
        if run.status != 0:
            refused[sdk] = f"With {shown}, as {sdk} sends them, it {run.ended}{run.tail()}"
        elif file := run.difference(usual):
            other[sdk] = f"With {shown}, as {sdk} sends them, it leaves another /opt/ml/model/{file}."
    if refused:
        seen = "\n".join(refused.values())
        return warned(seen) if set(refused) == {FRAMEWORK} else failed(seen)
    if not ways:
        return passed(_ALIKE)
    seen = f"It completed with them as {_listed(ways)} sent them"
    if not other:
        return passed(f"{seen}, and left the same model.")
    if lab.train(TrainSetup()).difference(usual):
        return passed(
            f"{seen}. Whether it takes the same values is not known: no two runs leave the same model."
        )
    return warned("\n".join((*other.values(), _SAME)))


def config_missing(lab: Lab) -> Verdict:
    """A run that finds nothing in /opt/ml/input/config."""
    _ = lab.completed
    run = lab.train(TrainSetup(alter=_remove_configuration))
    if run.status == 0:
        return passed(f"Without the three files it ended with status 0 after {run.seconds:.1f} s.")
    told = causes_in(run.failure or "", READ)
    if run.status is not None and told:
        return passed(f"Without the three files it failed and said why: {_short(told[0])!r}.")
    if run.status is None or is_traceback(run.log) or not run.log.strip():
        return warned(f"Without the three files it {run.ended}{run.tail()}")
    return passed(f"Without the three files it {run.ended}{run.tail()}")


def error_status(lab: Lab) -> Verdict:
    """How it ends when it cannot write its model."""
    run = lab.hindered
    if run.status == 0:
        return failed("It could not write its model into /opt/ml/model, and ended with status 0.")
    return passed(_hindered(run)) if run.status is not None else failed(_hindered(run))


def failure_file(lab: Lab) -> Verdict:
    """What it says of an error in /opt/ml/output/failure."""
    run = lab.hindered
    if run.status == 0:
        raise CannotTestError("It did not fail where it could not write its model: see train-error-status.")
    if run.failure is None:
        return warned(f"{_hindered(run)} There was no /opt/ml/output/failure.")
    told, all_told = causes_in(run.failure, READ), causes_in(run.failure)
    if not all_told:
        return warned("/opt/ml/output/failure names no cause." if run.failure.strip() else _EMPTY)
    named, late = (next(filter(_READ_ONLY.search, lines), "") for lines in (told, all_told))
    if not told or (late and not named):
        line = late or all_told[0]
        return warned(
            f"The cause, {_short(line)!r}, comes after {counted(run.failure.rindex(line), 'character')} of "
            f"/opt/ml/output/failure; {READ} are read."
        )
    if not named:
        return warned(
            f"/opt/ml/output/failure says {_short(told[0])!r}, and not that /opt/ml/model cannot be written."
        )
    return passed(f"/opt/ml/output/failure says {_short(named)!r}.")


def sigterm(lab: Lab) -> Verdict:
    """What it does about SIGTERM in the middle of its work; only the first seconds are watched."""
    return _stopped(lab, min(_WATCHED_S, lab.question.patience_s))


def sigterm_120(lab: Lab) -> Verdict:
    """The same, with all of SageMaker's patience."""
    return _stopped(lab, _GRACE_S)


def isolated(lab: Lab) -> Verdict:
    """A run without network."""
    usual = lab.completed
    with lab.training(TrainSetup(isolated=True)) as run:
        if ISOLATION_IS_MISSING in run.container.note:
            raise CannotTestError("A program without a network takes root, bwrap or Docker.")
        over = run.wait(lab.question.patience_s)
    if over.status == 0:
        return passed(f"Without a network it ended with status 0 after {over.seconds:.1f} s.")
    if over.status is not None and (why := _lacks_network(over, usual)):
        return passed(
            f"It needs the network: EnableNetworkIsolation cannot be used. It says {_short(why)!r}."
        )
    return warned(f"Without a network it {over.ended}{over.tail()}")


def _lacks_network(run: Trained, usual: Trained) -> str:
    """Return what a run without network says of it, "" for nothing: in its failure, or at its log's end."""
    told = [*causes_in(run.failure or ""), *reversed(last_lines(run.log, usual.log))]
    return next(filter(blames_network, told), "")


def _stopped(lab: Lab, grace_s: float) -> Verdict:
    usual_s = lab.completed.seconds
    for _ in range(_TRIES):
        with lab.training(TrainSetup()) as run:
            is_on = run.wait_until_under_way(min(usual_s / 2, _MIDDLE_S))
            if is_on and run.wait_until_it_hears(min(usual_s / 4, _PREPARES_S)):
                if run.hears_sigterm or run.seconds >= _PREPARES_S:
                    return _told(run, usual_s, grace_s)
                so_far = f"{run.seconds:.1f} s after its start it had no handler for SIGTERM."
                raise CannotTestError(f"{so_far} {_too_short(usual_s)}")  # its imports may come first
            usual_s = min(usual_s, run.seconds)  # the first run of all may be the slowest
    raise CannotTestError(_too_short(usual_s))


def _told(run: Training, usual_s: float, grace_s: float) -> Verdict:
    """Send a run SIGTERM, and judge how it ends."""
    at_s, hears = run.seconds, run.hears_sigterm
    over = run.stop(grace_s)
    took_s = over.seconds - at_s
    if over.status is None:
        seen = f"{at_s:.1f} s after its start it was sent SIGTERM, and {grace_s:g} s later it still ran."
        return failed(seen) if grace_s >= _GRACE_S else warned(seen)
    if not hears and over.status == (0 if run.container.mode == "docker" else -signal.SIGTERM):
        here = "went on" if over.status == 0 else "ended by it here, and not in a container"
        return warned(
            f"It has no handler for SIGTERM. It {here}: process 1 of a container does not get a signal that "
            "it has none for, and so is killed after 120 s."
        )
    # A status of its own shows that it has heard; else it must have ended well before its usual end.
    left_s = usual_s - at_s
    if over.status == 0 and (left_s < _ENOUGH_S or took_s > left_s / 2):
        raise CannotTestError(_too_short(usual_s))
    return passed(f"It ended with status {over.status}, {took_s:.1f} s after SIGTERM.")


def _too_short(usual_s: float) -> str:
    return f"It ends by itself after {usual_s:.1f} s: give hyperparameters with which it takes longer."


def _remove_configuration(tree: OptMl) -> None:
    for file in tree.configuration.iterdir():
        file.unlink()


def _hindered(run: Trained) -> str:
    return f"Where it could not write its model, it {run.ended}."


def _listed(ways: Mapping[str, object]) -> str:
    *first, last = ways
    return f"{', '.join(first)} and {last} would have" if first else f"{last} would have"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


_ALIKE = "Every SDK sends these as they are: numbers."
_SAME = "Another run with them as they were given leaves the same model as the first."
_EMPTY = "/opt/ml/output/failure is empty."

RULES = (
    Rule(
        id="train-completes",
        part=Part.TRAIN,
        says="ends with status 0 when it is run with the argument train",
        why="The exit status alone says whether a training job is Completed or Failed.",
        so="training jobs fail",
        mend="Its last lines say why. Give what it needs: --hyperparameter, --channel, --env.",
        source=sources.TRAINING_END,
        test=completes,
    ),
    Rule(
        id="train-model-left",
        part=Part.TRAIN,
        says="leaves at least one file in /opt/ml/model",
        why="From an empty folder no model.tar.gz is made, though the job names one: CreateModel then fails "
        "with `Could not find model data`.",
        so="a training job uploads no model, and CreateModel fails",
        mend="Write the model into /opt/ml/model; a container without one to train writes any file.",
        source=sources.TRAINING_OUTPUT,
        test=model_left,
    ),
    Rule(
        id="train-model-links",
        part=Part.TRAIN,
        says="leaves files and folders alone in /opt/ml/model, no links",
        why="SageMaker does not unpack an archive with links: `Failed to extract model data archive`.",
        so="endpoints fail with the model that it uploads",
        mend="Copy what links lead to: shutil.copytree(source, target) does, and "
        "snapshot_download(local_dir=...) of the Hugging Face hub.",
        source=sources.HOSTING_FAQ,
        test=model_links,
    ),
    Rule(
        id="train-hyperparameters",
        part=Part.TRAIN,
        says="understands hyperparameters as every SDK sends them",
        why="All values are text. For True one SDK sends `True` and another `true`, for a mapping one sends "
        "Python's notation and another JSON, and framework estimators put even plain text into quotes.",
        so="training jobs of another SDK fail, or take other values",
        mend="Try json.loads on each value, then ast.literal_eval, and else take it as it is.",
        source=sources.TRAINING_INFORMATION,
        test=hyperparameters,
    ),
    Rule(
        id="train-config-missing",
        part=Part.TRAIN,
        says="completes without /opt/ml/input/config/*.json, or says what it lacks",
        why="Run by hand there are none of them, and without channels no inputdataconfig.json need be there.",
        so="it cannot be tried by hand",
        mend="Take a file that is missing for an empty one, or name it in /opt/ml/output/failure.",
        source=sources.TRAINING_INFORMATION,
        test=config_missing,
    ),
    Rule(
        id="train-error-status",
        part=Part.TRAIN,
        says="ends with another status than 0 after an error",
        why="The exit status alone says whether a training job is Completed or Failed.",
        so="training jobs that have failed are Completed, without a model",
        mend="Let errors through, or sys.exit(1) after them; `set -e` in a shell script.",
        source=sources.TRAINING_END,
        test=error_status,
    ),
    Rule(
        id="train-failure-file",
        part=Part.TRAIN,
        says="names the cause of an error in the first 1,024 characters of /opt/ml/output/failure",
        why="They become FailureReason. Without them it is `AlgorithmError: , exit code: 1`.",
        so="a job that has failed does not say why",
        mend="Write the exception's own message first, its traceback after it.",
        source=sources.TRAINING_OUTPUT,
        test=failure_file,
    ),
    Rule(
        id="train-sigterm",
        part=Part.TRAIN,
        says="ends soon after SIGTERM",
        why="StopTrainingJob, MaxRuntimeInSeconds and the end of a Spot instance send SIGTERM, and SIGKILL "
        "120 s later: what is not saved by then is lost.",
        so="jobs are stopped only by SIGKILL",
        mend="Handle SIGTERM: save what there is, and end. A shell script has to `exec` the program.",
        source=sources.STOP_TRAINING_JOB,
        test=sigterm,
    ),
    Rule(
        id="train-sigterm-120",
        part=Part.TRAIN,
        says="ends within 120 s of SIGTERM",
        why="SIGKILL comes 120 s after SIGTERM: what is not saved by then is lost.",
        so="jobs are stopped only by SIGKILL, and lose what they have not saved",
        mend="Handle SIGTERM: save what there is, and end. A shell script has to `exec` the program.",
        source=sources.STOP_TRAINING_JOB,
        test=sigterm_120,
        slow=True,
    ),
    Rule(
        id="train-isolated",
        part=Part.TRAIN,
        says="completes without a network, or says that it needs one",
        why="With EnableNetworkIsolation there is no network, not even to S3, and no credentials.",
        so="isolated training jobs fail without a reason",
        mend="Take data from input channels and packages from the image; let the failure name the network.",
        source=sources.ISOLATION,
        test=isolated,
    ),
)
