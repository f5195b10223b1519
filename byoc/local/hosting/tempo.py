"""How long hosting waits for what; AWS documents hardly any of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tempo:
    """All in seconds.

    Attributes:
        watch_s: between two looks at whether a program still runs.
        ping_s: between two pings of one that does.
        failures: so many failed pings in a row, and it is replaced.
        busy_s: so long a program with calls under way may leave pings unanswered: as long as a call may take.
        back_off_s: before a second replacement in a row; doubled each time, `most_back_off_s` at most.
        settled_s: a program that has lived so long begins a new row.
        drain_s: how long calls under way may take when their program is taken away.
        look_s: between two looks at whether they are over.
        close_grace_s: from SIGTERM to SIGKILL when the local SageMaker ends.
        close_s: how long all of that end may take.
    """

    watch_s: float = 0.1
    ping_s: float = 5.0
    failures: int = 3
    busy_s: float = 60.0
    back_off_s: float = 1.0
    most_back_off_s: float = 60.0
    settled_s: float = 60.0
    drain_s: float = 65.0
    look_s: float = 0.01
    close_grace_s: float = 5.0
    close_s: float = 10.0
