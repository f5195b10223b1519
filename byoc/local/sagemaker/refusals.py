"""What a request may ask on AWS and not here: refused in words, rather than taken and not done."""

from collections.abc import Mapping, Sequence

from byoc.local.errors import AwsError, validation


def not_here(what: str, instead: str) -> AwsError:
    """Return the error for something that is not there yet, with what to do instead."""
    return validation(f"The local SageMaker does not have {what} yet (docs/local.md). {instead}")


def refuse(document: Mapping[str, object], members: Sequence[str], where: str) -> None:
    """Raise that error for the first of these members that a document has."""
    for member in members:
        if document.get(member):
            raise not_here(f"{where}{member}", "Leave it out, or use AWS.")
