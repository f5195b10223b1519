"""Tells whether a text names the cause of a failure, or only where it happened."""

import re

READ = 1024  # characters of /opt/ml/output/failure that become FailureReason
_FEWEST = 20  # of a line that the limit cuts, for it to say something
_LAST = 4  # lines after a traceback with which it still is the end; the first is the rest of its heading
_HEADINGS = (
    "Traceback (most recent call last)",
    "During handling of the above exception",
    "The above exception was the direct cause",
)
_LAST_LINES = 8  # of a log, among which the cause of an end is
_DIGITS = re.compile(r"\d+")
# What is said where there is no network, and not of a neural one.
_NETWORK = re.compile(
    r"(?i)unreachable|no route to host|name resolution|name or service not known|getaddrinfo|gaierror"
    r"|errno -[235]\b"
    r"|(?:resolve|look ?up)\b.{0,30}\b(?:host|name)|\bconnection (?:error|refused|reset|aborted|timed? ?out)"
    r"|connect(?:ion|timeout)?error|connect ?timeout"
    r"|(?:couldn't|could not|can't|cannot|failed to|unable to) connect"
    r"|max retries|endpointconnection|urlopen error|(?:read|request|socket|connect\w*) timed? ?out"
    r"|locate credentials|no ?credentials|offline mode|\binternet\b|\bdns\b"
    r"|\b(?:no|needs?|requires?|without|lacks?)\b(?: an?| the| any)? network\b"
    r"|\bnetwork (?:is |was )?(?:down|isolat\w*|unavailable|not available|access|connection|error)"
)

# How programs say that they cannot do with a word: click's, typer's, argparse's, cobra's, clap's; and how
# interpreters do that take it for a file.
_REFUSALS = re.compile(
    r"(?i)unexpected|unrecogni[sz]ed|unknown|invalid (?:choice|\w+ value)|no such (?:command|option)"
    r"|(?:was|is)(?:n't| not) expected|can(?:'t|not) (?:open file|find (?:module|or load))"
    r"|could not find or load"
)


def causes_in(text: str, most: int | None = None) -> list[str]:
    """Return the lines that say something: neither frames of a traceback, which are indented, nor headings.

    Args:
        most: how many characters are read.
    """
    lines = text[:most].splitlines()
    if most is not None and len(text) > most and lines and text[most - 1] != "\n" and text[most] != "\n":
        lines[-1:] = [lines[-1]] if len(lines[-1]) >= _FEWEST else []
    return [
        line.rstrip()
        for line in lines
        if line.strip() and not line[0].isspace() and not line.startswith(_HEADINGS)
    ]


def is_traceback(log: str) -> bool:
    """Whether a log ends with a traceback of Python: its heading, its frames, and the cause."""
    _, heading, after = log.rpartition(_HEADINGS[0])
    return bool(heading) and len(causes_in(after)) <= _LAST


def last_lines(log: str, usual: str) -> list[str]:
    """Return a log's last lines without those that a run which went well wrote too, but for their numbers."""
    known = {_DIGITS.sub("", line) for line in usual.splitlines()}
    lines = [line for line in log.splitlines() if line.strip()][-_LAST_LINES:]
    return [line for line in lines if _DIGITS.sub("", line) not in known]


def blames_network(line: str) -> bool:
    """Whether a line says that there is no network, in the words of libraries or in a sentence."""
    return _NETWORK.search(line) is not None


def refuses(log: str, word: str) -> bool:
    """Whether a program wrote that it cannot do with a word of its command line."""
    named = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
    return any(named.search(line) and _REFUSALS.search(line) for line in log.splitlines())


def takes_no(word: str) -> str:
    """Return how to mend a program that cannot do with the word that SageMaker appends."""
    return (
        f"SageMaker runs the image as `docker run IMAGE {word}`, and what ENTRYPOINT runs takes no word "
        f"{word}. Put a program called {word} on PATH, one that execs that command, and have no ENTRYPOINT; "
        "or an ENTRYPOINT that takes that word."
    )
