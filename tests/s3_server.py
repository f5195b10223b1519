"""Runs the embedded AWS (moto's S3) on loopback as a process of its own, for the tests that need S3."""

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import boto3

COMMAND = (sys.executable, "-m", "byoc.local.aws")


@dataclass(frozen=True)
class S3Server:
    """Where an embedded S3 answers."""

    url: str

    @property
    def env(self):
        """The environment that sends every AWS client there, and nowhere else."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self):
        """Return an S3 client for it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )


@contextmanager
def s3_server():
    """Give a running S3Server; it ends with the block."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield S3Server(_first_line_of(process))
        finally:
            process.terminate()


def _first_line_of(process):
    if line := process.stdout.readline().strip():
        return line
    raise RuntimeError("the embedded AWS did not start: stderr says why")
