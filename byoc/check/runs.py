"""Starts `train` and `serve` as SageMaker does, in the circumstances that a rule wants."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from byoc.check.question import Question
from byoc.check.serving import Server
from byoc.check.training import Training
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import NotServingError
from byoc.errors import ConfinementError, ProgramError
from byoc.runtime.container import Container, DockerImage, Image, Landlord, Place, Spec, start
from byoc.runtime.opt_ml import OptMl, lay_out_serving, lay_out_training, remove
from byoc.runtime.privacy import privacy_here
from byoc.runtime.spec import UNCONFINED, Confinement

SHM_BYTES = 64 * 1024 * 1024  # Docker's own, which AWS's hosts leave as it is (docs/check.md)
_ABANDONED_GRACE_S = 2.0
_REGION = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
_JOB = {
    "TRAINING_JOB_NAME": "byoc-check",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/byoc-check",
}
# There is no AWS here but what the user's own variables name.
_NOWHERE = Landlord(0, lambda listener: listener.close(), lambda _url: {})


@dataclass(frozen=True)
class TrainSetup:
    """How one run of `train` differs from the ordinary one.

    Attributes:
        hyperparameters: instead of the user's.
        alter: changes its /opt/ml before it starts.
        read_only_model: whether it can write no model.
        isolated: whether it has no network.
    """

    hyperparameters: Mapping[str, str] | None = None
    alter: Callable[[OptMl], None] = lambda _tree: None
    read_only_model: bool = False
    isolated: bool = False


@dataclass(frozen=True)
class ServeSetup:
    """How one run of `serve` differs from the ordinary one.

    Attributes:
        environment: on top of the user's.
        writable_model: whether /opt/ml/model can be written to, as it never can on SageMaker.
        large_shm: whether /dev/shm is larger than on SageMaker.
        confinement: what else it is to do without.
        port: where it is to be reached in its own network, instead of 8080.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    writable_model: bool = False
    large_shm: bool = False
    confinement: Confinement = UNCONFINED
    port: int | None = None


ORDINARY = ServeSetup()


@contextmanager
def training(question: Question, image: Image, place: Place, setup: TrainSetup) -> Iterator[Training]:
    """Give a run of `train`; it ends with the block, and its copies of the channels go then.

    Raises:
        CannotTestError: it cannot be started here, or a channel cannot be copied.
    """
    asked = question.hyperparameters if setup.hyperparameters is None else setup.hyperparameters
    try:
        tree = lay_out_training(place.opt_ml, asked, question.channels)
    except OSError as error:  # such as of a link that leads nowhere
        raise CannotTestError(f"What train is to read cannot be laid out: {_reason(error)}") from error
    setup.alter(tree)
    spec = replace(
        _spec("train", question, image, place),
        read_only_model=setup.read_only_model,
        isolated=setup.isolated,
    )
    began = time.monotonic()
    container = _started(spec)
    try:
        yield Training(container, tree, began)
    finally:
        container.process.kill()
        remove(tree.channels)  # there are several runs, and data may be large


@contextmanager
def serving(
    question: Question, image: Image, place: Place, model: Path | None, setup: ServeSetup
) -> Iterator[Server]:
    """Give a run of `serve`, which may still be loading; it ends with the block.

    Args:
        model: the folder that becomes /opt/ml/model, None for an empty one.

    Raises:
        CannotTestError: it cannot be started here, or not so.
    """
    place.root.mkdir(parents=True)
    _lay_out_model(model, place, setup.writable_model)
    spec = _spec("serve", question, image, place)
    spec = replace(
        spec,
        environment={**spec.environment, **setup.environment},
        read_only_model=not setup.writable_model,
        isolated=True,  # it shall have a port 8080 of its own
        confinement=_confinement(image, setup),
    )
    container = _started(spec)
    port = setup.port
    dial = container.dial if port is None else lambda: container.reach(port)
    server = Server(dial, container, place.opt_ml / "model")
    try:
        yield server
    finally:
        server.stop(_ABANDONED_GRACE_S)


def lay_out_named_model(folder: Path, server: Server, name: str) -> None:
    """Give a server that was started here a model at /opt/ml/models/NAME/model. Safe to repeat.

    Raises:
        CannotTestError: its /opt/ml is not its own.
    """
    if server.running.mode == "re-rooted" or server.model is None:
        raise CannotTestError("It has no /opt/ml/models of its own here: that takes root, bwrap or Docker.")
    target = server.model.parent / "models" / name / "model"
    if not target.exists():
        shutil.copytree(folder, target, symlinks=True, copy_function=_link)


def confines(image: Image) -> bool:
    """Whether this machine can take something away from the container."""
    return isinstance(image, DockerImage) or bool(privacy_here().tool)


def _confinement(image: Image, setup: ServeSetup) -> Confinement:
    if not confines(image) or setup.confinement.shm_bytes is not None:
        return setup.confinement
    return replace(setup.confinement, shm_bytes=SHM_BYTES * (64 if setup.large_shm else 1))


def _spec(verb: Literal["train", "serve"], question: Question, image: Image, place: Place) -> Spec:
    job = _JOB if verb == "train" else {}
    environment = {**_REGION, **job, **question.environment}
    return Spec(verb, image, verb, place, environment=environment, layered=True)


def _started(spec: Spec) -> Container:
    try:
        return start(spec, _NOWHERE)
    except ConfinementError as error:
        raise CannotTestError(str(error)) from error
    except ProgramError as error:
        raise NotServingError(f"{spec.verb} cannot be started: {error}") from error


def _lay_out_model(model: Path | None, place: Place, is_writable: bool) -> None:
    """Give a run its own /opt/ml/model; files that nobody can write to are shared with other runs."""
    artefact = place.root / "artefact"
    if model is None:
        artefact.mkdir()
    else:
        shutil.copytree(model, artefact, symlinks=True, copy_function=_copy if is_writable else _link)
        artefact.chmod(0o755)  # who is not root moves no folder that is closed to writing
    tree = lay_out_serving(place.opt_ml, artefact)
    if is_writable:
        for path in (tree.model, *tree.model.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)


def _reason(error: OSError) -> str:
    """Return why files cannot be copied: the first reason of the list that shutil gives."""
    given = error.args[0] if isinstance(error, shutil.Error) and error.args else None
    if not isinstance(given, list) or not given:
        return str(error)
    source, _target, reason = given[0]
    return f"{source}: {reason}"


def _link(source: str, target: str) -> None:
    if Path(source).is_fifo():  # as byoc.check.stuck puts in place of a file
        os.mkfifo(target)
    else:
        os.link(source, target, follow_symlinks=False)


def _copy(source: str, target: str) -> None:
    if Path(source).is_fifo():
        os.mkfifo(target)
    else:
        shutil.copy(source, target)
