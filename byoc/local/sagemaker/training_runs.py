"""Every training job that runs: a thread for each, and what becomes of those that a crash cut off."""

import secrets
import threading
from pathlib import Path

from byoc.local.sagemaker import transitions
from byoc.local.sagemaker.kinds import TRAINING_JOB, now, text
from byoc.local.sagemaker.store import Document
from byoc.local.sagemaker.training_run import GONE, Start, TrainingRun, remove
from byoc.local.world import World
from byoc.runtime import container
from byoc.runtime.container import Place

_PATIENCE_S = 15.0
_FOLDER = "job-"
STOP_GRACE_S = 120.0  # AWS, API reference, StopTrainingJob


class TrainingRuns:
    """Starts, stops and ends runs; made anew, it first closes what an earlier process left running.

    Args:
        world: the local AWS.
        start: what starts a container.
        grace_s: seconds from SIGTERM to SIGKILL when a job is stopped.
    """

    def __init__(self, world: World, start: Start = container.start, grace_s: float = STOP_GRACE_S) -> None:
        self._world = world
        self._start = start
        self._grace_s = grace_s
        self._lock = threading.Lock()
        self._running: dict[str, tuple[TrainingRun, threading.Thread]] = {}
        self._closed = False
        self._close_what_was_cut_off()

    def folder(self) -> Path:
        """Return where a new job is to have its /opt/ml; short, as sockets below it must fit."""
        return self._world.folder / f"{_FOLDER}{secrets.token_hex(4)}"

    def start(self, job: Document) -> None:
        """Run a job that has just been kept, in a thread of its own."""
        name = text(job, TRAINING_JOB.name)
        run = TrainingRun(self._world, job, self._start, self._grace_s)
        thread = threading.Thread(target=self._work, args=(name, run), name=f"trains {name}", daemon=True)
        with self._lock:
            self._running[name.lower()] = (run, thread)
            if self._closed:
                run.abandon()
        if self._is_stopping(name):  # asked for after the job was kept, and before `stop` could find it
            run.stop()
        thread.start()

    def stop(self, name: str) -> None:
        """Have a job's program stopped; nothing happens where it has ended."""
        with self._lock:
            running = self._running.get(name.lower())
        if running:
            running[0].stop()

    def close(self) -> None:
        """End every run; their jobs become Failed. Safe to repeat."""
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for run, _ in running:
            run.abandon()
        for _, thread in running:
            thread.join(_PATIENCE_S)

    def _is_stopping(self, name: str) -> bool:
        job = self._world.store.get(TRAINING_JOB.type, name) or {}
        return job.get("TrainingJobStatus") == transitions.STOPPING

    def _work(self, name: str, run: TrainingRun) -> None:
        try:
            run.work()
        finally:
            with self._lock:
                # Another job of the name may have begun: the document said already that this one has ended.
                if self._running.get(name.lower(), (None,))[0] is run:
                    del self._running[name.lower()]

    def _close_what_was_cut_off(self) -> None:
        # All of them: a program that was still ending at the last start may have written on.
        for path in self._world.folder.glob(f"{_FOLDER}*"):
            remove(Place(path.with_suffix("")))
        for job in self._world.store.all(TRAINING_JOB.type):
            if job["TrainingJobStatus"] in transitions.RUNNING:
                self._world.store.update(
                    TRAINING_JOB.type,
                    text(job, TRAINING_JOB.name),
                    lambda job: transitions.end(job, transitions.FAILED, now(self._world), GONE),
                )
