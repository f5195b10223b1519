"""A run of `train`, while it lasts and when it is over."""

import filecmp
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from byoc.check.verdict import CannotTestError
from byoc.runtime.container import Container
from byoc.runtime.network import PORT
from byoc.runtime.opt_ml import OptMl
from byoc.runtime.procfs import family, has_listener, hears

_LINES = 8
_LOOK_S = 0.02
_SERVES_S = 5.0  # after which, and how often, it is looked whether it serves instead of training
_FIRST_LINE_S = 1.0  # how long one that writes nothing is waited for


@dataclass(frozen=True)
class Trained:
    """A run that is over.

    Attributes:
        status: its exit status, negative for a signal; None: it had to be killed as it did not end.
        failure: what /opt/ml/output/failure holds, None where there is no such file.
        tree: its /opt/ml.
        serves: whether it listened where `serve` does, and had to be killed for that.
    """

    status: int | None
    seconds: float
    failure: str | None
    log: str
    tree: OptMl
    serves: bool = False

    @property
    def left(self) -> list[Path]:
        """What lies in /opt/ml/model, links and empty folders included; paths relative to it."""
        model = self.tree.model
        return sorted(
            Path(folder, name).relative_to(model)
            for folder, folders, files in os.walk(model)
            for name in (*folders, *files)
        )

    def difference(self, other: "Trained") -> str:
        """Return the first path in /opt/ml/model in which another run differs, "" where it left the same.

        Raises:
            CannotTestError: a file cannot be read.
        """

        def differs(path: Path) -> bool:
            one, two = self.tree.model / path, other.tree.model / path
            if one.is_file() and two.is_file():
                return not filecmp.cmp(one, two, shallow=False)
            return (one.is_dir(), one.is_file()) != (two.is_dir(), two.is_file())

        try:
            return next((str(path) for path in sorted({*self.left, *other.left}) if differs(path)), "")
        except OSError as error:
            raise CannotTestError(f"The models that train leaves cannot be compared: {error}") from error

    @property
    def ended(self) -> str:
        """How it ended, without a subject."""
        if self.status is None:
            return f"did not end in {self.seconds:.1f} s"
        return f"ended with status {self.status} after {self.seconds:.1f} s"

    def tail(self) -> str:
        """Return ": " and its last lines, to end a sentence with."""
        lines = [line for line in self.log.splitlines() if line.strip()][-_LINES:]
        return ":\n" + "\n".join(f"  {line[:300]}" for line in lines) if lines else "; it wrote nothing."


@dataclass(frozen=True)
class Training:
    """A run under way."""

    container: Container
    tree: OptMl
    began: float

    @property
    def log(self) -> str:
        """Everything that it has written so far."""
        return self.container.process.command.log.read_text(errors="replace")

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def wait(self, patience_s: float, progress: Callable[[str], None] = lambda _text: None) -> Trained:
        """Return when it is over, or when its time is and it has been killed; one that serves has no end."""
        process = self.container.process
        give_up, look = time.monotonic() + patience_s, time.monotonic() + _SERVES_S
        serves = False
        while (status := process.poll()) is None and time.monotonic() < give_up and not serves:
            if time.monotonic() > look:
                progress(f"train runs, {self.seconds:.0f} s of {patience_s:.0f} s")
                serves, look = self._serves(), time.monotonic() + _SERVES_S
            time.sleep(_LOOK_S)
        if status is None:
            process.kill()
        return replace(self._over(status), serves=serves)

    def wait_until_under_way(self, seconds: float) -> bool:
        """Let it run for some seconds, and until it has written a line; return whether it still runs."""
        process = self.container.process
        early, late = self.began + seconds, self.began + seconds + _FIRST_LINE_S
        while process.poll() is None and (now := time.monotonic()) < late and (now < early or not self.log):
            time.sleep(_LOOK_S)
        return process.poll() is None

    def wait_until_it_hears(self, seconds: float) -> bool:
        """Give it some seconds to install a handler for SIGTERM; return whether it still runs."""
        process, late = self.container.process, time.monotonic() + seconds
        while process.poll() is None and not self.hears_sigterm and time.monotonic() < late:
            time.sleep(_LOOK_S)
        return process.poll() is None

    def stop(self, grace_s: float) -> Trained:
        """SIGTERM; return when it is over, or when the grace is and it has been killed."""
        sent = time.monotonic()
        status = self.container.process.stop(grace_s)
        return self._over(status if time.monotonic() - sent < grace_s else None)

    @property
    def hears_sigterm(self) -> bool:
        """Whether it has a handler for SIGTERM, as far as can be seen.

        Without one process 1 of a container does not get the signal (pid_namespaces(7)), though any other
        process ends by it.
        """
        main = self.container.main()
        return main is None or hears(main, signal.SIGTERM)

    def _serves(self) -> bool:
        """Whether one of its processes listens at port 8080."""
        main = self.container.main()
        return main is not None and any(has_listener(one.pid, PORT) for one in family(main))

    def _over(self, status: int | None) -> Trained:
        failure = self.tree.failure
        text = failure.read_text(errors="replace") if failure.is_file() else None
        return Trained(status, self.seconds, text, self.log, self.tree)
