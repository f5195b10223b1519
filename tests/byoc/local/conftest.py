"""The fixtures that users import, for our own tests."""

from byoc.local.testing import sagemaker_local, sagemaker_local_session

__all__ = ["sagemaker_local", "sagemaker_local_session"]
