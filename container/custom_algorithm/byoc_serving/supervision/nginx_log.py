"""What nginx writes to stderr, told in JSON as everything else in the log."""

import logging
import os
import re

log = logging.getLogger("nginx")

_LINE = re.compile(r"(?:[\d/]+ [\d:]+|nginx:) \[(?P<level>\w+)\] (?:\d+#\d+: )?(?P<message>.*)")
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
# A worker that loads has no socket yet, or that of the one before: the request goes to another at once.
_EXPECTED = re.compile(r"worker-\d+\.sock failed \((?:2|111): |upstream server temporarily disabled")
_AT_ONCE = 65_536
_LONGEST = 4_096  # what nginx itself cuts a line to is 2,048


class NginxLog:
    """Reads a pipe that nginx writes to, whenever there is something in it.

    Args:
        pipe: its end to read from, which does not block.
    """

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._rest = b""

    def read(self) -> bool:
        """Log the whole lines that came; return whether more may come."""
        try:
            came = os.read(self._pipe, _AT_ONCE)
        except BlockingIOError:
            return True
        *lines, self._rest = (self._rest + came).split(b"\n")
        if not came or len(self._rest) > _LONGEST:
            lines.append(self._rest)
            self._rest = b""
        for line in lines:
            _tell(line.decode(errors="replace"))
        return bool(came)


def _tell(line: str) -> None:
    if found := _LINE.fullmatch(line):
        level = _LEVELS.get(found["level"], logging.CRITICAL)
        log.log(logging.DEBUG if _EXPECTED.search(line) else level, found["message"])
    elif line:
        log.warning(line)
