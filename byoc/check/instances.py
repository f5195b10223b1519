"""The instance types of SageMaker, as boto3 knows them: a misspelt one is found before anything is run."""

import difflib
import re

_COMMON = "ml.m5.large"  # known without a look, which takes a moment
_SHAPE = re.compile(r"ml\.[a-z0-9-]+\.[a-z0-9-]+")
_LISTS = ("ProductionVariantInstanceType", "TrainingInstanceType", "TransformInstanceType")


def wrong_with(instance_type: str) -> str:
    """Return what is wrong with an instance type, a sentence with the nearest ones; "" where it is known."""
    if instance_type == _COMMON:
        return ""
    known = _known()
    if instance_type in known:
        return ""
    whole = f"ml.{instance_type}"
    near = [whole] if whole in known else difflib.get_close_matches(instance_type, sorted(known), 3)
    meant = f"Is it {' or '.join(near)}?" if near else f"Give one such as {_COMMON}."
    if not _SHAPE.fullmatch(instance_type):
        return f"That is no instance type. {meant}"
    return f"boto3 knows no such type. {meant} For one that is newer than it: pip install -U boto3."


def _known() -> frozenset[str]:
    from botocore.session import get_session

    model = get_session().get_service_model("sagemaker")
    return frozenset(name for shape in _LISTS for name in getattr(model.shape_for(shape), "enum", ()))
