"""The one folder that `serve` writes to while it runs: sockets, nginx's files, the scoreboard."""

import tempfile
from pathlib import Path

PING_SOCKET = "ping.sock"
GUNICORN_SOCKET = "gunicorn.sock"

# A socket's path may have 107 bytes (unix(7)); this leaves room for its name.
_LONGEST_PATH = 80


def make_run_dir() -> Path:
    """Return a new folder under TMPDIR, or under /tmp where a socket's path would grow too long."""
    path = tempfile.mkdtemp(prefix="serve-")
    if len(path) > _LONGEST_PATH:
        Path(path).rmdir()
        path = tempfile.mkdtemp(prefix="serve-", dir="/tmp")
    return Path(path)
