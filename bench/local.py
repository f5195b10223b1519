"""What the hop through the local SageMaker costs: the same small program called directly, and as an endpoint.

Run it by `make bench-local`, or `python bench/local.py [--seconds S] [--repeats N]`. Load generator, hop and
program share the cores of this machine; direct and through the hop alternate, and medians are told. The load
comes from wrk where it is installed (a package of most systems), else from a small one of asyncio's own,
which takes more of the cores for itself.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from bench.contest import wrk
from byoc.local.hosting.connection import Connection
from byoc.local.instance import Instance
from byoc.local.launch import Asked, embedded
from byoc.runtime.network import free_port

BODY = b"5.1,3.5,1.4,0.2\n"
SERVE = """#!/usr/bin/env python
import os
import uvicorn

ANSWER = b'{"predictions": [0]}'
HEAD = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": ANSWER})


port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
uvicorn.run(
    app, host="0.0.0.0", port=port, http="httptools", loop="uvloop", lifespan="off", ws="none",
    access_log=False, log_level="error",
)
"""


@dataclass(frozen=True)
class Target:
    """Where to send the load."""

    name: str
    host: str
    port: int
    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """One run's outcome: the median latency in milliseconds, and how many calls were answered in a second."""

    latency_ms: float
    per_second: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 16])
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="byoc-bench-") as folder:
        program = Path(folder) / "program"
        program.mkdir()
        (program / "serve").write_text(SERVE)
        with served_directly(program) as direct, served_as_endpoint(program) as hop:
            print(f"{os.cpu_count()} cores, load by {'wrk' if shutil.which('wrk') else 'asyncio'}, ", end="")
            print(f"{asked.repeats} runs of {asked.seconds:g} s each, medians\n", flush=True)
            print("connections   way      median latency   requests/s   ratio")
            for connections in asked.connections:
                readings = measured([direct, hop], connections, asked.seconds, asked.repeats)
                print_rows(connections, readings)
    return 0


def measured(targets: Sequence[Target], connections: int, seconds: float, repeats: int) -> dict[str, Reading]:
    """Return the median reading of each target; the targets take turns."""
    found: dict[str, list[Reading]] = {target.name: [] for target in targets}
    for number in range(repeats + 1):
        for target in targets:
            reading = load(target, connections, seconds if number else 1.0)
            if number:  # the first round warms up
                found[target.name].append(reading)
    return {
        name: Reading(
            statistics.median(reading.latency_ms for reading in readings),
            statistics.median(reading.per_second for reading in readings),
        )
        for name, readings in found.items()
    }


def print_rows(connections: int, readings: Mapping[str, Reading]) -> None:
    """Print one row for each target, and what the hop adds."""
    first, *_ = readings.values()
    for name, reading in readings.items():
        ratio = reading.per_second / first.per_second
        more = f"   (+{reading.latency_ms - first.latency_ms:.2f} ms)" if reading is not first else ""
        cells = f"{name:7}{reading.latency_ms:13.2f} ms{reading.per_second:13,.0f}{ratio:8.2f}{more}"
        print(f"{connections:11}   {cells}", flush=True)


@contextmanager
def served_directly(program: Path) -> Iterator[Target]:
    """Run the program by itself."""
    port = free_port()
    environment = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    process = subprocess.Popen([sys.executable, str(program / "serve")], env=environment)
    target = Target("direct", "127.0.0.1", port, "/invocations", {})
    try:
        wait_for(target)
        yield target
    finally:
        process.terminate()
        process.wait()


@contextmanager
def served_as_endpoint(program: Path) -> Iterator[Target]:
    """Run the program as an endpoint of a local SageMaker, with its fence and all."""
    with embedded(Asked(port=0, programs={"bench": program}), os.environ) as instance:
        deploy(instance)
        scope = f"{instance.access_key}/20260101/{instance.region}/sagemaker/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        headers = {"Authorization": signature}
        target = Target("hop", "127.0.0.1", instance.port, "/endpoints/bench/invocations", headers)
        wait_for(target)
        yield target


def deploy(instance: Instance) -> None:
    """Bring the endpoint into service."""
    client: Any = boto3.session.Session(
        aws_access_key_id=instance.access_key,
        aws_secret_access_key=instance.secret_key,
        region_name=instance.region,
    ).client("sagemaker", endpoint_url=instance.url)
    image = f"{instance.account}.dkr.ecr.{instance.region}.amazonaws.com/bench:latest"
    client.create_model(
        ModelName="bench", PrimaryContainer={"Image": image}, ExecutionRoleArn=instance.role_arn
    )
    variant = {"VariantName": "AllTraffic", "ModelName": "bench"}
    client.create_endpoint_config(
        EndpointConfigName="bench",
        ProductionVariants=[{**variant, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}],
    )
    client.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
    client.get_waiter("endpoint_in_service").wait(
        EndpointName="bench", WaiterConfig={"Delay": 0, "MaxAttempts": 3000}
    )


def wait_for(target: Target) -> None:
    """Return when a target answers.

    Raises:
        TimeoutError: it does not within 20 s.
    """
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        try:
            if load(target, 1, 0.1, use_wrk=False).per_second:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{target.name} does not answer at {target.host}:{target.port}")


def load(target: Target, connections: int, seconds: float, *, use_wrk: bool = True) -> Reading:
    """Call a target over so many connections for so many seconds."""
    if use_wrk and shutil.which("wrk"):
        return by_wrk(target, connections, seconds)
    return by_asyncio(target, connections, seconds)


def by_wrk(target: Target, connections: int, seconds: float) -> Reading:
    """Load by wrk.

    Raises:
        RuntimeError: a call failed.
    """
    with tempfile.TemporaryDirectory(prefix="byoc-bench-") as folder:
        body = Path(folder) / "body"
        body.write_bytes(BODY)
        url = f"http://{target.host}:{target.port}{target.path}"
        outcome = wrk.load(
            wrk.Shot(url, body, "text/csv", target.headers), connections, max(1, round(seconds))
        )
    if outcome.failures:
        raise RuntimeError(f"{outcome.failures} calls to {target.name} failed")
    return Reading(outcome.p50_ms, outcome.per_second)


def by_asyncio(target: Target, connections: int, seconds: float) -> Reading:
    """Load by this process."""
    head = [f"POST {target.path} HTTP/1.1", f"Host: {target.host}:{target.port}", "Content-Type: text/csv"]
    head += [f"{name}: {value}" for name, value in target.headers.items()]
    request = "\r\n".join([*head, f"Content-Length: {len(BODY)}", "\r\n"]).encode()

    async def caller() -> list[float]:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(1 << 20), target.host, target.port)
        latencies = []
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            answer = await connection.exchange(request, BODY, 60.0)
            if answer.status != 200:
                raise RuntimeError(f"a call failed: {answer}")
            latencies.append(time.perf_counter() - began)
        connection.close()
        return latencies

    async def callers() -> list[float]:
        each = await asyncio.gather(*(caller() for _ in range(connections)))
        return [latency for latencies in each for latency in latencies]

    latencies = asyncio.run(callers())
    return Reading(statistics.median(latencies) * 1000, len(latencies) / seconds)


if __name__ == "__main__":
    sys.exit(main())
