"""Rules on serverless endpoints, which give a container less than others do."""

from byoc.check import sources
from byoc.check.facts import GB, MOST_BYTES
from byoc.check.lab import Lab
from byoc.check.number import counted
from byoc.check.rule import Part, Rule
from byoc.check.verdict import CannotTestError, Verdict, failed, passed, warned
from byoc.check.waiting import NotServingError
from byoc.runtime.procfs import memory_bytes

_START_S = 180.0
_PAYLOAD_BYTES = 4 * 1024 * 1024
_MB = 1024 * 1024
_SIZES_MB = (1024, 2048, 3072, 4096, 5120, 6144)
_USUAL_MB = 3072
_CALLS = 20


def serverless_start(lab: Lab) -> Verdict:
    """How long it takes to its first 200 on /ping."""
    try:
        ready_s = lab.server().ready_s
    except NotServingError as error:
        return failed(str(error))
    seen = f"/ping answered 200 after {ready_s:.1f} s."
    return failed(seen) if ready_s > _START_S else passed(seen)


def serverless_4mb(lab: Lab) -> Verdict:
    """The size of the sample request and of its answer."""
    sample = lab.sample
    answer = lab.good_answer()
    seen = f"A request of {counted(len(sample.body), 'byte')} is answered with {len(answer.body):,}."
    return failed(seen) if max(len(sample.body), len(answer.body)) > _PAYLOAD_BYTES else passed(seen)


def serverless_memory(lab: Lab) -> Verdict:
    """The memory of all its processes when it is ready, and after some calls."""
    server = lab.server()
    used = memory_bytes(one.pid for one in server.processes())
    for _ in range(_CALLS if lab.question.sample else 0):
        server.invoke(lab.sample)
    used = max(used, memory_bytes(one.pid for one in server.processes()))
    if not used:
        raise CannotTestError("The memory of its processes is not to be seen from here: that takes root.")
    calls = f" after {_CALLS} calls" if lab.question.sample else ", before any call"
    seen = f"Its processes have {used / _MB:,.0f} MB{calls}"
    fitting = [size for size in _SIZES_MB if used <= size * _MB]
    if not fitting:
        return failed(f"{seen}: more than the {_SIZES_MB[-1]:,} MB that there are.")
    if fitting[0] > _USUAL_MB:
        return warned(f"{seen}: it takes MemorySizeInMB={fitting[0]}.")
    return passed(f"{seen}: MemorySizeInMB={fitting[0]} holds them.")


def serverless_image(lab: Lab) -> Verdict:
    """The size of the image."""
    size = lab.facts.size_bytes
    if size is None:
        raise CannotTestError("A folder has no size: build its image with Docker, and check that.")
    seen = f"The image has {size / GB:.1f} GB."
    return failed(seen) if size > MOST_BYTES else passed(seen)


RULES = (
    Rule(
        id="serverless-start",
        part=Part.SERVERLESS,
        says="answers GET /ping with 200 within 3 minutes of its start",
        why="A serverless endpoint waits no longer, the download of the model included.",
        so="no serverless endpoint becomes InService",
        mend="Load less at the start, import less, take a smaller model.",
        source=sources.SERVERLESS,
        test=serverless_start,
    ),
    Rule(
        id="serverless-4mb",
        part=Part.SERVERLESS,
        says="does with requests and answers of 4 MB",
        why="A serverless endpoint passes on no larger ones.",
        so="calls fail",
        mend="Send fewer records in a call, or answer less for each; asynchronous endpoints take 1 GB.",
        source=sources.SERVERLESS,
        test=serverless_4mb,
        by_url=True,
    ),
    Rule(
        id="serverless-memory",
        part=Part.SERVERLESS,
        says="does with 6,144 MB of memory, better with 3,072",
        why="MemorySizeInMB goes up to 6,144, and the quota of an account may be half of that.",
        so="serverless endpoints run out of memory",
        mend="Have one worker with one copy of the model: that is what AWS recommends for serverless.",
        source=sources.SERVERLESS,
        test=serverless_memory,
    ),
    Rule(
        id="serverless-image",
        part=Part.SERVERLESS,
        says="has an image of at most 10 GB",
        why="Serverless endpoints take no larger one.",
        so="no serverless endpoint can be created",
        mend="Build in stages, and leave out what only the build needs.",
        source=sources.SERVERLESS,
        test=serverless_image,
    ),
)
