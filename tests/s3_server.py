"""Runs a local SageMaker of the tests' own on loopback, for those that need its S3."""

import os
from contextlib import contextmanager
from dataclasses import dataclass

import boto3

from byoc.local.instance import Instance
from byoc.local.launch import Asked, embedded


@dataclass(frozen=True)
class S3Server:
    """Where its S3 answers."""

    aws: Instance

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
            aws_access_key_id=self.aws.access_key,
            aws_secret_access_key=self.aws.secret_key,
        )


@contextmanager
def s3_server():
    """Give a running S3Server; it ends with the block."""
    with embedded(Asked(port=0), os.environ) as instance:
        yield S3Server(instance)
