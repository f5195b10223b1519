"""Fuzzes `serve` through both doors: requests made from its OpenAPI document, and broken HTTP.

Run it by `make fuzz`, or `python -m fuzz [--cases N] [--examples N] [--seconds S] [--seed N]`. The status is
0 where the server withstood all, 1 where it answered 5xx, hung, died or lost a worker: the input that did it
is printed, and kept below fuzz/.results.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.malformed import Case, case, request
from fuzz.serving import ROOT, Served, serving, train
from fuzz.wire import Dial, fault, send

DOORS = ("fast", "flask")
RESULTS = ROOT / "fuzz" / ".results"
_LOOK_EVERY = 20  # cases after which the workers are looked at
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_SHOWN = 2_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, and return the exit status."""
    asked = _asked(arguments)
    body = (ROOT / "dummy_data" / "breast_cancer.csv").read_bytes().splitlines()[0] + b"\n"
    failures = 0
    with tempfile.TemporaryDirectory(prefix="byoc-fuzz-") as folder:
        program = train(Path(folder))
        for door in DOORS:
            with serving(program, Path(folder, door), door) as served:
                print(f"{door} door: schemathesis, {asked.examples} examples for each operation", flush=True)
                failures += _contract(served, asked)
                dials: dict[str, Dial] = {"nginx": served.dial, "a worker": served.dial_worker}
                for name, dial in dials.items():
                    print(
                        f"{door} door: {asked.cases} broken requests to {name}, seed {asked.seed}", flush=True
                    )
                    failures += _malformed(served, dial, body, asked)
    print("withstood" if not failures else f"{failures} failed", flush=True)
    return 1 if failures else 0


def _contract(served: Served, asked: argparse.Namespace) -> int:
    """Let schemathesis ask what the document allows and forbids; it prints what fails, as a curl line."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"]
    command += ["--checks", _CHECKS, "--max-examples", str(asked.examples), "--seed", str(asked.seed)]
    command += [
        "--max-time",
        str(asked.seconds),
        "--request-timeout",
        "30",
        "--no-color",
        "--warnings",
        "off",
    ]
    command += ["--generation-database", "none", "--phases", "coverage,fuzzing"]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "fuzz.hooks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, cwd=served.work, check=False)  # it leaves files where it is
    trouble = served.trouble()
    if trouble:
        print(trouble)
    return int(done.returncode != 0 or bool(trouble))


def _malformed(served: Served, dial: Dial, body: bytes, asked: argparse.Namespace) -> int:
    """Send broken requests, and a good one now and then; return 1 where one did harm."""
    give_up = time.monotonic() + asked.seconds
    good = Case("good", [request(body)])
    for number in range(asked.cases):
        seed = asked.seed + number
        broken = case(seed, body)
        wrong = fault(broken, send(broken, dial))
        if not wrong and number % _LOOK_EVERY == 0:
            wrong = served.trouble() or _unless_good(send(good, dial).content)
        if wrong:
            _tell(broken, seed, wrong)
            return 1
        if time.monotonic() > give_up:
            print(f"time is up after {number + 1}", flush=True)
            break
    if wrong := served.trouble() or _unless_good(send(good, dial).content):
        print(f"after all of them: {wrong}")
    return int(bool(wrong))


def _unless_good(answer: bytes) -> str:
    return "" if answer.startswith(b"HTTP/1.1 200 ") else f"a good request is answered {answer[:200]!r}"


def _tell(broken: Case, seed: int, wrong: str) -> None:
    """Print a case that did harm, and keep its bytes."""
    content = b"".join(broken.pieces)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{seed}.http").write_bytes(content)
    print(
        f"{broken.family}, seed {seed} (fuzz/.results/{seed}.http): {wrong}\n{content[:_SHOWN]!r}", flush=True
    )


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    words = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, formatter_class=words)
    parser.add_argument("--cases", type=int, default=300, help="broken requests to each of four places")
    parser.add_argument("--examples", type=int, default=40, help="of schemathesis, for each operation")
    parser.add_argument("--seconds", type=int, default=60, help="at most, for each of six parts")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
