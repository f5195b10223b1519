"""Rules on the programs that `train` and `serve` start: found, executable, and fit for the kernel to run."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from byoc.check import sources
from byoc.check.facts import Facts
from byoc.check.files import Entry
from byoc.check.lab import Lab
from byoc.check.launched import Launched, launched, script_path
from byoc.check.rule import Part, Rule
from byoc.check.unbuildable import BUILDS, obstacle
from byoc.check.verdict import CannotTestError, Outcome, Verdict, failed, passed, untested, warned
from byoc.runtime.words import SHELLS, shell_text

_VERBS = ("serve", "train")
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # of UTF-8 and UTF-16, as some editors put them first
# Where no file of the base image is known: what every one of the common ones has.
_SYSTEM_PROGRAMS = re.compile(r"((/usr)?/bin/)?(sh|bash|env)|python[0-9.]*")
_MACHINES = {62: "amd64", 183: "arm64"}  # e_machine of ELF
_LOADER = re.compile(rb"/[\w./-]*ld-[\w.-]+\.so[\w.]*(?=\0)")
_BUILD_IT = "Build the image and check that: byoc check IMAGE."


def program_found(lab: Lab) -> Verdict:
    """Whether there is what `train` or `serve` starts."""
    facts = lab.facts
    started = {verb: _launched(lab, verb) for verb in _VERBS}
    if started["serve"].word != "serve":
        return _entrypoint_found(lab, started["serve"])
    there = {verb: program.file.path for verb, program in started.items() if program.file}
    match sorted(there):
        case []:
            return _missing(lab)
        case ["serve", "train"]:
            return passed(f"serve is {there['serve']}, train is {there['train']}.")
        case ["serve"]:
            return passed(f"serve is {there['serve']}. There is no train: it serves, and cannot train.")
    elsewhere = _elsewhere(lab, "serve")
    if elsewhere and not _is_moved(facts, "serve"):
        return failed(f"{elsewhere} is not on PATH, which is {facts.path}.")
    return passed(f"train is {there['train']}. There is no serve: it trains, and cannot serve.")


def program_executable(lab: Lab) -> Verdict:
    """Whether the programs have the mode that running them takes."""
    seen = []
    for file in _started_files(lab):
        if not file.is_executable:
            said = f"{file.path} has mode {file.mode & 0o7777:03o}"
            if not lab.files.is_whole and not lab.facts.history:
                return untested(f"{said}: a Dockerfile would have to change it. There is none.")
            if not lab.files.is_whole and any("chmod" in line for line in lab.facts.history):
                return untested(f"{said}, and the Dockerfile runs chmod. {_BUILD_IT}")
            return failed(f"{said}: permission denied.", f"chmod +x {PurePosixPath(file.path).name}")
        seen.append(f"{file.path} has mode {file.mode & 0o7777:03o}")
    return passed(f"{', '.join(seen)}.")


def program_line_ends(lab: Lab) -> Verdict:
    """Whether the first line of a script says to the kernel what its author sees."""
    files = list(_started_files(lab, with_shell_scripts=True))
    for file in files:
        mark = next((mark for mark in _MARKS if file.content.startswith(mark)), None)
        if mark:
            return failed(
                f"{file.path} begins with the bytes {mark.hex(' ')}, a byte order mark, and not with #!.",
                "Save it as UTF-8 without a byte order mark.",
            )
        first, line_end, _ = file.content.partition(b"\n")
        if line_end and not _is_elf(file) and first.endswith(b"\r"):
            return failed(f"The first line of {file.path} is {first[:80].decode(errors='replace')!r}.")
    return passed(f"{', '.join(file.path for file in files)}: no carriage return, no byte order mark.")


def program_interpreter(lab: Lab) -> Verdict:
    """Whether there is what runs the programs."""
    verdicts = [_runnable(lab, program, file) for program, file in _started(lab)]
    for outcome in (Outcome.FAIL, Outcome.WARN, Outcome.UNTESTED):
        for verdict in verdicts:
            if verdict.outcome is outcome:
                return verdict
    return passed(" ".join(dict.fromkeys(verdict.seen for verdict in verdicts)))


def _launched(lab: Lab, verb: str) -> Launched:
    if shell_text(lab.facts.entrypoint) is not None:
        raise CannotTestError("ENTRYPOINT starts a shell: see entrypoint-exec-form.")
    return launched(lab.facts, lab.files, verb)


def _started(lab: Lab) -> Iterator[tuple[Launched, Entry]]:
    """Yield each program that is started, once, with its file.

    Raises:
        CannotTestError: none is known.
    """
    seen: dict[str, tuple[Launched, Entry]] = {}
    for verb in _VERBS:
        program = _launched(lab, verb)
        if program.file is not None and program.file.is_file:
            seen.setdefault(program.file.path, (program, program.file))
    if not seen:
        build_it = "" if lab.files.is_whole else f" {_BUILD_IT}"
        raise CannotTestError(f"No file is known that train or serve starts: see program-found.{build_it}")
    yield from seen.values()


def _started_files(lab: Lab, with_shell_scripts: bool = False) -> Iterator[Entry]:
    """Yield the files that are started; where asked, the script for a file that is a shell."""
    for program, file in _started(lab):
        yield file
        script = lab.files.find(script_path(lab.facts, program.script)) if program.script else None
        if with_shell_scripts and script is not None and PurePosixPath(program.word).name in SHELLS:
            yield script


def _entrypoint_found(lab: Lab, program: Launched) -> Verdict:
    """Judge an ENTRYPOINT that is a program by itself."""
    gets = "train and serve are its argument."
    if program.file is None:
        if not lab.files.is_whole and _SYSTEM_PROGRAMS.fullmatch(program.word):
            return _script_found(lab, program) or passed(
                f"ENTRYPOINT runs {program.word}, the base image's; {gets}"
            )
        return _absent(lab, program.word)
    return _script_found(lab, program) or passed(f"ENTRYPOINT runs {program.file.path}; {gets}")


def _script_found(lab: Lab, program: Launched) -> Verdict | None:
    """Judge a script that an interpreter is told to read, unless it is there."""
    if not program.script:
        return None
    path = script_path(lab.facts, program.script)
    return None if lab.files.find(path) else _absent(lab, path)


def _absent(lab: Lab, word: str) -> Verdict:
    """Judge a file of ENTRYPOINT that is not known."""
    told = f"ENTRYPOINT runs {word}, and there is no such file"
    if lab.files.is_whole:
        return failed(f"{told}." if "/" in word else f"{told} on PATH, which is {lab.facts.path}.")
    own_folder = "/" in word and lab.files.find(posixpath.dirname(word)) is not None
    if own_folder and not _is_moved(lab.facts, PurePosixPath(word).name):
        return failed(f"{told} in what the Dockerfile copies.")
    return untested(f"{told} in the folder; the base image may have it. {_BUILD_IT}")


def _missing(lab: Lab) -> Verdict:
    """Judge an image without ENTRYPOINT and with neither `train` nor `serve` on PATH."""
    facts = lab.facts
    if not lab.files.is_whole and lab.once(obstacle):
        raise CannotTestError(f"The Dockerfile cannot be built: see {BUILDS}.", BUILDS)
    if not lab.files.is_whole and not facts.history:
        return failed(
            "The folder has neither train nor serve, and no Dockerfile that says what runs instead.",
            "Put train and serve into it, or the Dockerfile of the image; or name the folder that has them.",
        )
    elsewhere = _elsewhere(lab, "serve") or _elsewhere(lab, "train")
    if lab.files.is_whole or (elsewhere and facts.is_all and not _is_moved(facts, "serve")):
        if not elsewhere and facts.command:
            raise CannotTestError("There is neither ENTRYPOINT nor serve: see entrypoint-exec-form.")
        where = f"{elsewhere} is not" if elsewhere else "Neither train nor serve is"
        return failed(f"{where} on PATH, which is {facts.path}, and there is no ENTRYPOINT.")
    raise CannotTestError(
        f"Neither train nor serve is known to be on PATH; the base image or a RUN may bring it. {_BUILD_IT}"
    )


def _elsewhere(lab: Lab, name: str) -> str:
    """Return where a file of that name lies though it is not on PATH, or ""."""
    found = (
        path
        for path, entry in sorted(lab.files.entries.items())
        if entry.is_file
        and PurePosixPath(path).name == name
        and (entry.content[:2] == b"#!" or _is_elf(entry))
    )
    return next(found, "")


def _is_moved(facts: Facts, name: str) -> bool:
    """Whether a Dockerfile does something that may bring a file somewhere else."""
    runs = re.compile(
        rf"RUN\b.*\b(ln|cp|mv|install|tee|curl|wget)\b.*\b{re.escape(name)}\b|COPY\b.*--from=", re.DOTALL
    )
    return any(runs.match(line) for line in facts.history)


def _runnable(lab: Lab, program: Launched, file: Entry) -> Verdict:
    """Judge one program by its first bytes."""
    content = file.content
    for mark in _MARKS:
        content = content.removeprefix(mark)  # program-line-ends tells of it
    if not content:
        return (
            failed(f"{file.path} is empty: exec format error.")
            if not file.size
            else untested(f"The begin of {file.path} cannot be read.")
        )
    if _is_elf(file):
        return _elf(lab, file)
    if not content.startswith(b"#!"):
        if program.hands_on:
            return warned(f"{file.path} does not begin with #!: {program.hands_on} has sh run it.")
        return failed(f"{file.path} does not begin with #!: exec format error.")
    return _script(lab, file.path, content.splitlines()[0][2:].decode(errors="replace").strip())


def _script(lab: Lab, path: str, line: str) -> Verdict:
    """Judge the interpreter in the first line of a script."""
    interpreter, _, argument = line.partition(" ")
    words = argument.split()
    if PurePosixPath(interpreter).name == "env" and words:
        if words[0] in ("-S", "--split-string"):
            words = words[1:]
        elif words[0].startswith("-S"):
            words[0] = words[0][2:]
        elif len(words) > 1:
            return failed(
                f"{path} begins with #!{line}: env looks for a program called {argument.strip()!r}.",
                "Give env the option -S, or have no argument behind the program's name.",
            )
        words = [word for word in words if "=" not in word]
        program = words[0] if words else interpreter
    else:
        program = interpreter
    return _interpreter(lab, path, program)


def _interpreter(lab: Lab, path: str, program: str) -> Verdict:
    found = lab.files.which(program, lab.facts.path, "/")
    if found is not None:
        return passed(f"{path} is run by {found.path}.")
    if lab.files.is_whole:
        return failed(f"{path} is to be run by {program}, which is not in the image.")
    if _SYSTEM_PROGRAMS.fullmatch(program):
        return passed(f"{path} is run by the base image's {program}.")
    return untested(f"{path} is to be run by {program}, which the base image may have. {_BUILD_IT}")


def _is_elf(file: Entry) -> bool:
    return file.content.startswith(b"\x7fELF")


def _elf(lab: Lab, file: Entry) -> Verdict:
    """Judge a compiled program: for which machine it is, and what loads it."""
    order = "big" if file.content[5:6] == b"\x02" else "little"
    number = int.from_bytes(file.content[18:20], "big" if order == "big" else "little")
    machine = _MACHINES.get(number, f"machine {number}")
    if lab.facts.architecture and machine != lab.facts.architecture:
        return failed(
            f"{file.path} is for {machine}, the image for {lab.facts.architecture}: exec format error."
        )
    loader = _LOADER.search(file.content)
    if lab.files.is_whole and loader and lab.files.find(loader[0].decode()) is None:
        return failed(f"{file.path} is to be loaded by {loader[0].decode()}, which is not in the image.")
    return passed(f"{file.path} is compiled for {machine}.")


RULES = (
    Rule(
        id="program-found",
        part=Part.IMAGE,
        says="has `train` and `serve` on its PATH, or an ENTRYPOINT that is there",
        why="SageMaker runs `docker run IMAGE train` or `serve`: a word that is not found ends the container "
        "with status 127 before a line of yours runs.",
        so="the container cannot start",
        mend="Put the folder of train and serve first on PATH: ENV PATH=/opt/program:$PATH.",
        source=sources.INFERENCE,
        test=program_found,
    ),
    Rule(
        id="program-executable",
        part=Part.IMAGE,
        says="has programs that are executable",
        why="COPY keeps the modes of your checkout; without x the container ends with `permission denied`.",
        so="the container cannot start",
        mend="chmod +x train serve, and git update-index --chmod=+x train serve; or RUN chmod when building.",
        source=sources.TRAINING_DOCKERFILE,
        test=program_executable,
    ),
    Rule(
        id="program-line-ends",
        part=Part.IMAGE,
        says="has programs whose first line ends with LF alone and begins with #!",
        why="With Windows line ends, a program called python3\\r is looked for: `env: 'python3\\r': No "
        "such file or directory`.",
        so="the container cannot start",
        mend="Save them with LF line ends, and put `train eol=lf` and `serve eol=lf` into .gitattributes.",
        source=sources.TRAINING_DOCKERFILE,
        test=program_line_ends,
    ),
    Rule(
        id="program-interpreter",
        part=Part.IMAGE,
        says="has programs that can be run: with #! and an interpreter that is in the image, or compiled",
        why="A script without #! ends the container with `exec format error`, one whose interpreter is not "
        "there with `no such file or directory`, though the script is.",
        so="the container cannot start",
        mend="Begin the program with #!/usr/bin/env python3, or with what is in the image.",
        source=sources.TRAINING_DOCKERFILE,
        test=program_interpreter,
    ),
)
