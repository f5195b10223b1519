"""How many cores this container may use, and how workers and their libraries' threads share them."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from byoc_serving.errors import SettingsError

# Each bounds the threads of one numeric library; read once, when that library loads.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",  # OpenMP: LightGBM, XGBoost, scikit-learn, PyTorch
    "OPENBLAS_NUM_THREADS",  # NumPy's and SciPy's wheels
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",  # joblib, behind n_jobs=-1
)


@dataclass(frozen=True)
class Shares:
    """How many worker processes run, and how many threads the libraries of each may use."""

    workers: int
    threads: int


def share_cores(cores: float, wanted_workers: int | None, preload: bool) -> Shares:
    """Return one worker a core unless told otherwise; what is left over goes to the libraries' threads.

    A model that is loaded before the fork gets one thread: a thread pool does not survive a fork, and the
    child hangs in it (docs/adr/0003).
    """
    workers = wanted_workers or max(1, int(cores))
    threads = 1 if preload else max(1, int(cores) // workers)
    return Shares(workers, threads)


def thread_limits(environ: Mapping[str, str], threads: int, preload: bool) -> dict[str, str]:
    """Return the variables that hold the libraries to so many threads; what the user has set stays.

    Raises:
        SettingsError: the user wants OpenMP threads and a model loaded before the fork, which would hang.
    """
    wanted = environ.get("OMP_NUM_THREADS") or "1"
    if preload and wanted != "1":
        raise SettingsError(
            f"MODEL_SERVER_PRELOAD is on and OMP_NUM_THREADS is {wanted!r}. OpenMP's threads do not "
            "survive the fork that follows: leave out one of the two."
        )
    return {name: environ.get(name) or str(threads) for name in THREAD_VARIABLES}


def available_cores(cgroups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """Return the cores of this process: its affinity, bounded by the quota of its cgroup (v2 or v1)."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(affinity), *_quotas(cgroups, own)])


def _quotas(cgroups: Path, own: Path) -> Iterable[float]:
    for folder in cgroups_of(cgroups, own):
        try:
            quota, period = (folder / "cpu.max").read_text().split()
        except (OSError, ValueError):
            continue
        if quota != "max":
            yield int(quota) / int(period)
    try:
        quota_us = int((cgroups / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((cgroups / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return
    if quota_us > 0:
        yield quota_us / period_us


def cgroups_of(cgroups: Path, own: Path) -> Iterable[Path]:
    """Return the cgroup of this process and all above it: the tightest limit counts."""
    yield cgroups
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::/"):
            here = cgroups / line.removeprefix("0::/")
            yield from (place for place in (here, *here.parents) if place.is_relative_to(cgroups))
