"""Searches lines for metrics in a process of its own, as an expression may backtrack without end.

It runs as a script (`python -I -S metric_search.py SECONDS PARENT`) on the standard library alone, and speaks
JSON, a value a line. Its first line of input is a list of expressions; each other one is a text to search,
answered by a list of two: [number of the expression, what it found] for each that matched, and the numbers of
those that took more than SECONDS of this process's time and are searched for no more. It ends with its input,
or, while it searches, within so many seconds of the end of its parent, whose process id is PARENT.
"""

import json
import os
import re
import signal
import sys
from types import FrameType
from typing import Never


class SlowError(Exception):
    """An expression has had its time."""


def search(patterns: dict[int, re.Pattern[str]], text: str, seconds: float) -> tuple[list[object], list[int]]:
    """Return what each expression found, and which were too slow."""
    found: list[object] = []
    slow = []
    for number, pattern in patterns.items():
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
            match = pattern.search(text)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            if match:
                found.append([number, match[1] if pattern.groups else match[0]])
        except SlowError:
            slow.append(number)
    return found, slow


def main(seconds: float, parent: int) -> None:
    """Answer every line of the input; see the top of this file."""

    def give_up(_number: int, _frame: FrameType | None) -> Never:
        if os.getppid() != parent:
            os._exit(1)
        raise SlowError

    # re looks for signals now and then while it searches.
    signal.signal(signal.SIGVTALRM, give_up)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C is the server's to hear, which then ends this process
    expressions = json.loads(sys.stdin.readline())
    patterns = {number: re.compile(expression) for number, expression in enumerate(expressions)}
    for line in sys.stdin:
        found, slow = search(patterns, json.loads(line), seconds)
        for number in slow:
            del patterns[number]
        print(json.dumps([found, slow]), flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
