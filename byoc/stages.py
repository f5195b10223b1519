"""Shows long work stage by stage: inline and in colour on a terminal, as plain lines anywhere else."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from byoc.errors import OutputError, ReaderGoneError

_GREEN, _RED, _DIM, _PLAIN = "\033[32m", "\033[31m", "\033[2m", "\033[0m"
_CLEAR_LINE = "\r\033[K"
_PLAIN_PROGRESS_EVERY_S = 1.0


@dataclass
class Stage:
    """One stage while it runs; `result` is shown beside its time when it is done."""

    show_progress: Callable[[str], None]
    result: str = ""

    def progress(self, text: str) -> None:
        """Say what is going on now."""
        self.show_progress(text)


class Stages:
    """The stages of one piece of work, in their order."""

    def __init__(
        self, titles: Sequence[str], out: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._titles = list(titles)
        self._out = out
        self._clock = clock
        self._due = 0.0
        self._inline = out.isatty() and os.environ.get("TERM") != "dumb"
        self._coloured = self._inline and "NO_COLOR" not in os.environ
        self._done, self._failed = ("✓", "✗") if _can_write("✓✗", out) else ("ok", "!!")

    @contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Show one stage from its begin to its end, whichever that is; what is raised passes through."""
        name = f"{self._titles.index(title) + 1}/{len(self._titles)} {title}"
        stage = Stage(lambda text: self._progress(name, text))
        began = self._clock()
        if self._inline:
            self._progress(name, "...")
        else:
            self._line(f"  {name}")
            self._due = began
        try:
            yield stage
        except OutputError:
            raise
        except BaseException as error:
            ended = "failed" if isinstance(error, Exception) else "was interrupted"  # by ^C or SIGTERM
            self._line(self._colour(_RED, f"{self._failed} {name} {ended}"))
            raise
        took = f"{self._clock() - began:.1f} s"
        told = f": {stage.result}" if stage.result else ""
        self._line(f"{self._colour(_GREEN, self._done)} {name}{told} {self._colour(_DIM, f'({took})')}")

    def say(self, text: str = "") -> None:
        """Write a line that belongs to no stage.

        Raises:
            OutputError: it cannot be written; in a stage, from `progress` and at its ends too.
        """
        self._line(text)

    def _progress(self, name: str, text: str) -> None:
        if not self._inline:
            self._progress_in_lines(text)
            return
        width = shutil.get_terminal_size().columns
        shown = f"  {name}: {text}"[: width - 1]
        self._write(f"{_CLEAR_LINE}{self._colour(_DIM, shown)}")

    def _progress_in_lines(self, text: str) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + _PLAIN_PROGRESS_EVERY_S
            self._line(f"    {text}")

    def _line(self, text: str) -> None:
        self._write(f"{_CLEAR_LINE if self._inline else ''}{text}\n")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except BrokenPipeError as error:
            raise ReaderGoneError("Nobody reads the output any more.") from error
        except OSError as error:
            raise OutputError(f"The output cannot be written: {error.strerror}.") from error

    def _colour(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._coloured else text


def _can_write(text: str, out: TextIO) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
