"""Writes the two files that MLServer's documentation asks for, with one worker for each core.

prepare.py WORK SUBJECT PORT WORKERS
"""

import json
import socket
import sys
from contextlib import ExitStack
from pathlib import Path


def main(work: str, subject: str, port: str, workers: str) -> None:
    """Write settings.json and model-settings.json."""
    grpc, metrics = free_ports(2)
    settings = {
        "host": "127.0.0.1",
        "http_port": int(port),
        "grpc_port": grpc,
        "metrics_port": metrics,
        "parallel_workers": int(workers),
        "debug": False,
    }
    model = {
        "name": "bench",
        "implementation": "mlserver_lightgbm.LightGBMModel",
        "parameters": {"uri": f"{subject}/model/model.txt"},
    }
    Path(work, "settings.json").write_text(json.dumps(settings))
    Path(work, "model-settings.json").write_text(json.dumps(model))


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that nobody uses at the moment."""
    with ExitStack() as probes:
        sockets = [probes.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


if __name__ == "__main__":
    main(*sys.argv[1:])
