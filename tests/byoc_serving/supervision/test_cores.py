"""cores: what the cgroup allows is what is divided."""

import os

import pytest

from byoc_serving.errors import SettingsError
from byoc_serving.supervision.cores import (
    THREAD_VARIABLES,
    Shares,
    available_cores,
    share_cores,
    thread_limits,
)


def test_a_quota_of_the_cgroup_above_us_counts(tmp_path):
    (tmp_path / "kubepods" / "pod1").mkdir(parents=True)
    (tmp_path / "kubepods" / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "kubepods" / "pod1" / "cpu.max").write_text("max 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/kubepods/pod1\n")
    assert available_cores(tmp_path, own) == 0.5


def test_a_quota_of_cgroup_v1_counts(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("25000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_cores(tmp_path, tmp_path / "none") == 0.25


def test_without_a_quota_the_affinity_counts(tmp_path):
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert available_cores(tmp_path, tmp_path / "none") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("cores", "wanted", "preload", "shares"),
    [
        (8.0, None, False, Shares(8, 1)),
        (8.0, 2, False, Shares(2, 4)),
        (8.0, 2, True, Shares(2, 1)),
        (2.0, 16, False, Shares(16, 1)),
        (0.5, None, False, Shares(1, 1)),
        (3.7, 2, False, Shares(2, 1)),
    ],
)
def test_workers_and_library_threads_together_never_outnumber_the_cores_unasked(
    cores, wanted, preload, shares
):
    assert share_cores(cores, wanted, preload) == shares


def test_thread_limits_leave_what_the_user_has_set():
    limits = thread_limits({"OMP_NUM_THREADS": "3", "MKL_NUM_THREADS": ""}, threads=2, preload=False)
    assert limits == {**dict.fromkeys(THREAD_VARIABLES, "2"), "OMP_NUM_THREADS": "3"}


def test_openmp_threads_and_a_load_before_the_fork_are_refused_together():
    with pytest.raises(SettingsError, match=r"MODEL_SERVER_PRELOAD is on and OMP_NUM_THREADS is '4'"):
        thread_limits({"OMP_NUM_THREADS": "4"}, threads=1, preload=True)
