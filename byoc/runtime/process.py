"""One program, in a session of its own below a keeper, with its log: start, wait, stop, follow."""

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from byoc.errors import ProgramError

KEEPER = Path(__file__).with_name("keeper.py")
SECRETS = "BYOC_KEEPERS"  # by which the keepers above know a keeper of a container; see keeper.py
_LOOK_S = 0.05
_LONGEST_LINE = 256 * 1024  # bytes in memory; a program may never end its line


@dataclass(frozen=True)
class Command:
    """What to run: the whole of its environment, its working directory, and where its output goes.

    Attributes:
        name: as messages call it, such as "serve".
        grace_s: seconds from SIGTERM to SIGKILL when it is stopped.
        abandoned_grace_s: the same when this process dies and nobody waits for the program any more.
        keeper: the script that stands between; it speaks keeper.py's language of S, K and end of file.
        inherited: the file descriptors that the program is to have beside its output.
        foreign: whether it is a user's program, which keeps no containers for us.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: Path
    log: Path
    grace_s: float
    abandoned_grace_s: float = 2.0
    keeper: Path = KEEPER
    inherited: Sequence[int] = ()
    foreign: bool = False


class Process:
    """A running program; all that it starts ends with it, and it ends with this process.

    Between the two stands a keeper (keeper.py), which holds a pipe to this process and so notices its end,
    SIGKILL included. As a context manager it is stopped at the end of the block: with its grace
    where the block ended well, and with the abandoned one's where it did not.
    """

    def __init__(self, command: Command, belongings: ExitStack | None = None) -> None:
        """Start it; `belongings` are closed when it is seen to have ended, or at once if it cannot start."""
        self.command = command
        self._belongings = belongings or ExitStack()
        self._closing = threading.Lock()
        graces = [str(command.grace_s), str(command.abandoned_grace_s)]
        with command.log.open("ab") as log:
            self._log_start = log.tell()
            try:
                self._keeper = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(command.keeper), *graces, *command.argv],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=command.cwd,
                    env=_environment(command),
                    start_new_session=True,
                    pass_fds=command.inherited,
                    bufsize=0,
                )
            except (OSError, ValueError) as error:  # ValueError: a NUL in a word
                self._belongings.close()
                raise ProgramError(f"{command.name} cannot be started in {command.cwd}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop(None if error is None else self.command.abandoned_grace_s)

    @property
    def pid(self) -> int:
        """The process id of the keeper, the parent of the program."""
        return self._keeper.pid

    def poll(self) -> int | None:
        """Return the program's exit status, negative for a signal, or None while it runs."""
        status = self._keeper.poll()
        if status is not None:
            self._close()
        return status

    def wait(self, timeout_s: float | None = None) -> int:
        """Return the program's exit status when it has ended.

        Raises:
            ProgramError: it still runs after `timeout_s` seconds.
        """
        try:
            status = self._keeper.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{self.command.name} still runs after {timeout_s} s.") from None
        self._close()
        return status

    def stop(self, grace_s: float | None = None) -> int:
        """SIGTERM, then SIGKILL after the grace, or a shorter one; return the exit status. Safe to repeat."""
        self._order(b"S")
        try:
            return self.wait(grace_s)
        except ProgramError:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL to all of it; return the exit status. Safe to repeat."""
        self._order(b"K")
        return self.wait()

    def follow(self) -> Iterator[str]:
        """Yield the log's lines as they are written, long ones in pieces, until the program has ended."""
        with self.command.log.open("rb") as log:
            log.seek(self._log_start)
            line = b""
            while True:
                ended = self.poll() is not None
                while piece := log.readline(_LONGEST_LINE - len(line)):
                    line += piece
                    if line.endswith(b"\n") or len(line) == _LONGEST_LINE:
                        yield _text(line)
                        line = b""
                if ended:
                    break
                time.sleep(_LOOK_S)
            if line:
                yield _text(line)

    def finish(
        self, report: Callable[[str], None] = lambda _: None, failure: Path | None = None
    ) -> list[str]:
        """Wait until the program has ended well; return its lines, each of which `report` hears at once.

        Args:
            report: such as a display of progress.
            failure: the file in which `train` says why it failed, /opt/ml/output/failure.

        Raises:
            ProgramError: it ended with another status than 0; the message has the reason that it gave,
                the last lines of its log, and where that is.
        """
        lines = []
        for line in self.follow():
            lines.append(line)
            report(line)
        if status := self.wait():
            reason = f": {failure.read_text().strip()}" if failure and failure.is_file() else "."
            raise ProgramError(f"{self.command.name} ended with status {status}{reason} {self.tail()}")
        return lines

    def tail(self) -> str:
        """Return the last lines and the place of the log, to end a message with."""
        lines = "".join(f"\n  {line}" for line in self.last_lines())
        return f"Its last lines ({self.command.log}):{lines or ' none'}"

    def last_lines(self, most: int = 10) -> list[str]:
        """Return the last lines that the program has written so far."""
        with self.command.log.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, 2) - 64 * 1024))
            return [_text(line) for line in log.read().splitlines()[-most:]]

    def _order(self, order: bytes) -> None:
        with suppress(OSError, ValueError):  # it has ended already
            if self._keeper.stdin:
                self._keeper.stdin.write(order)

    def _close(self) -> None:
        with self._closing:
            if self._keeper.stdin:
                with suppress(OSError):
                    self._keeper.stdin.close()
            self._belongings.close()


def _environment(command: Command) -> dict[str, str]:
    """Return a command's environment, with the keepers' secrets where it may start keepers of containers."""
    given = {name: value for name, value in command.environment.items() if name != SECRETS}
    if command.foreign:
        return given
    return {**given, SECRETS: " ".join([*os.environ.get(SECRETS, "").split(), secrets.token_hex(16)])}


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")
