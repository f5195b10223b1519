"""Becomes a program in namespaces of its own: its own /opt/ml, its image's files, its own network.

It runs as a script below the keeper (`python -I -S enter.py ENCLOSURE PROGRAM [ARGUMENT]...`) on the standard
library alone, and ends by exec: the program has its process id and gets its signals. ENCLOSURE is JSON:

    steps     [path, source, names, read only] of each step to the new root, as byoc.runtime.view has them
              (root); none inside bwrap, which has made the namespaces
    cwd       the working directory, as the program sees it; / where there is no such folder
    network   whether the program has a network of its own, with nothing but a loopback
    channel   the descriptor of a unix socket to byoc, or null: see `connect_to_byoc`
    port      the port of 127.0.0.1 in that network where byoc shall listen, or null
    uid       the user and group that the program runs as, or null (root)
    read_only whether it can write to /tmp and /dev alone
    shm_bytes the size of a /dev/shm of its own, or null
    layered   a folder that stays as it is, whatever is written into it: that goes to a layer that
              ends with the program, as a container's does; or null
    needed    folders that it has to reach wherever they are, such as its interpreter's

Nothing is seen outside: the mounts are private before the first is made. The new root is built in a tmpfs
beside the old one, so that no step covers what another one takes.
"""

import contextlib
import ctypes
import fcntl
import functools
import json
import os
import re
import signal
import socket
import stat
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
INTERFACE = "16sh14x"  # struct ifreq: a name and its flags
MNT_DETACH = 0x2
TMP = Path("/tmp")  # noqa: S108 - in a namespace of its own
NEW, OLD = Path("/new"), Path("/old")
SHM = Path("/dev/shm")  # noqa: S108
WRITABLE = ("/dev", "/proc", "/sys", "/tmp")  # noqa: S108
KEPT = {"nosuid": 0x2, "nodev": 0x4, "noexec": 0x8}  # what a remount would take away
ESCAPED = re.compile(r"\\([0-7]{3})")
STAYS_WRITABLE = "cannot be made read-only on this machine"
CANNOT_RUN = 126
NOT_FOUND = 127
BACKLOG = 128


@functools.cache
def library() -> ctypes.CDLL:
    """Return the C library."""
    return ctypes.CDLL(None, use_errno=True)


def system_call(name: str, *arguments: object) -> None:
    """Make a system call of the C library.

    Raises:
        OSError: it was refused.
    """
    if getattr(library(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source: str, target: str | Path, flags: int, kind: str = "", options: str = "") -> None:
    """mount(2)."""
    words = [os.fsencode(word) or None for word in (source, target, kind)]
    system_call("mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def make_private(network: bool) -> None:
    """Leave the machine's mounts, and its network where asked to."""
    system_call("unshare", CLONE_NEWNS | (CLONE_NEWNET if network else 0))
    mount("none", "/", MS_REC | MS_PRIVATE)


def layer(folder: str) -> None:
    """Let what is written into a folder lie in memory over it, where the kernel can do so (overlayfs)."""
    lower = os.open(folder, os.O_PATH)
    mount("byoc", folder, 0, "tmpfs", "mode=755")
    os.chdir(folder)  # so that no path has to be written as an option of the mount
    for name in ("lower", "upper", "work"):
        Path(name).mkdir()
    mount(f"/proc/self/fd/{lower}", "lower", MS_BIND)
    try:
        known = Path("lower").stat()
        Path("upper").chmod(stat.S_IMODE(known.st_mode))
        os.chown("upper", known.st_uid, known.st_gid)
        mount("byoc", ".", 0, "overlay", "lowerdir=lower,upperdir=upper,workdir=work")
    except OSError:  # it has none, or not over such a file system
        os.chdir("/")
        system_call("umount2", os.fsencode(folder), MNT_DETACH)
    os.chdir("/")
    os.close(lower)


def build(steps: Sequence[tuple[str, str, list[str] | None, bool]]) -> None:
    """Let what the steps say be the root: each is done beside the old root, which then goes.

    Raises:
        OSError: a step cannot be done.
    """
    mount("byoc", TMP, 0, "tmpfs", "mode=755")
    (TMP / NEW.name).mkdir()
    (TMP / OLD.name).mkdir()
    system_call("pivot_root", str(TMP).encode(), bytes(TMP / OLD.name))
    mount("byoc", NEW, 0, "tmpfs", "mode=755")
    for path, source, names, read_only in steps:
        if not source:
            below(NEW, path).mkdir(parents=True, exist_ok=True)
            mount("byoc", below(NEW, path), 0, "tmpfs", "mode=755")
        elif names is None:
            show(below(OLD, source), below(NEW, path), read_only)
        else:
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                    show(below(OLD, source) / name, below(NEW, path) / name, read_only)
    os.chdir(NEW)
    system_call("pivot_root", b".", b".")
    system_call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def below(root: Path, path: str) -> Path:
    """Return what will be, or was, an absolute path, while another folder is the root."""
    return root / path.lstrip("/")


def show(source: Path, target: Path, read_only: bool) -> None:
    """Let a folder or file be seen at another path; a link is made anew."""
    mode = source.lstat().st_mode
    if stat.S_ISLNK(mode):
        target.symlink_to(source.readlink())
        return
    if stat.S_ISDIR(mode):
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    mount(str(source), target, MS_BIND | MS_REC)
    if read_only:
        mount("none", target, MS_REMOUNT | MS_BIND | MS_RDONLY)


def cover(folder: Path, needed: Sequence[str]) -> None:
    """Put an empty folder over a folder; nothing of it is seen there but what is needed."""
    hidden = sorted(path for path in needed if folder in Path(path).parents)
    kept = [path for path in hidden if not any(other in map(str, Path(path).parents) for other in hidden)]
    opened = [os.open(path, os.O_PATH) for path in kept]
    mount("byoc", folder, 0, "tmpfs", "mode=755")
    for path, source in zip(kept, opened, strict=True):
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{source}", path, MS_BIND | MS_REC)
        os.close(source)


def clear_the_way(needed: Sequence[str]) -> None:
    """Let anybody reach what is needed, also where it lies in a folder that is closed to others."""
    for folder in sorted({parent for path in needed for parent in Path(path).parents}):
        if not folder.stat().st_mode & 0o001:
            cover(folder, needed)


def forbid_writing() -> None:
    """Make every mount read-only but those that stay writable.

    Raises:
        OSError: one cannot be, so that it would not be known what the program does without.
    """
    mounted = os.fsdecode(Path("/proc/self/mountinfo").read_bytes())
    for line in mounted.rstrip("\n").split("\n"):
        number, _, _, _, escaped, options, *_ = line.split(" ")
        target = ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), escaped)
        if any(target == path or target.startswith(f"{path}/") for path in WRITABLE):
            continue
        given = options.split(",")
        if "ro" not in given and is_seen(number, target):
            kept = sum(flag for name, flag in KEPT.items() if name in given)
            try:
                mount("none", target, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)
            except OSError as error:
                raise OSError(error.errno, f"{target} {STAYS_WRITABLE} ({error.strerror})") from error


def is_seen(number: str, target: str) -> bool:
    """Whether the mount with that number is what is found at its path: another one may cover it."""
    try:
        found = os.open(target, os.O_PATH | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        said = Path(f"/proc/self/fdinfo/{found}").read_text().split()
    finally:
        os.close(found)
    return said[said.index("mnt_id:") + 1] == number


def confine(enclosure: dict[str, object]) -> None:
    """Take away what the program is to do without, but for root itself: see `become`."""
    needed = [str(path) for path in enclosure["needed"]]  # type: ignore[attr-defined]
    if enclosure["uid"] is not None:
        clear_the_way(needed)
    if enclosure["shm_bytes"] is not None:
        SHM.mkdir(exist_ok=True)
        mount("byoc", SHM, 0, "tmpfs", f"mode=1777,size={enclosure['shm_bytes']}")
    if enclosure["read_only"]:
        forbid_writing()


def become(uid: int) -> None:
    """Be another user, with no group but its own, who still ends with the keeper, and gains no more rights.

    Its output becomes its own, as runc has it: else a program could not open /dev/stdout.
    """
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            os.fchown(stream, uid, -1)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    system_call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    system_call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def bring_up_loopback() -> None:
    """Give a new network its 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = struct.pack(INTERFACE, b"lo", 0)
        _, flags = struct.unpack(INTERFACE, fcntl.ioctl(control, SIOCGIFFLAGS, asked))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack(INTERFACE, b"lo", flags | IFF_UP))


def connect_to_byoc(channel: socket.socket, port: int | None) -> None:
    """Hand sockets of this network to byoc, over a unix socket; each comes as one byte with a descriptor.

    First b"L", a socket that listens on the port, where one is given. Then b"D" for each byte that byoc
    sends: a socket that is not connected yet; byoc connects it to wherever the program listens.
    """
    if port is not None:
        with socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as listener:
            socket.send_fds(channel, [b"L"], [listener.fileno()])
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        if os.fork() == 0:  # the keeper's child, not the program's, which shall meet no stranger
            os.setsid()
            hand_out_sockets(channel)
    finally:
        os._exit(0)


def hand_out_sockets(channel: socket.socket) -> None:
    """Answer byoc until it is gone, or has lost interest."""
    with contextlib.suppress(OSError):
        while channel.recv(1):
            with socket.socket() as fresh:
                socket.send_fds(channel, [b"D"], [fresh.fileno()])


def main(enclosure: dict[str, object], argv: list[str]) -> None:
    """Enter, and become the program; see the top of this file."""
    steps, network = enclosure["steps"], bool(enclosure["network"])
    if steps:
        make_private(network)
        if enclosure["layered"] is not None:
            layer(str(enclosure["layered"]))
        build(steps)  # type: ignore[arg-type]
        confine(enclosure)
        if network:
            bring_up_loopback()
    cwd = Path(str(enclosure["cwd"]))
    os.chdir(cwd if cwd.is_dir() else "/")
    if enclosure["channel"] is not None:
        with socket.socket(fileno=int(str(enclosure["channel"]))) as channel:
            channel.set_inheritable(False)
            connect_to_byoc(channel, enclosure["port"])  # type: ignore[arg-type]
    if enclosure["uid"] is not None:
        become(int(str(enclosure["uid"])))
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN)
