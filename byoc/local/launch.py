"""Starts a local SageMaker as a process of its own, finds one that runs, and ends it."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from byoc.local.holding import discard, held_for_a_moment, is_locked
from byoc.local.instance import (
    PORT,
    REGION,
    Instance,
    LocalError,
    around_the_proxy,
    log_of,
    port_option,
    private_folder,
    read_instance,
    state_folder,
    state_root,
)
from byoc.runtime import opt_ml
from byoc.runtime.process import Command, Process

PROGRAM = Path("container", "custom_algorithm")
START_S = 30.0
# A served program has 30 s to end on AWS; the server waits for the slowest of them.
STOP_S = 45.0
_ABANDONED_S = 10.0
_LOOK_S = 0.01


@dataclass(frozen=True)
class Asked:
    """What a local SageMaker shall be like.

    Attributes:
        port: 0 for a free one.
        data: what survives a restart; None for a temporary folder.
        programs: folders that stand for images, by repository name.
        default: the checkout's program, which `custom-algorithm` stands for unless that is among them.
        registry: HOST:PORT of a real registry that ECR's answers point at.
    """

    port: int = PORT
    data: Path | None = None
    programs: Mapping[str, Path] = field(default_factory=dict)
    default: Path | None = None
    registry: str | None = None
    region: str = REGION


def program_around(folder: Path) -> Path | None:
    """Return the container program of the checkout around a folder, None where there is none."""
    for above in [folder, *folder.parents]:
        if (above / PROGRAM).is_dir():
            return above / PROGRAM
    return None


def command(asked: Asked, folder: Path, *more: str) -> list[str]:
    """Return the command of the server, with `folder` as its private one."""
    words = [sys.executable, "-m", "byoc.local.server", "--folder", str(folder), "--port", str(asked.port)]
    words += ["--region", asked.region]
    for option, value in (
        ("--data", asked.data),
        ("--checkout", asked.default),
        ("--registry", asked.registry),
    ):
        if value is not None:
            words += [option, str(value.absolute() if isinstance(value, Path) else value)]
    for name, program in asked.programs.items():
        words += ["--program", f"{name}={program.absolute()}"]
    return [*words, *more]


def server_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the server's environment: none of the user's AWS settings, which moto would read."""
    kept = {name: value for name, value in inherited.items() if not name.startswith(("AWS_", "MOTO_"))}
    ours = str(Path(__file__).parents[2])
    return {
        **kept,
        **around_the_proxy(inherited),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join(filter(None, [ours, inherited.get("PYTHONPATH")])),
    }


def start(asked: Asked, environ: Mapping[str, str]) -> Instance:
    """Start a local SageMaker that outlives this process and its shell; return when it answers.

    Raises:
        LocalError: it did not start; the message says why.
    """
    folder = ready_folder(asked, environ)
    process = subprocess.Popen(
        command(asked, folder),
        env=server_environment(environ),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        # The server closes it when it is ready, or ends.
        said = process.stderr.read().strip() if process.stderr else ""
    except BaseException:  # ^C: what nobody was told of shall not stay
        process.terminate()
        raise
    instance = read_instance(folder)
    if instance is None or instance.pid != process.pid:
        raise LocalError(_last_line(said) or f"The local SageMaker ended with status {process.wait()}.")
    return instance


def ready_folder(asked: Asked, environ: Mapping[str, str]) -> Path:
    """Return the private folder of the instance to be, which the server makes.

    Raises:
        LocalError: an instance runs on that port.
    """
    if running := find(environ, asked.port):
        raise LocalError(_taken(running, asked))
    private_folder(state_root(environ))
    return state_folder(environ, asked.port)


def _taken(running: Instance, asked: Asked) -> str:
    """Return what to do where an instance runs already."""
    port = port_option(running.port)
    named = "".join(f" {shlex.quote(f'{name}={folder}')}" for name, folder in asked.programs.items())
    add = f"Give it the program with: byoc local add{named}{port}, " if named else "Use it, "
    lost = " (its endpoints and buckets go with it)" if running.temporary else ""
    return (
        f"A local SageMaker runs at {running.url} already (process {running.pid}). "
        f"{add}end it with: byoc local down{port}{lost}, or give another --port."
    )


def find(environ: Mapping[str, str], port: int) -> Instance | None:
    """Return the instance that runs on a port; what a killed one left behind is removed on the way."""
    folder = state_folder(environ, port)
    instance = read_instance(folder)
    if instance is None or is_locked(folder):
        return instance
    with held_for_a_moment(folder) as ended:
        instance = read_instance(folder)
        if instance is None or not ended:  # another one has begun meanwhile
            return instance
        _clear(folder)
    if instance.temporary:
        opt_ml.remove(Path(instance.data))
    return None


def log_left_behind(environ: Mapping[str, str], port: int) -> Path | None:
    """Return the log of an instance that did not end as it should; None where there is none."""
    log = log_of(state_folder(environ, port))
    return log if log.is_file() else None


def stop(instance: Instance) -> None:
    """End an instance with all its programs; return when it is gone. Safe to repeat.

    Raises:
        LocalError: it does not end, not even on SIGKILL.
    """
    folder = Path(instance.folder)
    for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, 5.0)):
        if is_locked(folder):
            with suppress(ProcessLookupError):
                os.kill(instance.pid, number)
        if _until(lambda: not is_locked(folder), patience_s):
            with held_for_a_moment(folder) as ended:
                if ended:
                    _clear(folder)
            if instance.temporary:
                opt_ml.remove(Path(instance.data))
            return
    raise LocalError(f"The local SageMaker at {instance.url} (process {instance.pid}) does not end.")


def _clear(folder: Path) -> None:
    """Remove the folder of an instance that has ended, but for the log of one that did not do so itself."""
    log = log_of(folder)
    discard(folder, {log} if log.exists() else set())


@contextmanager
def embedded(asked: Asked, environ: Mapping[str, str]) -> Iterator[Instance]:
    """Run a local SageMaker until the block ends; it ends with this process too, however that dies.

    Raises:
        LocalError: it did not start; the message says why.
        ProgramError: its process could not be started at all.
    """
    folder = Path(tempfile.mkdtemp(prefix="byoc-embedded-"))
    argv = command(asked, folder, "--throwaway")
    environment = server_environment(environ)
    log = folder / "stderr.log"
    try:
        with Process(
            Command("The local SageMaker", argv, environment, Path("/"), log, STOP_S, _ABANDONED_S)
        ) as process:
            yield _awaited(process, folder)
    finally:
        opt_ml.remove(folder)


def _awaited(process: Process, folder: Path) -> Instance:
    """Return what a started server tells of itself as soon as it does."""
    _until(lambda: read_instance(folder) or process.poll() is not None, START_S)
    instance = read_instance(folder)
    if instance is None:
        how = "has ended" if process.poll() is not None else f"did not answer within {START_S:g} s"
        raise LocalError("\n".join(process.last_lines(1)) or f"The local SageMaker {how}.")
    return instance


def _until(truth: Callable[[], object], patience_s: float) -> bool:
    """Whether something becomes so in time."""
    give_up = time.monotonic() + patience_s
    while not truth():
        if time.monotonic() > give_up:
            return False
        time.sleep(_LOOK_S)
    return True


def _last_line(text: str) -> str:
    return text.splitlines()[-1] if text else ""
