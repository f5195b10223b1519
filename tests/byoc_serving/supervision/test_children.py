"""children: how the programs that `serve` starts begin."""

import os
import signal
import sys

import pytest

from byoc_serving.supervision.children import start


@pytest.mark.skipif(sys.platform != "linux", reason="a policy of Linux's")
@pytest.mark.parametrize("allowed", [True, False])
def test_a_child_does_not_interrupt_others_and_starts_also_where_that_is_forbidden(monkeypatch, allowed):
    def forbid(*_given):
        raise PermissionError

    if not allowed:
        monkeypatch.setattr(os, "sched_setscheduler", forbid)
    expected = os.SCHED_BATCH if allowed else os.SCHED_OTHER
    script = f"import os, sys; sys.exit(os.sched_getscheduler(0) != {expected})"
    child = start("child", [sys.executable, "-c", script], os.environ, signal.SIGTERM)
    assert child.process.wait(20) == 0
