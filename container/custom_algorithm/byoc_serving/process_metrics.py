"""The metrics that a process tells: of all workers under `serve`, else its own, which it then reports too."""

import atexit
import os

from byoc_serving.calls import Call
from byoc_serving.invocation import Invocations
from byoc_serving.metrics.emf import Reports
from byoc_serving.metrics.families import Family, Standing, families
from byoc_serving.models.models import Models
from byoc_serving.settings import Settings
from byoc_serving.supervision.standing import families_of, memory_of


def metrics_of(served: Invocations | Models, settings: Settings) -> list[Family]:
    """Return every metric: of all workers under `serve`, else of this process."""
    if settings.run_dir:
        return families_of(settings.run_dir)
    meter = served.meter
    is_ready = isinstance(served, Models) or served.loading.state == "ready"
    if is_ready and isinstance(served, Invocations):
        model = served.loading.load()
        meter.table.serve(model.name, model.version)
    standing = Standing(int(is_ready), meter.in_flight, waiting=0, memory={0: memory_of()})
    return families([meter.table], standing)


def report_calls(served: Invocations | Models, settings: Settings) -> None:
    """Report to stdout, where that is asked for and no `serve` does it: once a minute, and at the end."""
    if settings.metrics != "emf" or settings.run_dir:
        return
    namespace = settings.metrics_namespace
    reports = Reports(lambda: metrics_of(served, settings), namespace, lambda line: os.write(1, line))
    note = served.note

    def note_and_report(call: Call) -> None:
        note(call)
        reports.tick()

    served.note = note_and_report
    atexit.register(reports.report)
