"""Starts nginx before gunicorn, as the `serve` of AWS's examples does, and ends both when either ends.

    behind_nginx.py NGINX_CONF WORK PORT [GUNICORN_OPTION]... APP

In the configuration, $work, $port and $user stand for the folder to write into, the port to listen on, and
the `user` directive that root needs; gunicorn listens on $work/gunicorn.sock, and APP lies beside the file.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from string import Template


def main(conf: str, work: str, port: str, *options: str) -> int:
    """Run both until the first of them has ended; return its status."""
    written = Path(work) / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    written.write_text(Template(Path(conf).read_text()).safe_substitute(work=work, port=port, user=user))
    socket = f"unix:{work}/gunicorn.sock"
    gunicorn = [
        sys.executable,
        "-m",
        "gunicorn",
        "--chdir",
        str(Path(conf).parent),
        "--bind",
        socket,
        *options,
    ]
    started = [
        subprocess.Popen(["nginx", "-e", "stderr", "-p", work, "-c", str(written)]),
        subprocess.Popen(gunicorn),
    ]
    signal.signal(signal.SIGTERM, lambda *_: [process.terminate() for process in started])
    os.wait()
    for process in started:
        process.terminate()
    return max(process.wait() for process in started)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
