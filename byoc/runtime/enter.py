"""Becomes a program in namespaces of its own: its own /opt/ml and /opt/program, its own network.

It runs as a script below the keeper (`python -I -S enter.py ENCLOSURE PROGRAM [ARGUMENT]...`) on the standard
library alone, and ends by exec: the program has its process id and gets its signals. ENCLOSURE is JSON:

    unshare   whether to make the namespaces (root); false inside bwrap, which has made them
    mounts    [source, target, read only] of each folder that is to be seen at another path below /opt
    cwd       the working directory, as the program sees it; the second mount's target where there is none
    network   whether the program has a network of its own, with nothing but a loopback
    channel   the descriptor of a unix socket to byoc, or null: see `connect_to_byoc`
    port      the port of 127.0.0.1 in that network where byoc shall listen, or null

Nothing is seen outside: the mounts are private before the first is made, and the tmpfs on /opt takes the
folders that the mounts need. It is put there over what the machine has in /opt, which is bound into it again.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
INTERFACE = "16sh14x"  # struct ifreq: a name and its flags
OPT = Path("/opt")
CANNOT_RUN = 126
NOT_FOUND = 127
BACKLOG = 128


def system_call(name: str, *arguments: object) -> None:
    """Make a system call of the C library.

    Raises:
        OSError: it was refused.
    """
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source: str, target: str | Path, flags: int, kind: str = "", options: str = "") -> None:
    """mount(2)."""
    words = [word.encode() or None for word in (source, str(target), kind)]
    system_call("mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def make_private(network: bool) -> None:
    """Leave the machine's mounts, and its network where asked to."""
    system_call("unshare", CLONE_NEWNS | (CLONE_NEWNET if network else 0))
    mount("none", "/", MS_REC | MS_PRIVATE)


def cover_opt() -> None:
    """Put a tmpfs over /opt that has everything of the old one, where new folders can be made."""
    OPT.mkdir(exist_ok=True)
    old = os.open(OPT, os.O_PATH)
    kept = sorted(os.scandir(OPT), key=lambda entry: entry.name)
    mount("byoc", OPT, 0, "tmpfs", "mode=755")
    for entry in kept:
        target = OPT / entry.name
        if entry.is_symlink():
            target.symlink_to(os.readlink(entry.name, dir_fd=old))
            continue
        if entry.is_dir():
            target.mkdir()
        else:
            target.touch()
        mount(f"/proc/self/fd/{old}/{entry.name}", target, MS_BIND | MS_REC)
    os.close(old)


def bind(mounts: Sequence[tuple[str, str, bool]]) -> None:
    """Let each source be seen at its target, in place of whatever is there."""
    sources = [os.open(source, os.O_PATH) for source, _, _ in mounts]  # before a target covers one
    cover_opt()
    for source, (_, target, read_only) in zip(sources, mounts, strict=True):
        if Path(target).is_symlink():
            Path(target).unlink()
        Path(target).mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{source}", target, MS_BIND | MS_REC)
        if read_only:
            mount("none", target, MS_REMOUNT | MS_BIND | MS_RDONLY)
        os.close(source)


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
    mounts, network = enclosure["mounts"], bool(enclosure["network"])
    if enclosure["unshare"]:
        make_private(network)
        bind(mounts)  # type: ignore[arg-type]
        if network:
            bring_up_loopback()
    cwd = Path(str(enclosure["cwd"]))
    os.chdir(cwd if cwd.is_dir() else "/")
    if enclosure["channel"] is not None:
        with socket.socket(fileno=int(str(enclosure["channel"]))) as channel:
            channel.set_inheritable(False)
            connect_to_byoc(channel, enclosure["port"])  # type: ignore[arg-type]
    os.execvp(argv[0], argv)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main(json.loads(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        print(f"{sys.argv[2]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else CANNOT_RUN)
