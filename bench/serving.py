"""How fast we serve, beside other servers of the same model, and whether that is as fast as we promise.

Run it by `make bench`, or `python bench/serving.py [--short] [--only NAME...] [--sections NAME...]`. It needs
nginx and wrk; everything else it installs into bench/.venvs on first use. docs/performance.md says what is
measured and how. The exit status is 0 where every promise holds, 1 where one falls short or could not be
measured, 2 where nothing could be measured at all.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.contest import subject
from bench.contest.document import with_report, write
from bench.contest.environments import ROOT
from bench.contest.errors import BenchError, NotMeasuredError
from bench.contest.large import measure_large
from bench.contest.loads import measure_loads
from bench.contest.picture import picture
from bench.contest.pulling import measure_pull
from bench.contest.report import markdown
from bench.contest.resources import cores, processor
from bench.contest.results import Results, results_from
from bench.contest.run import Run
from bench.contest.servers import OURS, SERVERS, SHORT, Server
from bench.contest.standing import measure_idle, measure_memory
from bench.contest.start import measure_start
from bench.contest.targets import HOLDS, verdicts
from bench.contest.wrk import wrk

RESULTS = ROOT / "bench" / ".results"
IMAGE = ROOT / "container" / "custom_algorithm"
SECTIONS: dict[str, Callable[[Run], None]] = {
    "large": measure_large,
    "start": measure_start,
    "memory": measure_memory,
    "pull": measure_pull,
    "idle": measure_idle,
}
ALL_SECTIONS = ("load", *SECTIONS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and tell, or put what was told before into a document; return the exit status."""
    asked = _asked(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started ends
    try:
        if asked.document:
            return document(asked.document, asked.json)
        results = measured(asked)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    judged = verdicts(results)
    told = {
        **results.as_json(),
        "verdicts": [[one.target.line, one.target.words, one.outcome] for one in judged],
    }
    write(asked.json, json.dumps(told, indent=1) + "\n")
    write(asked.svg, picture(results))
    text = markdown(results, judged)
    if asked.markdown:
        write(asked.markdown, text)
    print(text, end="")
    return 0 if all(one.outcome == HOLDS for one in judged) else 1


def measured(asked: argparse.Namespace) -> Results:
    """Run everything that was asked for, one section after the other, and return the results.

    Raises:
        BenchError: a program that every measurement needs is not installed.
    """
    require_programs()
    results = Results()
    servers = [server for server in SERVERS if _is_asked(server, asked)]
    results.about = about(asked, servers)
    began = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="byoc-bench-") as folder:
        run = Run(asked.image.absolute(), Path(folder), asked.seconds, asked.repeats, results, report)
        train(run)
        for name in asked.sections:
            try:
                if name == "load":
                    measure_loads(servers, run)
                else:
                    SECTIONS[name](run)
            except NotMeasuredError as error:
                results.reasons[f"{OURS.name}, {name}"] = str(error)
                report(f"not measured: {name}: {error}")
    return results


def train(run: Run) -> None:
    """Make the model and the rows, in a process of its own.

    Raises:
        BenchError: it fails.
    """
    run.report("training the model")
    if status := subprocess.run([sys.executable, subject.__file__, run.subject], check=False).returncode:
        raise BenchError(f"The model could not be trained: {subject.__file__} ended with status {status}.")


def require_programs() -> None:
    """See that the programs are installed that no environment of Python has.

    Raises:
        BenchError: one is not.
    """
    wrk()
    if shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        raise BenchError("nginx is not installed. Install it: apt-get install nginx")


def about(asked: argparse.Namespace, servers: Sequence[Server]) -> dict[str, object]:
    """Return what the results are of."""
    return {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": cores(),
        "processor": processor(),
        "python": platform.python_version(),
        "seconds": asked.seconds,
        "repeats": asked.repeats,
        "sections": asked.sections,
        "servers": [server.name for server in servers],
    }


def document(path: Path, results_file: Path) -> int:
    """Put the report and the picture of the last run into a document and beside it.

    Raises:
        BenchError: there was no run yet, or the document has no place for it.
    """
    if not results_file.is_file():
        raise BenchError(f"{results_file} is not there. Measure first: python bench/serving.py")
    results = results_from(json.loads(results_file.read_text()))
    drawn = path.with_suffix(".svg")
    told = markdown(results, verdicts(results)) + f"\n![Requests per second of each server]({drawn.name})\n"
    text = with_report(path.read_text(), told)
    write(drawn, picture(results))
    write(path, text)
    return 0


def _is_asked(server: Server, asked: argparse.Namespace) -> bool:
    return server.name in asked.only if asked.only else server in SHORT or not asked.short


def _parser() -> argparse.ArgumentParser:
    words = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=words)
    parser.add_argument("--short", action="store_true", help="four servers, and nothing but loads: 3 minutes")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in SERVERS])
    parser.add_argument("--sections", nargs="+", metavar="NAME", choices=ALL_SECTIONS)
    parser.add_argument("--seconds", type=int, help="of each load")
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--image", type=Path, default=IMAGE, help="serve another checkout's program as ours")
    parser.add_argument("--json", type=Path, default=RESULTS / "serving.json", metavar="FILE")
    parser.add_argument("--svg", type=Path, default=RESULTS / "serving.svg", metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument("--document", type=Path, metavar="FILE", help="measure nothing: tell of the last run")
    return parser


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    asked = _parser().parse_args(arguments)
    brief = asked.short or asked.only
    asked.sections = asked.sections or (["load"] if brief else list(ALL_SECTIONS))
    asked.seconds = asked.seconds or 2
    asked.repeats = asked.repeats or (3 if asked.short else 6)
    return asked


if __name__ == "__main__":
    sys.exit(main())
