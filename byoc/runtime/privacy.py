"""How private a program can be on this machine, and the command that makes it so."""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

_ENTER = Path(__file__).with_name("enter.py")
_PYTHON = (sys.executable, "-I", "-S")
_PROBE_S = 10.0
_OPT = Path("/opt")
_TMP = "/tmp"  # noqa: S108 - in a namespace of its own
_ALL = ["--dev-bind", "/", "/"]
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
class Mount:
    """A folder of this machine, and where the program sees it: at a path below /opt."""

    source: str
    target: str
    read_only: bool = False


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
    """Return the command that runs a command inside an enclosure."""
    if privacy.tool == "bwrap":
        inner = _enter(replace(enclosure, mounts=()), unshare=False) if enclosure.channel is not None else []
        return [*_bwrap(enclosure), *inner, *argv]
    return [*_enter(enclosure, unshare=True), *argv]


def _enter(enclosure: Enclosure, unshare: bool) -> list[str]:
    mounts = [[mount.source, mount.target, mount.read_only] for mount in enclosure.mounts]
    return [*_PYTHON, str(_ENTER), json.dumps({**asdict(enclosure), "mounts": mounts, "unshare": unshare})]


def _bwrap(enclosure: Enclosure) -> list[str]:
    """Return the words of bwrap(1) for what enter.py does as root; they are obeyed in their order."""
    words = [shutil.which("bwrap") or "bwrap", "--die-with-parent"]
    words += ["--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"] if enclosure.read_only else _ALL
    if enclosure.tmp:
        needed = {*enclosure.needed, *_OUR_OWN}
        hidden = sorted(path for path in needed if path.startswith(f"{_TMP}/"))
        how = "--ro-bind" if enclosure.read_only else "--bind"
        words += ["--bind", enclosure.tmp, _TMP, *(word for path in hidden for word in (how, path, path))]
    if enclosure.shm_bytes is not None:
        words += ["--size", str(enclosure.shm_bytes), "--tmpfs", "/dev/shm"]  # noqa: S108 - in its own namespace
    words += ["--tmpfs", str(_OPT)]
    targets = {mount.target for mount in enclosure.mounts}
    for entry in sorted(_OPT.iterdir()) if _OPT.is_dir() else []:
        if str(entry) not in targets:
            kept = ["--symlink", str(entry.readlink())] if entry.is_symlink() else ["--dev-bind", str(entry)]
            words += [*kept, str(entry)]
    for mount in enclosure.mounts:
        words += ["--ro-bind" if mount.read_only else "--bind", mount.source, mount.target]
    words += ["--chdir", enclosure.cwd]
    return [*words, *(["--unshare-net"] if enclosure.network else []), "--"]
