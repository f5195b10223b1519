"""A small process between byoc and one Docker container: the container ends with it, and is removed.

It runs as a script of its own (`python -I -S docker_keeper.py GRACE ABANDONED_GRACE NAME DOCKER run ...`) and
obeys its standard input as keeper.py does:

    b"S"         `docker stop`: SIGTERM to the program; SIGKILL when GRACE seconds have passed
    b"K"         `docker kill`
    end of file  the parent is gone, however it died: as b"S", with ABANDONED_GRACE seconds

Its exit status is the container's as `docker run` has it, 128 + n for a death by signal n. It tries
again until the container has ended: an order may come while the engine still makes it.
"""

import contextlib
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time

AGAIN_S = 0.1
ENGINE_S = 30.0  # what the engine may take for an order, beside the program's grace
KILLED = 137


class Keeper:
    """One container, from `docker run` to `docker rm`."""

    def __init__(self, name: str, run: list[str]) -> None:
        self.name = name
        self.docker = run[0]
        self.wakes, self.woken = os.pipe()
        # A session of its own: what ^C does on the terminal of byoc, byoc does.
        self.client = subprocess.Popen(run, stdin=subprocess.DEVNULL, start_new_session=True)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        self.client.wait()
        os.write(self.woken, b"E")

    def ask(self, *words: str, patience_s: float = ENGINE_S) -> None:
        """Run a command of the client, and ignore what comes of it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [self.docker, *words, self.name], capture_output=True, check=False, timeout=patience_s
            )

    def stop(self, grace_s: float) -> None:
        """Have it stopped, beside everything else; a client that hears nothing from the engine is killed."""

        def insist() -> None:
            give_up = time.monotonic() + grace_s + ENGINE_S
            while self.client.poll() is None and time.monotonic() < give_up:
                self.ask("stop", "--time", str(math.ceil(grace_s)), patience_s=grace_s + ENGINE_S)
                time.sleep(AGAIN_S)
            self.client.kill()

        threading.Thread(target=insist, daemon=True).start()

    def kill(self) -> None:
        """Have it killed, beside everything else."""

        def insist() -> None:
            give_up = time.monotonic() + ENGINE_S
            while self.client.poll() is None and time.monotonic() < give_up:
                self.ask("kill")
                time.sleep(AGAIN_S)
            self.client.kill()

        threading.Thread(target=insist, daemon=True).start()

    def keep(self, grace_s: float, abandoned_grace_s: float) -> int:
        """Obey the parent until the container has ended; return its exit status."""
        orders = [0]
        while self.client.poll() is None:
            ready, _, _ = select.select([*orders, self.wakes], [], [])
            asked = os.read(self.wakes, 1) if self.wakes in ready else b""
            if 0 in ready:
                order = os.read(0, 1)
                if not order:
                    orders = []
                    self.stop(abandoned_grace_s)
                asked = order or asked
            if asked == b"S":
                self.stop(grace_s)
            elif asked == b"K":
                self.kill()
        status = self.client.returncode
        return status if status >= 0 else KILLED


def main(arguments: list[str]) -> int:
    """Run the container named by the arguments; see the top of this file."""
    grace_s, abandoned_grace_s, name, *run = arguments
    keeper = Keeper(name, run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.write(keeper.woken, b"S"))
    try:
        return keeper.keep(float(grace_s), float(abandoned_grace_s))
    finally:
        keeper.ask("rm", "--force", "--volumes")


if __name__ == "__main__":
    try:
        status = main(sys.argv[1:])
    except FileNotFoundError as error:
        print(f"{error.filename} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
        status = 127
    sys.stdout.flush()
    os._exit(status)
