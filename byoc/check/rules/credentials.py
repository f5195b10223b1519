"""The rule that an image has no credentials in it, wherever somebody may have put them."""

from collections.abc import Iterator

from byoc.check.files import is_own
from byoc.check.lab import Lab
from byoc.check.rule import Part, Rule
from byoc.check.secret_shapes import Secret, secrets_in, secrets_in_variables
from byoc.check.verdict import Verdict, failed, passed

_MOST_SHOWN = 8


def no_credentials(lab: Lab) -> Verdict:
    """Whether there are credentials in its variables, labels, instructions and files."""
    first_of_place: dict[str, Secret] = {}
    for secret in _found(lab):
        first_of_place.setdefault(secret.where, secret)
    found = list(map(str, first_of_place.values()))
    if not found:
        return passed(
            "No credentials in its variables, its labels, how it was built, and its own small files."
        )
    more = [f"... and {len(found) - _MOST_SHOWN} more"] if len(found) > _MOST_SHOWN else []
    return failed("\n".join([*found[:_MOST_SHOWN], *more]))


def _found(lab: Lab) -> Iterator[Secret]:
    facts = lab.facts
    yield from secrets_in_variables(facts.environment, "ENV")
    yield from secrets_in_variables(facts.labels, "LABEL")
    for number, line in enumerate(facts.history, 1):
        where = "the image's history" if lab.files.is_whole else "the Dockerfile"
        yield from secrets_in(line.encode(), f"{where}, instruction", "Dockerfile", number)
    for path, entry in lab.files.entries.items():
        if entry.content and is_own(path):
            yield from secrets_in(entry.content, path, path)


RULES = (
    Rule(
        id="no-credentials",
        part=Part.IMAGE,
        says="has no credentials in it",
        why="Whoever can pull an image reads all of its layers and its history, deleted files and build "
        "arguments included; on SageMaker a role gives the container its rights.",
        so="whoever can pull the image has the credentials",
        mend="Take them out, and have new ones issued. Give the execution role the rights instead; when "
        "building, use RUN --mount=type=secret.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
        test=no_credentials,
    ),
)
