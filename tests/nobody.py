"""Lets a test that runs as root be a user for a moment who may read only what others may."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can become nobody")


@contextmanager
def nobody() -> Iterator[None]:
    """Be nobody within the block."""
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give an empty folder that anybody reaches: pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)
