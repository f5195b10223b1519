"""How fast the local SageMaker's S3 hands objects over, beside moto's server, in the same run.

Run it by `make bench-local`, or `python bench/s3.py [--mib N] [--repeats N]`. boto3 puts one object and
reads it in ranges of 8 MiB, one after the other, on both servers in turn; medians are told, with each
server's memory.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from byoc.local.launch import Asked, embedded
from byoc.runtime.network import free_port
from byoc.runtime.procfs import memory_bytes

MIB = 1024 * 1024
RANGE = 8 * MIB
TO_REACH = 200  # MB/s of ranged GETs
START_S = 30.0


@dataclass(frozen=True)
class Server:
    """A server of S3, with a bucket."""

    name: str
    pid: int
    s3: Any
    bucket: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return 1 where the local SageMaker falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=256, help="size of the object")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args(arguments)
    body = os.urandom(asked.mib * MIB)
    with local_sagemaker() as ours, moto() as theirs:
        rates = measured([ours, theirs], body, asked.repeats)
        print(f"{os.cpu_count()} cores, one object of {asked.mib} MiB, medians of {asked.repeats}\n")
        print("server                 put MB/s   ranged get MB/s   server's memory, MB")
        for server in (ours, theirs):
            put, get = rates[server.name]
            print(f"{server.name:20}{put:11,.0f}{get:18,.0f}{memory_bytes([server.pid]) / 1e6:22,.0f}")
    ratio = rates[ours.name][1] / rates[theirs.name][1]
    holds = rates[ours.name][1] >= TO_REACH
    print(f"\nranged get: {ratio:.1f} times moto's; {TO_REACH} MB/s: {'holds' if holds else 'falls short'}")
    return 0 if holds else 1


def measured(servers: Sequence[Server], body: bytes, repeats: int) -> dict[str, tuple[float, float]]:
    """Return the median rates of putting and getting, in MB/s, by server; they take turns."""
    found: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
    for _ in range(repeats):
        for server in servers:
            put = timed(lambda server=server: server.s3.put_object(Bucket=server.bucket, Key="x", Body=body))
            get = timed(lambda server=server: read(server, len(body)))
            found[server.name].append((len(body) / put / 1e6, len(body) / get / 1e6))
    return {
        name: (statistics.median(put for put, _ in pairs), statistics.median(get for _, get in pairs))
        for name, pairs in found.items()
    }


def read(server: Server, size: int) -> None:
    """Read the whole object in ranges."""
    got = 0
    for start in range(0, size, RANGE):
        asked = f"bytes={start}-{min(start + RANGE, size) - 1}"
        got += len(server.s3.get_object(Bucket=server.bucket, Key="x", Range=asked)["Body"].read())
    if got != size:
        raise RuntimeError(f"{server.name} handed over {got} bytes of {size}")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def local_sagemaker() -> Iterator[Server]:
    """Run a local SageMaker."""
    with embedded(Asked(port=0), os.environ) as instance:
        session = boto3.session.Session(instance.access_key, instance.secret_key, region_name=instance.region)
        s3 = session.client("s3", endpoint_url=instance.url)
        yield Server("the local SageMaker", instance.pid, s3, instance.bucket)


@contextmanager
def moto() -> Iterator[Server]:
    """Run moto's server."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        session = boto3.session.Session("moto", "moto", region_name="us-east-1")
        s3 = session.client("s3", endpoint_url=url)
        give_up = time.monotonic() + START_S
        while True:
            try:
                s3.create_bucket(Bucket="bench")
                break
            except Exception:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
        yield Server("moto", process.pid, s3, "bench")
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
