"""nginx's configuration, from the template beside the predictor and the settings."""

import os
import pwd
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from byoc_serving.messages import too_large_message
from byoc_serving.settings import PROGRAM_DIR, Settings

TEMPLATE = PROGRAM_DIR / "nginx.conf"

# How much longer nginx waits than a worker may take: requests queue before they reach one.
_QUEUE_S = 30
_MOST_BUFFERED_MB = 32


def find_nginx(path: str | None) -> str | None:
    """Return nginx's program, or None where it is not installed; Debian keeps it off users' PATH."""
    return shutil.which("nginx", path=f"{path or ''}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")


def worker_socket(run_dir: Path, number: int) -> Path:
    """Return where the worker of a number, from 0, listens for nginx alone."""
    return run_dir / f"worker-{number}.sock"


def write_configuration(
    settings: Settings,
    run_dir: Path,
    cores: float,
    workers: int,
    new_id: Callable[[], str] = lambda: secrets.token_hex(16),
) -> Path:
    """Write nginx.conf into the run directory and return its path.

    Args:
        new_id: returns what no other start's request ids begin with.
    """
    target = run_dir / "nginx.conf"
    words = _words(settings, run_dir, cores, workers) | {"start_id": new_id()}
    target.write_text(fill(TEMPLATE.read_text(), words))
    return target


def fill(template: str, words: Mapping[str, str]) -> str:
    """Return the template with each @word@ replaced; KeyError where a word is not given."""
    return re.sub(r"@(\w+)@", lambda match: words[match.group(1)], template)


def _words(settings: Settings, run_dir: Path, cores: float, workers: int) -> dict[str, str]:
    sockets = [worker_socket(run_dir, number) for number in range(workers)]
    return {
        "workers": "\n        ".join(
            f"server unix:{socket} max_fails=1 fail_timeout=1s;" for socket in sockets
        ),
        "run_dir": str(run_dir),
        "processes": str(max(1, int(cores) // 4)),
        "listen": f"{settings.host}:{settings.port}",
        "max_bytes": str(settings.max_payload_bytes),
        "body_buffer": f"{min(settings.max_payload_mb or _MOST_BUFFERED_MB, _MOST_BUFFERED_MB)}m",
        "max_body": f"{settings.max_payload_mb}m",
        "too_large": too_large_message(settings.max_payload_mb),
        "read_timeout_s": f"{settings.timeout_s + _QUEUE_S:.0f}",
        "load_timeout_s": f"{settings.startup_timeout_s + settings.timeout_s + _QUEUE_S:.0f}",
        "user": _user(),
    }


def _user() -> str:
    """Return the directive that keeps nginx's workers from becoming `nobody` when root started them.

    The spool and the sockets are ours, the workers behind them are root too (SageMaker runs containers as
    root, contract B1), and a container without the capability to change user could not start at all.
    """
    if os.geteuid() != 0:
        return ""
    import grp

    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"
