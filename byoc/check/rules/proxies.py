"""Rules on what stands in front of a model: the limits of nginx and of gunicorn, as they are configured."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path

from byoc.check import sources
from byoc.check.files import Files
from byoc.check.lab import Lab
from byoc.check.nginx import limits_of, with_included
from byoc.check.rule import Part, Rule
from byoc.check.verdict import CannotTestError, Verdict, passed, untested, warned
from byoc.runtime.procfs import Running

_BODY_BYTES = 25 * 2**20
_CALL_S = 60.0
_GUNICORN_S = 30.0
_ARGUMENTS = "GUNICORN_CMD_ARGS"
_TITLE = re.compile(r"gunicorn: (?:master|worker)\b.*")  # over its command line, where it has setproctitle
_HTTP = re.compile(r"\bhttp\s*\{")
_PATTERN = re.compile(r"[*?\[]")
_MOST_LINKS = 20
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
        f"{by}{'; '.join(one.seen for one in found) or 'No limit of nginx or gunicorn stands in front'}."
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
                continue
            whole = with_included(text, partial(_running_include, one, posixpath.dirname(path)))
            if found := list(of_nginx(path, whole)):
                yield from found
            else:
                yield Finding(f"nginx runs, and {path} is not seen to pass /invocations on", None)


def _of_running_gunicorn(running: list[Running]) -> Iterator[Finding]:
    pids = {one.pid for one in running if _is_gunicorn(one)}
    for one in running:
        if _is_gunicorn(one) and one.parent not in pids:
            environment = _environment(one)
            if environment is None or _is_title(one.words):
                yield Finding(
                    "gunicorn runs, and its command line or its environment is not to be seen", None
                )
                continue
            words = with_arguments(one.words, environment)
            path = _option(words, "-c", "--config")
            text = _seen_by(one, path or "gunicorn.conf.py")
            found = of_gunicorn(words, "" if text is None and path is None else text)
            if found is not None:
                yield found


def with_arguments(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return gunicorn's command line with what GUNICORN_CMD_ARGS has before it: the last counts."""
    with suppress(ValueError):  # a quote without an end
        return [*shlex.split(environment.get(_ARGUMENTS, "")), *words]
    return list(words)


def _environment(one: Running) -> dict[str, str] | None:
    """Return what a process was started with, None where that is not to be seen."""
    try:
        text = Path(f"/proc/{one.pid}/environ").read_text(errors="replace")
    except OSError:
        return None
    return dict(word.split("=", 1) for word in text.split("\0") if "=" in word)


def _is_title(words: Sequence[str]) -> bool:
    return _TITLE.match(" ".join(words)) is not None


def _is_gunicorn(one: Running) -> bool:
    return _is_title(one.words) or any(word.rpartition("/")[2] == "gunicorn" for word in one.words[:4])


def _seen_by(one: Running, path: str) -> str | None:
    """Return a file that a process names."""
    folder = Path(f"/proc/{one.pid}")
    with suppress(OSError):
        base = folder / "root" if path.startswith("/") else folder / "cwd"
        return _unlinked(folder / "root", base / path.lstrip("/")).read_text(errors="replace")
    return None


def _unlinked(root: Path, path: Path) -> Path:
    """Follow links as who has that root does: for us theirs would lead into our own files."""
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            break
        link = str(path.readlink())
        path = root / link.lstrip("/") if link.startswith("/") else path.parent / link
    return path


def _running_include(one: Running, folder: str, path: str) -> tuple[list[str], bool]:
    """Return the files that an nginx includes; a path is one from its configuration's folder."""
    path = posixpath.join(folder, path)
    root = Path(f"/proc/{one.pid}/root")
    paths = [path]
    if _PATTERN.search(path):
        with suppress(OSError):
            paths = sorted(f"/{file.relative_to(root)}" for file in root.glob(path.lstrip("/")))
    texts = [_seen_by(one, path) for path in paths]
    return [text for text in texts if text is not None], None not in texts


def _in_files(lab: Lab) -> Iterator[Finding]:
    files = lab.files
    texts = {
        entry.path: entry.content.decode(errors="replace")
        for entry in files.entries.values()
        if entry.is_file and _CONFIGURATION.fullmatch(entry.path)
    }
    included: set[str] = set()
    for path in sorted(
        texts, key=lambda path: _HTTP.search(texts[path]) is None
    ):  # what includes others first
        if path not in included:
            read = partial(_include_of, files, included, posixpath.dirname(path))
            yield from of_nginx(path, with_included(texts[path], read))


def _include_of(files: Files, seen: set[str], folder: str, path: str) -> tuple[list[str], bool]:
    """Return the files of an image that an nginx would include, and add their paths to those seen."""
    path = posixpath.normpath(posixpath.join(folder, path))
    is_pattern = _PATTERN.search(path) is not None
    paths = [path]
    if is_pattern:
        depth = path.count("/")
        paths = sorted(one for one in files.entries if one.count("/") == depth and fnmatchcase(one, path))
    found = [entry for one in paths if (entry := files.find(one)) is not None and entry.is_file]
    seen.update(*(paths, (entry.path for entry in found)))
    are_all = len(found) == len(paths) and (files.is_whole or not is_pattern)
    return [entry.content.decode(errors="replace") for entry in found], are_all


def _started_with(lab: Lab) -> Iterator[Finding]:
    """Yield what an image that itself starts gunicorn does."""
    for command in (lab.facts.entrypoint, lab.facts.command):
        words = command.split() if isinstance(command, str) else command or ()
        if any(word.rpartition("/")[2] == "gunicorn" for word in words[:4]):
            words = with_arguments(words, {**lab.facts.environment, **lab.question.environment})
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
