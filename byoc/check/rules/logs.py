"""Rules on what a container writes to its log, and where that is."""

import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from byoc.check import sources
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.flight import wait_until
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.runtime.procfs import writes_to

_MARKED = "CHECK_SECRET_ACCESS_KEY"
_SECRET = re.compile(
    r"SECRET|PASSWORD|PASSWD|TOKEN|CREDENTIAL|PRIVATE_KEY|API_?KEY|ACCESS_KEY(?!_ID)", re.IGNORECASE
)
_SHORTEST = 8  # anything shorter may be in a log by chance
_LOG = re.compile(r"/var/log/.*|.*\.(log|out|err)")
_WRITTEN_S = 1.0
_SHOWN = 80
_WRONG: tuple[tuple[str, str, bytes, Mapping[str, str]], ...] = (
    ("POST", "/invocations", b"\x00\xff{", {"Content-Type": "application/x-none"}),
    ("POST", "/invocations", b"\x00\xff{", {"Content-Type": "application/json"}),
    ("GET", "/nothing", b"", {}),
)


def logs_on_stdout(lab: Lab) -> Verdict:
    """Where what it has to say of calls, good and wrong ones, is to be read."""
    server = lab.server()
    sizes, before = _files(server), len(server.log())
    _call(lab, server)
    says = wait_until(lambda: bool(server.log()[before:].strip()), _WRITTEN_S)
    files = _files(server)
    grown = sorted(path for path, size in files.items() if size > sizes.get(path, 0))
    lines = [line.strip() for line in server.log().splitlines() if line.strip()]
    if not lines and files:
        return failed(f"It wrote nothing to stdout and stderr, but to {', '.join(sorted(files))}.")
    if not lines:
        return warned("It wrote nothing to stdout and stderr, neither as it started nor as it was called.")
    seen = f"It wrote {counted(len(lines), 'line')}, ending with: {lines[-1][:_SHOWN]}"
    if not says and grown:
        return failed(f"Of calls it wrote nothing to stdout and stderr, but to {', '.join(grown)}. {seen}")
    if grown:
        return warned(f"Of calls it wrote also to {', '.join(grown)}. {seen}")
    return passed(seen if says else f"Of calls it wrote nothing that is seen here. {seen}")


def logs_no_secrets(lab: Lab) -> Verdict:
    """Whether a variable's value is in the log, or in an answer, after calls that cannot be answered."""
    lab.server().running  # noqa: B018 - raises where it is somebody else's
    marker = secrets.token_hex(16)
    hidden = {**_secrets(lab.question.environment), _MARKED: marker}
    with lab.serving(ServeSetup(environment={_MARKED: marker})) as server:
        answers = [answer for wrong in _WRONG if (answer := _ask(server, *wrong)) is not None]
        server.stop()
        log = server.log()
    for name, value in hidden.items():
        if value in log:
            return failed(f"The value of the variable {name} is in its log: {_line(log, value)}")
        if any(value.encode() in answer.body for answer in answers):
            return failed(f"The value of the variable {name} is in an answer to a wrong call.")
    return passed(
        f"After {counted(len(answers), 'wrong call')}, neither its log nor an answer has a value of "
        f"{', '.join(hidden)}."
    )


def _secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return those of the user's variables that are secret by their name."""
    return {
        name: value for name, value in environment.items() if _SECRET.search(name) and len(value) >= _SHORTEST
    }


def _call(lab: Lab, server: Server) -> None:
    if lab.question.sample is not None:
        sample = lab.question.sample
        _ask(server, "POST", "/invocations", sample.body, sample.headers)
    for wrong in _WRONG:
        _ask(server, *wrong)


def _ask(server: Server, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer | None:
    try:
        return server.ask(method, path, body, headers)
    except BrokenCallError:
        return None


def _files(server: Server) -> dict[str, int]:
    """Return the log files that its processes have open, and their bytes, as far as that can be seen."""
    try:
        opened = {path: one.pid for one in server.processes() for path in writes_to(one.pid)}
    except CannotTestError:
        return {}
    own = str(server.running.process.command.log)
    return {path: _size(pid, path) for path, pid in opened.items() if _LOG.fullmatch(path) and path != own}


def _size(pid: int, path: str) -> int:
    """Return the bytes of a file as a process sees it; 0 where it has gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/root{path}").stat().st_size
    return 0


def _line(log: str, value: str) -> str:
    """Return the line of a log with a secret, without it."""
    line = next(line for line in log.splitlines() if value in line)
    return line.replace(value, "***").strip()[:120]


RULES = (
    Rule(
        id="logs-on-stdout",
        part=Part.SERVE,
        says="writes its log to stdout or stderr",
        why="That is what CloudWatch has of it, under /aws/sagemaker/Endpoints/. Files in it are lost.",
        so="CloudWatch has no log of the endpoint",
        mend="Log to stdout; link what a program insists on: ln -s /dev/stdout /var/log/nginx/access.log.",
        source=sources.LOGS,
        test=logs_on_stdout,
    ),
    Rule(
        id="logs-no-secrets",
        part=Part.SERVE,
        says="writes no secret of its environment to its log",
        why="Whoever may read the log group has the secret too, for as long as logs are kept.",
        so="its secrets can be read in CloudWatch",
        mend="Do not log os.environ; turn off debug pages, which show variables.",
        source=sources.LOGS,
        test=logs_no_secrets,
    ),
)
