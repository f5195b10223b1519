"""Measures how fast `train` pulls a model version from S3, beside boto3's download_fileobj."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.contest.environments import PROGRAMS, environment
from bench.contest.errors import NotMeasuredError
from bench.contest.resources import peak_mb
from bench.contest.run import Run
from bench.contest.running import complaint, environ_for, launched
from bench.contest.servers import OURS
from byoc.local.launch import Asked, embedded
from byoc.runtime.procfs import family

SIZE = 1_000_000_000
DOWNLOAD = "download_fileobj"
_LOOK_S = 0.05


def measure_pull(run: Run) -> None:
    """Alternate between `train` and download_fileobj: whole processes, MB/s, and their most memory in MB."""
    python = environment(OURS.program, run.report)
    folder = run.work / "pull"
    folder.mkdir()
    with embedded(Asked(port=0), os.environ) as aws:
        environ = aws.environment(environ_for(python, folder, {}))
        run.report("putting a model version of 1 GB into the local SageMaker's S3")
        uri, digest = _put(python, run, environ, f"s3://{aws.bucket}/models")
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        base = folder / "ml"
        download: list[str | Path] = [
            PROGRAMS / "ours" / "download.py",
            bucket,
            f"{prefix}model.bin",
            "pulled",
        ]
        jobs: dict[str, list[str | Path]] = {OURS.name: [run.image / "train"], DOWNLOAD: download}
        variables = {"SAGEMAKER_BASE_DIR": str(base), "MODEL_VERSION": uri, "MODEL_MANIFEST_SHA256": digest}
        for _ in range(run.repeats):
            for name, argv in jobs.items():
                words = [str(word) for word in (python, *argv)]
                _measure(name, words, {**environ, **variables}, folder, run)
                shutil.rmtree(base, ignore_errors=True)
                (folder / "pulled").unlink(missing_ok=True)


def _put(python: Path, run: Run, environ: Mapping[str, str], destination: str) -> tuple[str, str]:
    """Upload a new version; return its URI and the digest of its manifest."""
    source = run.work / "pull" / "source"
    source.mkdir()
    command: list[str | Path] = [
        python,
        PROGRAMS / "ours" / "put_version.py",
        run.image,
        source,
        str(SIZE),
        destination,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    shutil.rmtree(source)
    if done.returncode:
        raise NotMeasuredError(
            f"the model version could not be uploaded: {complaint(done.stderr.splitlines())}"
        )
    uri, digest = done.stdout.split()
    return uri, digest


def _measure(name: str, argv: Sequence[str], environ: Mapping[str, str], folder: Path, run: Run) -> None:
    began = time.monotonic()
    most = 0.0
    with launched(name, argv, environ, folder) as process:
        while process.poll() is None:
            most = max(most, peak_mb(family(process.pid)[1:]))
            time.sleep(_LOOK_S)
        took_s = time.monotonic() - began
        if status := process.wait():
            raise NotMeasuredError(f"{name} ended with status {status}: {complaint(process.last_lines(50))}")
    run.results.add(name, "pull.mb_per_s", SIZE / 1e6 / took_s)
    run.results.add(name, "pull.mb", most)
    run.report(f"pull: {name:18} {SIZE / 1e6 / took_s:5.0f} MB/s, {most:4.0f} MB of memory at most")
