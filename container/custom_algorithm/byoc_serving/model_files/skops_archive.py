"""skops' files: estimators of scikit-learn's kind, of types that skops or the user trusts, and no others."""

import zipfile
from pathlib import Path
from typing import Any

from byoc_serving.errors import ModelFileError
from byoc_serving.settings import Settings

_SCHEMA = "schema.json"


def is_model(path: Path, head: bytes) -> bool:
    """Whether a file is an archive with skops' own table of contents."""
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return _SCHEMA in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load(path: Path, settings: Settings) -> Any:  # noqa: ANN401 - an estimator
    """Return the estimator.

    Raises:
        ModelFileError: it is made of types that neither skops nor the settings trust; they are named.
    """
    from skops import io

    found = io.get_untrusted_types(file=path)
    untrusted = sorted(set(found) - set(settings.trusted_types))
    if untrusted:
        raise ModelFileError(
            f"{path.name} is made of types that skops does not trust: {', '.join(untrusted)}. Loading them "
            "may run code. If you trust whoever made the file, set MODEL_SERVER_TRUSTED_TYPES="
            f"{','.join(found)}"
        )
    return io.load(path, trusted=found)
