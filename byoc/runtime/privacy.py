"""How private a program can be on this machine, and the command that makes it so."""

import functools
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from byoc.runtime.view import Mount, Step, steps_of

_ENTER = Path(__file__).with_name("enter.py")
_PYTHON = (sys.executable, "-I", "-S")
_PROBE_S = 10.0
_TMP = "/tmp"  # noqa: S108 - in a namespace of its own
_STAYS_WRITABLE = re.compile(r"/(dev|proc|sys|tmp)(/.*)?")  # also where the rest is read-only
# What enter.py is run by, inside.
_OUR_OWN = (str(_ENTER.parent), sys.prefix, sys.base_prefix)

Tool = Literal["", "root", "bwrap"]
TOOLS: tuple[Tool, ...] = ("root", "bwrap")


@dataclass(frozen=True)
class Privacy:
    """What a program can have to itself.

    Attributes:
        tool: what makes /opt private: unshare(2) as root, bwrap, or nothing.
        network: whether the tool can also make a private network.
    """

    tool: Tool = ""
    network: bool = False


@dataclass(frozen=True)
class Enclosure:
    """What one program has to itself; see enter.py."""

    mounts: tuple[Mount, ...] = ()
    cwd: str = "/"
    network: bool = False
    channel: int | None = None
    port: int | None = None
    uid: int | None = None
    read_only: bool = False
    tmp: str | None = None
    shm_bytes: int | None = None
    layered: str | None = None
    needed: tuple[str, ...] = ()


@functools.cache
def privacy_here() -> Privacy:
    """Return the best that this machine allows; found out by trying, once."""
    if sys.platform == "linux":
        wishes = (Privacy(tool, network) for tool in TOOLS for network in (True, False))
        return next(filter(works, wishes), Privacy())
    return Privacy()


def works(privacy: Privacy) -> bool:
    """Whether this machine allows it."""
    enclosure = Enclosure((Mount(str(_ENTER.parent), "/opt/ml", read_only=True),), network=privacy.network)
    try:
        tried = subprocess.run(
            enclosed(["true"], enclosure, privacy), capture_output=True, check=False, timeout=_PROBE_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return tried.returncode == 0


def enclosed(argv: Sequence[str], enclosure: Enclosure, privacy: Privacy) -> list[str]:
    """Return the command that runs a command inside an enclosure.

    Raises:
        ProgramError: a folder that it takes cannot be read.
    """
    if privacy.tool == "bwrap":
        inner = _enter(enclosure, ()) if enclosure.channel is not None else []
        return [*_bwrap(enclosure), *inner, *argv]
    return [*_enter(enclosure, _steps(enclosure, enclosure.needed)), *argv]


def _steps(enclosure: Enclosure, needed: Iterable[str]) -> tuple[Step, ...]:
    """Return how to build what the program sees, its own /tmp and what it needs of the machine's included."""
    mounts = []
    if enclosure.tmp:
        mounts.append(Mount(enclosure.tmp, _TMP, own=True))
        hidden = sorted({path for path in needed if path.startswith(f"{_TMP}/")})
        mounts += [Mount(os.path.realpath(path), path) for path in hidden]
    return steps_of([*mounts, *enclosure.mounts])


def _enter(enclosure: Enclosure, steps: Sequence[Step]) -> list[str]:
    """Return the words that run enter.py; without steps it is inside already."""
    told = {name: value for name, value in asdict(enclosure).items() if name not in ("mounts", "tmp")}
    told["steps"] = [[step.path, step.source, step.names, step.read_only] for step in steps]
    return [*_PYTHON, str(_ENTER), json.dumps(told)]


def _bwrap(enclosure: Enclosure) -> list[str]:
    """Return the words of bwrap(1) for what enter.py does as root; they are obeyed in their order."""
    words = [shutil.which("bwrap") or "bwrap", "--die-with-parent"]
    steps = _steps(enclosure, (*enclosure.needed, *_OUR_OWN))
    for step in steps:
        words += _bwrap_step(step, enclosure.read_only)
        if step == Step("/", "/") and enclosure.read_only:
            words += ["--dev-bind", "/dev", "/dev"]
    if enclosure.shm_bytes is not None:
        words += ["--size", str(enclosure.shm_bytes), "--tmpfs", "/dev/shm"]  # noqa: S108 - in its own namespace
    if enclosure.read_only:
        made = ["/" if steps[0].names else "", *(step.path for step in steps if not step.source)]
        words += [
            word for path in made if path and not _stays_writable(path) for word in ("--remount-ro", path)
        ]
    words += ["--chdir", enclosure.cwd]
    return [*words, *(["--unshare-net"] if enclosure.network else []), "--"]


def _bwrap_step(step: Step, read_only: bool) -> list[str]:
    if not step.source:
        return ["--tmpfs", step.path]
    if step.names is None:
        is_closed = step.read_only or (read_only and not _stays_writable(step.path))
        return ["--ro-bind" if is_closed else "--dev-bind", step.source, step.path]
    words = []
    for name in step.names:
        source, path = Path(step.source, name), posixpath.join(step.path, name)
        if source.is_symlink():
            words += ["--symlink", str(source.readlink()), path]
        else:
            is_closed = step.read_only or (read_only and not _stays_writable(path))
            words += ["--ro-bind-try" if is_closed else "--dev-bind-try", str(source), path]
    return words


def _stays_writable(path: str) -> bool:
    return _STAYS_WRITABLE.fullmatch(path) is not None
