"""Tells whether a text names the cause of a failure, or only where it happened."""

READ = 1024  # characters of /opt/ml/output/failure that become FailureReason
_FEWEST = 20  # of a line that the limit cuts, for it to say something
_LAST = 4  # lines after a traceback with which it still is the end; the first is the rest of its heading
_HEADINGS = (
    "Traceback (most recent call last)",
    "During handling of the above exception",
    "The above exception was the direct cause",
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
