"""Puts a model version of so many bytes, which no compression would shorten, into a bucket.

    put_version.py IMAGE FOLDER BYTES s3://BUCKET/PREFIX

Says the version's URI and the digest of its manifest.
"""

import os
import sys
from pathlib import Path

CHUNK = 16 * 1024 * 1024


def main(image: str, folder: str, size: str, destination: str) -> None:
    """Write, describe, upload."""
    sys.path.insert(0, image)
    from byoc_serving.model_version import describe, upload

    left = int(size)
    with Path(folder, "model.bin").open("wb") as file:
        while left:
            left -= file.write(os.urandom(min(left, CHUNK)))
    version = upload(Path(folder), describe(Path(folder), name="bench", libraries=[]), destination)
    print(version.uri)
    print(version.manifest_sha256)


if __name__ == "__main__":
    main(*sys.argv[1:])
