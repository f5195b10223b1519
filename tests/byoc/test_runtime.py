"""A program's whole process tree ends with it, and with us, however either ends."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from byoc.errors import ProgramError
from byoc.runtime.process import Command, Process
from byoc.runtime.program import Place, run
from processes import alive, eventually

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_CHILD_SUBREAPER")

SLEEPS = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"
IGNORES_SIGTERM = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPS
LEAVES_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
"""
LEAVES_A_DAEMON = """
import os, sys, time
ours, theirs = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(theirs, b"%d" % os.getpid())
        for number in range(1, 32):
            if number not in (9, 17, 19):
                __import__("signal").signal(number, __import__("signal").SIG_IGN)
        time.sleep(60)
    os._exit(0)
os.wait()
print("child", os.read(ours, 20).decode(), flush=True)
"""


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Process]:
    started = []

    def launch(source: str, grace_s: float = 5.0) -> Process:
        script = tmp_path / "program.py"
        script.write_text(textwrap.dedent(source))
        argv = [sys.executable, str(script)]
        process = run(argv, Place(tmp_path / "place"), {"GIVEN": "yes"}, tmp_path, grace_s)
        started.append(process)
        return process

    yield launch
    for process in started:
        process.kill()


def said(process: Process, pattern: str) -> re.Match[str]:
    def look() -> re.Match[str] | None:
        return re.search(pattern, "\n".join(process.last_lines()))

    assert eventually(look), process.last_lines()
    return look()


@pytest.mark.parametrize("status", [0, 1, 3, 127, 143])
def test_the_exit_status_is_the_programs(launch, status):
    assert launch(f"raise SystemExit({status})").wait(10) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGABRT, signal.SIGHUP])
def test_a_death_by_signal_is_told_as_such(launch, number):
    assert launch(f"import os\nos.kill(os.getpid(), {int(number)})").wait(10) == -number


def test_a_program_that_does_not_exist_ends_127_and_says_so(tmp_path):
    with run(["/no/such/program"], Place(tmp_path / "place"), {}, tmp_path) as process:
        assert process.wait(5) == 127
        assert process.last_lines() == ["/no/such/program cannot be started: No such file or directory"]


def test_a_file_that_is_no_program_ends_126(tmp_path):
    (tmp_path / "text").write_text("not a program")
    with run([str(tmp_path / "text")], Place(tmp_path / "place"), {}, tmp_path) as process:
        assert process.wait(5) == 126


def test_a_working_directory_that_is_missing_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ProgramError, match="nowhere"):
        run(["true"], Place(tmp_path / "place"), {}, tmp_path / "nowhere")


def test_a_stopped_program_gets_sigterm_and_may_finish(launch):
    source = """
        import signal, sys, time
        def finish(*_):
            time.sleep(0.3)
            print("finishing")
            sys.exit(7)
        signal.signal(signal.SIGTERM, finish)
        print("up", flush=True)
        time.sleep(60)
    """
    process = launch(source)
    said(process, "up")
    assert process.stop() == 7
    assert process.last_lines()[-1] == "finishing"


@pytest.mark.parametrize("delay_ms", range(0, 90, 10))
def test_a_stop_soon_after_the_start_is_not_lost(tmp_path, delay_ms):
    process = Process(Command("p", ["sleep", "30"], dict(os.environ), tmp_path, tmp_path / "log", 5.0))
    time.sleep(delay_ms / 1000)
    began = time.monotonic()
    assert process.stop() == -signal.SIGTERM
    assert time.monotonic() - began < 2


def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(launch):
    process = launch(IGNORES_SIGTERM, grace_s=0.5)
    said(process, "up")
    began = time.monotonic()
    assert process.stop() == -signal.SIGKILL
    assert 0.4 < time.monotonic() - began < 3


def test_a_program_is_not_waited_for_long_when_its_block_has_failed(launch):
    began = time.monotonic()
    process = launch(IGNORES_SIGTERM, grace_s=60)
    said(process, "up")
    with pytest.raises(ZeroDivisionError), process:
        raise ZeroDivisionError
    assert process.poll() == -signal.SIGKILL
    assert time.monotonic() - began < 10


def test_kill_does_not_wait_for_the_grace(launch):
    process = launch(IGNORES_SIGTERM, grace_s=60)
    said(process, "up")
    assert process.kill() == -signal.SIGKILL


def test_stopping_what_has_ended_is_harmless(launch):
    process = launch("raise SystemExit(4)")
    assert [process.wait(10), process.stop(), process.stop(), process.kill(), process.poll()] == [4] * 5


def test_waiting_too_long_is_an_error(launch):
    with pytest.raises(ProgramError, match=r"place still runs after 0.1 s"):
        launch(SLEEPS).wait(0.1)


@pytest.mark.parametrize("program", [LEAVES_A_CHILD, pytest.param(LEAVES_A_DAEMON, marks=linux_only)])
def test_what_a_program_leaves_behind_ends_with_it(launch, program):
    process = launch(program)
    assert process.wait(10) == 0
    assert not alive(int(said(process, r"child (\d+)")[1]))


@pytest.mark.parametrize("program", [LEAVES_A_CHILD, pytest.param(LEAVES_A_DAEMON, marks=linux_only)])
def test_the_whole_tree_ends_on_stop(launch, program):
    process = launch(program + SLEEPS)
    child = int(said(process, r"child (\d+)\nup")[1])
    assert alive(child)
    process.stop()
    assert not alive(child)


@linux_only
def test_kill_9_of_the_keepers_parent_leaves_nobody(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(LEAVES_A_DAEMON + "print('own', os.getpid(), flush=True)\n" + IGNORES_SIGTERM)
    parent = f"""
import sys, time
from pathlib import Path
from byoc.runtime.process import Command, Process
here = Path({str(tmp_path)!r})
Process(command := Command("p", [sys.executable, {str(script)!r}], {{}}, here, here / "log", 60.0, 0.3))
time.sleep(60)
"""
    repo = Path(__file__).parents[2]
    with subprocess.Popen([sys.executable, "-c", parent], cwd=repo) as killed:
        log = tmp_path / "log"
        assert eventually(lambda: log.exists() and log.read_text().endswith("up\n"))
        pids = [int(pid) for pid in re.findall(r"(?:child|own) (\d+)", log.read_text())]
        assert len(pids) == 2
        assert all(map(alive, pids))
        killed.kill()
    assert eventually(lambda: not any(map(alive, pids)))


@linux_only
def test_kill_9_of_the_keeper_ends_the_program(launch):
    process = launch("import os\nprint('own', os.getpid(), flush=True)\n" + IGNORES_SIGTERM)
    program = int(said(process, r"own (\d+)\nup")[1])
    os.kill(process.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(program))


def test_the_log_has_both_streams_in_order_and_is_followed_while_written(launch):
    process = launch("""
        import sys, time
        print("one")
        print("two", file=sys.stderr)
        time.sleep(0.3)
        print("three")
        sys.stdout.write("no newline")
    """)
    lines = process.follow()
    assert [next(lines), next(lines)] == ["one", "two"]
    assert process.poll() is None
    assert list(lines) == ["three", "no newline"]
    assert process.last_lines(2) == ["three", "no newline"]


def test_a_second_run_in_the_same_place_adds_to_the_log_and_reads_its_own_lines(launch):
    launch("print('first')").wait(10)
    process = launch("print('second')")
    assert list(process.follow()) == ["second"]
    assert process.command.log.read_text() == "first\nsecond\n"


def test_a_program_gets_an_environment_from_scratch(launch, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the laptop's own")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    process = launch("import os\nprint(*sorted(os.environ))\nprint(os.environ['HOME'], os.environ['TMPDIR'])")
    names, folders = list(process.follow())
    own = set(names.split()) - {"__CF_USER_TEXT_ENCODING", "LC_CTYPE"}  # macOS and Python add these
    assert own == {"GIVEN", "HOME", "LANG", "PATH", "PYTHONUNBUFFERED", "TMPDIR"}
    assert folders == f"{tmp_path}/place/home {tmp_path}/place/tmp"
    assert all(Path(folder).is_dir() for folder in folders.split())


def test_a_program_starts_with_the_signals_of_a_fresh_shell(launch):
    asks = (
        "import signal\nprint(signal.getsignal(signal.SIGHUP), signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        process = launch(asks)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert list(process.follow()) == ["0 set()"]


def test_a_program_runs_in_a_session_of_its_own_and_reads_nothing(launch):
    process = launch("import os, sys\nprint(os.getsid(0) == os.getpid(), repr(sys.stdin.read()))")
    assert list(process.follow()) == ["True ''"]


def test_what_belongs_to_a_program_is_closed_when_it_is_seen_to_have_ended(tmp_path):
    closed = []
    belongings = ExitStack()
    belongings.callback(closed.append, "once")
    command = Command("p", ["sleep", "60"], dict(os.environ), tmp_path, tmp_path / "log", 1.0)
    process = Process(command, belongings)
    assert process.poll() is None
    assert closed == []
    process.kill()
    process.poll()
    assert closed == ["once"]


def test_two_programs_that_share_a_folder_do_not_see_each_other_end(tmp_path):
    def command(name: str) -> Command:
        return Command(name, ["sleep", "60"], dict(os.environ), tmp_path, tmp_path / f"{name}.log", 1.0)

    with Process(command("a")) as a, Process(command("b")) as b:
        a.stop()
        assert b.poll() is None


def test_a_line_without_end_comes_in_pieces(launch: Callable[..., Process]) -> None:
    process = launch("print('x' * 600_000)")
    assert [len(line) for line in process.follow()] == [262_144, 262_144, 75_712]
