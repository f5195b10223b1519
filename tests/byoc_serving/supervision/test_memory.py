"""The memory of the container is the machine's, or the tightest limit of its cgroups."""

import os

import pytest

from byoc_serving.supervision.memory import available_memory

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("files", "bytes_"),
    [
        ({}, MACHINE),
        ({"memory.max": "max"}, MACHINE),
        ({"memory.max": "3000", "a/memory.max": "2000", "a/b/memory.max": "max"}, 2000),
        ({"memory/memory.limit_in_bytes": "1000"}, 1000),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096)}, MACHINE),
    ],
)
def test_the_tightest_limit_counts(tmp_path, files, bytes_):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{content}\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    assert available_memory(tmp_path, own) == bytes_
