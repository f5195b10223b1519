"""Rules on what a container can do without: root, and files that it can write to."""

from contextlib import suppress

from byoc.check import sources
from byoc.check.exchange import Answer, BrokenCallError
from byoc.check.lab import Lab
from byoc.check.question import Sample
from byoc.check.rule import Part, Rule
from byoc.check.runs import ServeSetup
from byoc.check.serving import Server
from byoc.check.verdict import CannotTestError, Verdict, capital, passed, warned
from byoc.check.waiting import NotServingError
from byoc.runtime.enter import STAYS_WRITABLE
from byoc.runtime.images import Folder
from byoc.runtime.spec import Confinement

_NOBODY = 65534
_READ_ONLY = "model-read-only"
_FOR_OTHERS = 0o005


def another_uid(lab: Lab) -> Verdict:
    """Whether it serves as a user that the image does not know."""
    image = lab.image
    if isinstance(image, Folder) and image.folder.stat().st_mode & _FOR_OTHERS != _FOR_OTHERS:
        raise CannotTestError(
            f"{image.folder} is closed to others, as it would not be in an image: chmod o+rx."
        )
    return _without(lab, Confinement(uid=_NOBODY), f"as uid {_NOBODY}")


def only_tmp_writable(lab: Lab) -> Verdict:
    """Whether it serves where it can write to nothing but /tmp."""
    return _without(lab, Confinement(read_only=True), "with nothing writable but /tmp")


def _without(lab: Lab, confinement: Confinement, circumstances: str) -> Verdict:
    if lab.ease.writable_model:
        raise CannotTestError("It needs a model that it can write to: see model-read-only.", _READ_ONLY)
    sample = lab.good_sample
    try:
        with lab.serving(ServeSetup(confinement=confinement)) as server:
            if sample is None:
                return passed(f"It became ready {circumstances}; no request was tried.")
            try:
                answer = _answer(lab, server, sample)
            except CannotTestError as error:
                return warned(f"{capital(circumstances)} it became ready, but did not answer: {error}.")
    except NotServingError as error:
        for line in error.log.splitlines():
            if STAYS_WRITABLE in line:  # it is this machine that could not do so
                raise CannotTestError(f"{line}.") from error
        return warned(f"{capital(circumstances)}: {error}")
    if not answer.is_good:
        return warned(f"{capital(circumstances)} it became ready, and /invocations answered {answer}.")
    return passed(f"It became ready {circumstances}, and answered {answer.status}.")


def _answer(lab: Lab, server: Server, sample: Sample) -> Answer:
    """Return what comes of the sample, when no worker is still loading."""
    with suppress(BrokenCallError):
        if (answer := server.invoke(sample)).is_good:
            return answer
    lab.wait_until_it_answers(server)
    return server.invoke(sample)


RULES = (
    Rule(
        id="another-uid",
        part=Part.SERVE,
        says="serves as a user other than root",
        why="A serverless endpoint may run it as one, who reads what others may, and writes to /tmp alone.",
        so="a serverless endpoint may not start it",
        mend="Let others read the image's files (chmod -R go=rX), and write to /tmp alone; `user` in "
        "nginx.conf takes root, and so do ports below 1024.",
        source=sources.SERVERLESS_TROUBLE,
        test=another_uid,
    ),
    Rule(
        id="only-tmp-writable",
        part=Part.SERVE,
        says="writes to /tmp alone",
        why="/opt/ml/model is read-only, and where a container is not root /tmp is all that it can write to.",
        so="a serverless endpoint may not start it",
        mend="Write to /tmp: have caches there (HF_HOME, MPLCONFIGDIR), nginx's folders and its pid file "
        "(`pid /tmp/nginx.pid; proxy_temp_path /tmp/proxy;`), gunicorn's --worker-tmp-dir.",
        source=sources.SERVERLESS_TROUBLE,
        test=only_tmp_writable,
    ),
)
