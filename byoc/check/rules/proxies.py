"""Rules on what stands in front of a model: the limits of nginx and of gunicorn, as they are configured."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from byoc.check import sources
from byoc.check.lab import Lab
from byoc.check.nginx import limits_of
from byoc.check.rule import Part, Rule
from byoc.check.verdict import CannotTestError, Verdict, passed, untested, warned
from byoc.runtime.procfs import Running

_BODY_BYTES = 25 * 2**20
_CALL_S = 60.0
_GUNICORN_S = 30.0
_CONFIGURATION = re.compile(r".*\.conf(\.\w+)?|.*nginx[^/]*")
_TIMEOUT = re.compile(r"^timeout\s*=\s*(\d+)\s*(#.*)?$", re.MULTILINE)
_SETS_TIMEOUT = re.compile(r"^\s*timeout\s*=", re.MULTILINE)
_SETS_WORKERS = re.compile(r"^\s*(worker_class|threads)\s*=", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """Something that stands in front: what it allows, and whether that is enough, None where unknown."""

    seen: str
    is_enough: bool | None


def proxy_limits(lab: Lab) -> Verdict:
    """What nginx and gunicorn allow a call, as they run; as their files say where that cannot be seen."""
    try:
        running = lab.server().processes()
    except CannotTestError:
        found, by = [*_in_files(lab), *_started_with(lab)], "By its files alone, as it was not seen running: "
        if not found:  # which does not say that there is none
            raise
    else:
        found, by = [*_of_running_nginx(running), *_of_running_gunicorn(running)], ""
    return _judged(found, by)


def _judged(found: Sequence[Finding], by: str) -> Verdict:
    """Say whether all that stands in front allows enough.

    Args:
        by: what that is told by, to begin a sentence with; "" for what runs.
    """
    bad = [one.seen for one in found if one.is_enough is False]
    unknown = [one.seen for one in found if one.is_enough is None]
    if bad:
        return warned(f"{by}{'; '.join(bad)}.")
    if unknown:
        return untested(f"{by}{'; '.join(unknown)}. It cannot be read off: call-of-59-s tries it (--all).")
    return passed(
        f"{by}{'; '.join(one.seen for one in found) or 'No nginx and no gunicorn stands in front'}."
    )


def of_nginx(name: str, text: str) -> Iterator[Finding]:
    """Yield what an nginx configuration allows a call to /invocations; nothing where it passes none on."""
    limits = limits_of(text)
    if limits is None:
        return
    for directive, value, is_given, amount, least in (
        ("client_max_body_size", limits.body, limits.is_body_given, limits.body_bytes, _BODY_BYTES),
        (limits.timeout_name, limits.timeout, limits.is_timeout_given, limits.timeout_s, _CALL_S + 1),
    ):
        own = f"{name} has {directive} {value}"
        seen = own if is_given else f"{name} has no {directive}, which is {value} then"
        yield Finding(seen, None if amount is None else amount >= least)


def of_gunicorn(words: Sequence[str], configuration: str | None) -> Finding | None:
    """Return what gunicorn allows a call, by its command line and its configuration; None where all of it.

    Args:
        configuration: "" where it has none, None where it cannot be read.
    """
    worker_class = _option(words, "-k", "--worker-class") or "sync"
    threads = _option(words, None, "--threads") or "1"
    if worker_class != "sync" or threads != "1":
        return None  # its timeout is for workers that stand still, and calls do not make these
    timeout = _option(words, "-t", "--timeout")
    if timeout is None and configuration is not None:
        if _SETS_WORKERS.search(configuration):
            return None
        given = _TIMEOUT.search(configuration)
        unset = "" if _SETS_TIMEOUT.search(configuration) else f"{_GUNICORN_S:.0f}"
        timeout = given[1] if given else unset
        if timeout == unset and unset:
            return Finding(f"gunicorn is given no --timeout, which is {unset} s then", is_enough=False)
    if not timeout or not timeout.isdigit():
        return Finding("gunicorn's timeout is computed", None)
    return Finding(f"gunicorn's timeout is {timeout} s", timeout == "0" or int(timeout) >= _CALL_S)


def _option(words: Sequence[str], short: str | None, long: str) -> str | None:
    """Return an option's value on a command line, the last one."""
    value = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in (short, long):
            value = following
        elif word.startswith(f"{long}="):
            value = word.partition("=")[2]
        elif short and word.startswith(short) and not word.startswith("--"):
            value = word.removeprefix(short)
    return value


def _of_running_nginx(running: list[Running]) -> Iterator[Finding]:
    """Yield what the masters of nginx were started with; they put that into one word."""
    pids = {one.pid for one in running if one.name == "nginx"}
    for one in running:
        if one.name == "nginx" and one.parent not in pids:
            words = " ".join(one.words).split()
            path = _option(words, "-c", "--c") or "/etc/nginx/nginx.conf"
            text = _seen_by(one, path)
            if text is None:
                yield Finding(f"nginx runs, and its configuration {path} cannot be read", None)
            else:
                yield from of_nginx(path, text)


def _of_running_gunicorn(running: list[Running]) -> Iterator[Finding]:
    pids = {one.pid for one in running if _is_gunicorn(one)}
    for one in running:
        if _is_gunicorn(one) and one.parent not in pids:
            path = _option(one.words, "-c", "--config")
            text = _seen_by(one, path or "gunicorn.conf.py")
            found = of_gunicorn(one.words, "" if text is None and path is None else text)
            if found is not None:
                yield found


def _is_gunicorn(one: Running) -> bool:
    return any(word.rpartition("/")[2] == "gunicorn" for word in one.words[:4])


def _seen_by(one: Running, path: str) -> str | None:
    """Return a file that a process names."""
    folder = Path(f"/proc/{one.pid}")
    with suppress(OSError):
        base = folder / "root" if path.startswith("/") else folder / "cwd"
        return (base / path.lstrip("/")).read_text(errors="replace")
    return None


def _in_files(lab: Lab) -> Iterator[Finding]:
    for entry in lab.files.entries.values():
        if entry.is_file and _CONFIGURATION.fullmatch(entry.path) and b"_pass" in entry.content:
            yield from of_nginx(entry.path, entry.content.decode(errors="replace"))


def _started_with(lab: Lab) -> Iterator[Finding]:
    """Yield what an image that itself starts gunicorn does."""
    for command in (lab.facts.entrypoint, lab.facts.command):
        words = command.split() if isinstance(command, str) else command or ()
        if any(word.rpartition("/")[2] == "gunicorn" for word in words[:4]):
            is_configured = _option(words, "-c", "--config") is not None
            found = of_gunicorn(words, None if is_configured else "")
            if found is not None:
                yield found


RULES = (
    Rule(
        id="proxy-limits",
        part=Part.SERVE,
        says="has no proxy or worker timeout below SageMaker's own limits of 25 MB and 60 s",
        why="nginx refuses bodies over 1 MB and ends calls after 60 s, gunicorn kills workers after 30 s, "
        "unless they are told otherwise; AWS's own sample has 5 MB.",
        so="calls with large bodies, or that take long, fail before the model has answered",
        mend="client_max_body_size 100m; proxy_read_timeout 90s; and for gunicorn --timeout 65.",
        source=sources.HOSTING_FAQ,
        test=proxy_limits,
    ),
)
