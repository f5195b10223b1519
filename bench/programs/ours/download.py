"""Downloads an object as boto3's documentation shows it: download_fileobj with its defaults.

download.py BUCKET KEY FILE
"""

import sys
from pathlib import Path

import boto3


def main(bucket: str, key: str, file: str) -> None:
    """Download it."""
    with Path(file).open("wb") as target:
        boto3.client("s3").download_fileobj(bucket, key, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
