"""Runs the embedded AWS (moto's S3) on loopback as a process of its own, for the tests that need S3."""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass

import boto3

from byoc.local.aws import REGION, EmbeddedAws

COMMAND = (sys.executable, "-m", "byoc.local.aws")


@dataclass(frozen=True)
class S3Server:
    """Where an embedded S3 answers."""

    aws: EmbeddedAws

    @property
    def url(self):
        return self.aws.url

    @property
    def env(self):
        """The environment that sends every AWS client there, and nowhere else."""
        return self.aws.environment(os.environ)

    def client(self):
        """Return an S3 client for it."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=self.aws.region,
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )


@contextmanager
def s3_server():
    """Give a running S3Server; it ends with the block."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield S3Server(EmbeddedAws(_first_line_of(process), REGION))
        finally:
            process.terminate()


def _first_line_of(process):
    if line := process.stdout.readline().strip():
        return line
    raise RuntimeError("the embedded AWS did not start: stderr says why")
