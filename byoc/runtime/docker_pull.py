"""Pulls of images by the docker command, which end with this process, or when they are told to."""

import logging
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from byoc.errors import ProgramError
from byoc.runtime.process import Command, Process

_LONGEST_S = 3600.0
_GRACE_S = 2.0
_log = logging.getLogger(__name__)


class Pulls:
    """All pulls of this process. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: set[Process] = set()
        self._ended = False

    def pull(self, reference: str, environment: Mapping[str, str]) -> bool:
        """Pull an image; return whether it is there now. The log says why where it is not.

        Args:
            reference: of the image.
            environment: of the docker command.
        """
        with tempfile.TemporaryDirectory(prefix="byoc-pull-") as folder:
            pulling = self._start(reference, environment, Path(folder))
            if pulling is None:
                return False
            try:
                with pulling:
                    status = pulling.wait(_LONGEST_S)
            except ProgramError as error:
                _log.warning("image %s: %s", reference, error)
                return False
            finally:
                with self._lock:
                    self._under_way.discard(pulling)
            if status:
                said = " ".join(pulling.last_lines(3))
                _log.warning("image %s: docker pull ended with status %s: %s", reference, status, said)
            return status == 0

    def end(self) -> None:
        """End every pull under way, and begin none from now on. Safe to repeat."""
        with self._lock:
            self._ended = True
            under_way = list(self._under_way)
        for pulling in under_way:
            pulling.kill()

    def _start(self, reference: str, environment: Mapping[str, str], folder: Path) -> Process | None:
        argv = ["docker", "pull", "--quiet", "--", reference]
        with self._lock:
            if self._ended:
                return None
            command = Command(
                "docker pull", argv, environment, folder, folder / "log", _GRACE_S, foreign=True
            )
            pulling = Process(command)
            self._under_way.add(pulling)
            return pulling
