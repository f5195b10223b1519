"""What a server does while files of its model cannot be read: pipes that nobody writes to, or garbage."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from byoc.check.bodies import garbage
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.flight import wait_until
from byoc.check.lab import Lab
from byoc.check.runs import ServeSetup
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError
from byoc.check.waiting import NotServingError, Ping
from byoc.runtime.readiness import PING_TIMEOUT_S

# How long a server without its model is watched: so long, and so often the time that it usually takes.
_WATCHED_S, _START_TIMES = 2.5, 1.5
_LONGEST_START_S = 30.0
_CALL_TIMES = 2
_OK = 200


@dataclass(frozen=True)
class Stuck:
    """What was seen.

    Attributes:
        what: could not be read, such as "model.txt".
        pings: until it was ready, or given up.
        told: what it did instead of becoming ready.
        answer: what came of the sample request, None where it did not become ready, or there is none.
        is_opened: whether a process was about to read one of the files.
    """

    what: str
    pings: Sequence[Ping]
    told: str
    answer: Answer | BrokenCallError | None
    is_opened: bool

    @property
    def hung(self) -> bool:
        """Whether a /ping that was accepted was not answered in time."""
        return any(
            ping.connected and ping.status == 0 and ping.seconds >= PING_TIMEOUT_S for ping in self.pings
        )

    @property
    def is_ready(self) -> bool:
        """Whether /ping was answered 200 all the same."""
        return any(ping.status == _OK for ping in self.pings)

    @property
    def came(self) -> str:
        """What came of the sample request, to end a sentence with."""
        if isinstance(self.answer, Answer):
            return f"was answered {self.answer}"
        return f"was not answered: {self.answer}"

    @property
    def is_ignored(self) -> bool:
        """Whether it answers the sample request without having tried to read the files."""
        return isinstance(self.answer, Answer) and self.answer.is_good and not self.is_opened


def without_largest(lab: Lab) -> Stuck:
    """Start it with its model's largest file stuck: what takes longest to load."""
    files = _files(model_of(lab))
    largest = max(files, key=lambda path: path.stat().st_size)
    return _while_stuck(lab, [largest], largest.name)


def without_any(lab: Lab) -> Stuck:
    """Start it with every file of its model stuck."""
    return _while_stuck(lab, _files(model_of(lab)), "any file of /opt/ml/model")


def is_opened_unasked(lab: Lab) -> bool:
    """Start it with every file of its model stuck, and ask nothing: whether it is about to read one.

    Raises:
        CannotTestError: it usually takes too long to start for that.
    """
    names = _names(lab, _files(model_of(lab)))
    with lab.starting(ServeSetup(), _stuck(lab, names)) as server:
        return wait_until(lambda: _is_opened(server, names), _watched_s(lab))


def spoilt(lab: Lab) -> Answer | None:
    """Start it with garbage in every file of its model, and these ordinary files, as pipes are not.

    Returns:
        its answer to the sample request if that is 2xx, else None: it has read the files.
    """
    names = _names(lab, _files(model_of(lab)))
    with lab.starting(ServeSetup(), _altered(lab, names, lambda file: file.write_bytes(garbage()))) as server:
        pings = watch(lab, server)
        answer = _answer(lab, server) if pings[-1:] and pings[-1].status == _OK else None
    return answer if isinstance(answer, Answer) and answer.is_good else None


def model_of(lab: Lab) -> Path:
    """Return the model's folder, which has files.

    Raises:
        CannotTestError: there is none.
    """
    lab.server()
    if lab.model is None or not _files(lab.model):
        raise CannotTestError(
            "Give a model that it loads: --model DIR, or hyperparameters with which train makes one."
        )
    return lab.model


def watch(lab: Lab, server: Server) -> list[Ping]:
    """Ask for /ping until a 200, until it has ended, or for longer than it usually takes; return what came.

    Raises:
        CannotTestError: that would be too long.
    """
    with suppress(NotServingError):
        server.wait_until_ready(_watched_s(lab), lab.progress)
    return server.pings


def _watched_s(lab: Lab) -> float:
    usual_s = lab.server().ready_s
    if usual_s > _LONGEST_START_S and not lab.question.thorough:
        raise CannotTestError(f"It takes {usual_s:.0f} s to start: with --all it is started again for this.")
    return _WATCHED_S + _START_TIMES * usual_s


def told(server: Server) -> str:
    """Return what it did instead of becoming ready."""
    status = server.running.process.poll()
    if status is not None:
        return f"serve ended with status {status}."
    return f"{server.pings[-1].said}." if server.pings else "it said nothing."


def _while_stuck(lab: Lab, files: Sequence[Path], what: str) -> Stuck:
    names = _names(lab, files)
    with lab.starting(ServeSetup(), _stuck(lab, names)) as server:
        pings = watch(lab, server)
        answer = _answer(lab, server) if pings[-1:] and pings[-1].status == _OK else None
        return Stuck(what, pings, told(server), answer, _is_opened(server, names))


def _names(lab: Lab, files: Iterable[Path]) -> list[Path]:
    return [path.relative_to(model_of(lab)) for path in files]


def _stuck(lab: Lab, names: Iterable[Path]) -> Path:
    """Return a copy of the model's folder in which files of those names are pipes."""
    return _altered(lab, names, os.mkfifo)


def _altered(lab: Lab, names: Iterable[Path], make: Callable[[Path], object]) -> Path:
    """Return a copy of the model's folder in which files of those names are made anew."""
    folder = lab.work / "stuck"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model_of(lab), folder, symlinks=True)
    for name in names:
        (folder / name).parent.chmod(0o755)
        (folder / name).unlink()
        make(folder / name)
    return folder


def _answer(lab: Lab, server: Server) -> Answer | BrokenCallError | None:
    if lab.question.sample is None:
        return None
    usual_s = 0.0 if lab.good_sample is None else lab.good_answer().seconds
    try:
        return server.invoke(lab.sample, timeout_s=_WATCHED_S + _CALL_TIMES * usual_s)
    except BrokenCallError as error:
        return error


def _is_opened(server: Server, names: Iterable[Path]) -> bool:
    """Whether somebody waits to read one of the pipes, and have it end; not known in Docker Desktop."""
    for name in names:
        with suppress(OSError):
            pipe = (server.model or Path()) / name
            pipe.chmod(0o600)
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            return True
    return False


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
