"""The kernel is asked about real processes: their family, their signals, their sockets, their memory."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from byoc.runtime import procfs
from byoc.runtime.privacy import Enclosure, Privacy, enclosed, works
from byoc.runtime.process import Command, Process
from byoc.runtime.procfs import (
    accepted,
    family,
    has_listener,
    hears,
    is_busy,
    is_in_container,
    is_pending,
    is_running,
    listens_at,
    memory_bytes,
    network_of,
    parent_of,
    ports_of,
    program_below,
    writes_to,
)
from processes import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

PARENT = """
import os, signal, sys, time
child = os.fork()
if child == 0:
    time.sleep(60)
print(child, flush=True)
time.sleep(60)
"""
# Starts a daemon, which has a child of its own, and goes on as another program.
WITH_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        if os.fork() == 0:
            print("child", flush=True)
        time.sleep(60)
    os._exit(0)
os.wait()
os.execv("/bin/sleep", ["gatekeeper.py", "60"])
"""
WAITS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("blocked", flush=True)
input()
"""


@pytest.fixture(scope="module")
def parent():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as process:
        process.child = int(process.stdout.readline())
        yield process
        os.kill(process.child, signal.SIGKILL)
        process.kill()


def test_a_family_is_a_process_and_all_below_it_parents_first(parent):
    found = family(parent.pid)
    assert [(one.pid, one.parent) for one in found] == [
        (parent.pid, os.getpid()),
        (parent.child, parent.pid),
    ]
    assert found[0].words[:2] == (sys.executable, "-c")


def test_nobody_is_the_family_of_a_process_that_has_ended():
    with subprocess.Popen(["true"]) as ended:
        assert eventually(lambda: not family(ended.pid))


@pytest.mark.parametrize("tool", ["", "root", "bwrap"])
def test_a_daemon_stays_in_its_programs_family_as_in_a_container(tmp_path, tool):
    argv = [sys.executable, "-c", WITH_DAEMON]
    if tool:
        privacy = Privacy(tool, network=True)
        if not works(privacy):
            pytest.skip(f"{tool} cannot make namespaces here")
        argv = enclosed(argv, Enclosure(), privacy)
    command = Command("program", argv, {"PATH": os.environ["PATH"]}, tmp_path, tmp_path / "log", 5.0)
    with Process(command) as process:
        assert eventually(lambda: "child" in command.log.read_text())
        assert eventually(lambda: len(family(program_below(process.pid) or 0)) == 3)
        assert eventually(lambda: family(program_below(process.pid))[0].words == ("gatekeeper.py", "60"))
        main, daemon, child = family(program_below(process.pid))
        assert (daemon.parent, child.parent) == (main.pid, daemon.pid)
        process.kill()


def test_memory_that_is_shared_counts_once(parent):
    alone = memory_bytes([parent.pid])
    both = memory_bytes([parent.pid, parent.child])
    assert 0 < alone < both < 3 * alone
    assert memory_bytes([]) == 0


def test_a_process_hears_of_a_signal_that_it_handles_or_waits_for(parent):
    assert not hears(parent.pid, signal.SIGTERM)
    assert hears(parent.pid, signal.SIGINT)  # Python's KeyboardInterrupt
    words = [sys.executable, "-c", WAITS]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as waits:
        waits.stdout.readline()
        assert hears(waits.pid, signal.SIGTERM)
        waits.kill()


def test_a_signal_is_pending_and_a_process_is_not_busy_while_it_is_stopped():
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as process:
        assert eventually(lambda: is_busy(process.pid))
        process.send_signal(signal.SIGSTOP)
        assert eventually(lambda: not is_busy(process.pid))
        process.send_signal(signal.SIGTERM)
        assert is_pending(process.pid, signal.SIGTERM)
        assert not is_pending(process.pid, signal.SIGHUP)
        process.send_signal(signal.SIGCONT)
        assert process.wait() == -signal.SIGTERM
    assert not is_pending(process.pid, signal.SIGTERM)
    assert not is_busy(process.pid)


@pytest.mark.parametrize(("host", "family_of"), [("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET)])
def test_a_listening_port_is_found_with_its_address(host, family_of):
    with socket.create_server((host, 0), family=family_of) as listener:
        port = listener.getsockname()[1]
        assert listens_at(os.getpid(), port) == {host}
        assert port in ports_of(os.getpid())
        assert has_listener(os.getpid(), port)
        assert not has_listener(os.getppid(), port)


def test_a_port_of_all_addresses_of_both_kinds_is_found():
    if not socket.has_dualstack_ipv6():
        pytest.skip("there is no IPv6 here")
    try:
        listener = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with listener:
        assert listens_at(os.getpid(), listener.getsockname()[1]) == {"::"}


def test_a_connection_counts_from_accept_to_close():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            assert accepted(os.getpid(), port) == 0
            connection, _ = listener.accept()
            assert accepted(os.getpid(), port) == 1
            connection.close()
            assert accepted(os.getpid(), port) == 0


def test_files_that_are_open_for_writing_are_found_and_others_not(tmp_path):
    (tmp_path / "read").write_text("x")
    with (tmp_path / "read").open(), (tmp_path / "written").open("w"):
        found = writes_to(os.getpid())
    assert str(tmp_path / "written") in found
    assert str(tmp_path / "read") not in found


def test_a_container_is_known_by_the_name_of_its_host(monkeypatch):
    environment = {"HOSTNAME": "0123456789ab"}
    with subprocess.Popen(["sleep", "60"], env=environment) as process:
        assert eventually(lambda: is_in_container(process.pid, "0123456789ab" + "c" * 52))
        assert not is_in_container(process.pid, "f" * 64)
        process.kill()
    assert not is_in_container(process.pid, "0123456789ab" + "c" * 52)


def test_a_process_has_a_parent_and_a_network_while_it_runs(parent):
    assert parent_of(parent.child) == parent.pid
    assert network_of(parent.child) == network_of(os.getpid()) is not None
    assert is_running(parent.child)
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
    assert (parent_of(ended.pid), network_of(ended.pid), is_running(ended.pid)) == (None, None, False)


def test_where_there_is_no_proc_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(procfs, "_PROC", tmp_path / "proc")
    assert family(os.getpid()) == []
    assert listens_at(os.getpid(), 80) == ports_of(os.getpid()) == set()
    assert memory_bytes([os.getpid()]) == 0
