"""The rule on a folder's Dockerfile: that `docker build` gets to its end, as far as reading it tells."""

from byoc.check.lab import Lab
from byoc.check.rule import Part, Rule
from byoc.check.unbuildable import BUILDS, context_of, obstacle
from byoc.check.verdict import Verdict, capital, failed, passed, untested
from byoc.runtime.images import DockerImage


def dockerfile_builds(lab: Lab) -> Verdict:
    """What in the Dockerfile ends a build, without building it."""
    if isinstance(lab.image, DockerImage):
        return passed("It has been built.")
    context = context_of(lab)
    if context is None:
        return untested("The folder has no Dockerfile.")
    found = lab.once(obstacle)
    if found is None:
        return passed("Its lines are Docker's, and what it copies is there; what RUN does was not tried.")
    line = f", line {found.line}" if found.line else ""
    return failed(f"{context / 'Dockerfile'}{line}: {found.what}.", capital(found.mend))


RULES = (
    Rule(
        id=BUILDS,
        part=Part.IMAGE,
        says="has a Dockerfile that docker build can read, and the files that it copies",
        why="Without an image there is nothing that SageMaker could run. Here its program runs all the same, "
        "from the folder.",
        so="no image can be built",
        mend="Mend the line that is named.",
        source="https://docs.docker.com/reference/dockerfile/",
        test=dockerfile_builds,
    ),
)
